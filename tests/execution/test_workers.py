"""Waiting for workers."""

import dask
import pytest
from late_cluster import Cluster

from flexclim.errors import FlexclimError
from flexclim.execution import devices, workers


def test_a_cluster_to_which_no_worker_comes_is_reported_in_one_line(monkeypatch):
    monkeypatch.setattr(workers, "CHECK_EVERY", 0.01)
    monkeypatch.setattr(devices, "active_client", Cluster)
    with (
        dask.config.set({workers.NO_WORKERS: "50ms"}),
        pytest.raises(FlexclimError, match=r"no worker for 0\.05 s, with no work started\. See"),
    ):
        devices.choose_device(None)
