"""Items that failed are named, and the others are complete."""

import pytest
from coarse_fields import region

from flexclim.errors import FlexclimError


@pytest.mark.usefixtures("single_planes")
def test_a_time_that_can_not_be_sampled_is_named_and_the_rest_written(
    toy_model, tmp_path, monkeypatch
):
    import numpy as np
    import xarray as xr

    from flexclim.downscaling import downscale, downscale_to_zarr
    from flexclim.sampling import downscaling_graph as members

    field = region(18, 6, 6)
    sample, tries = members._sampled, []

    def fails(prepared, plan, places, *args):
        if places[0].time.startswith("2018-09-18T06"):
            tries.append(places[0].time)
            raise RuntimeError("the device is lost")
        return sample(prepared, plan, places, *args)

    options = {"factor": 4, "model": toy_model, "members": 1, "batch": 1}
    with monkeypatch.context() as patch:
        patch.setattr(members, "_sampled", fails)
        with pytest.raises(FlexclimError) as caught:
            downscale_to_zarr(field, tmp_path / "a.zarr", **options)
    assert len(tries) == 3
    for told in ("1 of 2 shards failed 3 times", "time 2018-09-18T06", "device is lost"):
        assert told in str(caught.value)
    early = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)["t"][:, :16]
    whole = downscale(field, **options)
    np.testing.assert_array_equal(early.values, whole[:, :16].values)
    stored = downscale_to_zarr(field, tmp_path / "a.zarr", **options)
    np.testing.assert_array_equal(stored["t"].values, whole.values)
