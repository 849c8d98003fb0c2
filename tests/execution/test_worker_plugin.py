"""Worker processes: each loads the model once and divides the cores."""

import numpy as np
import pytest
from coarse_fields import region

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.execution import cluster
from flexclim.execution.cluster import connected

distributed = pytest.importorskip("distributed")


def loaded():
    import torch

    from flexclim.models.model import _LOADED

    return len(_LOADED), torch.get_num_threads()


@pytest.mark.slow
def test_worker_processes_write_the_same_numbers(options, tmp_path):
    whole = downscale(region(2), **options)
    with connected(workers=1):
        client = distributed.get_client()
        stored = downscale_to_zarr(region(2), tmp_path / "b.zarr", **options)
        (found,) = client.run(loaded).values()
    assert found == (1, cluster._cores())
    np.testing.assert_array_equal(stored["t"].values, whole.values)
