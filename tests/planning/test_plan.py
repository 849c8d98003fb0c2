"""Members that one task samples, and the tokens by which plans are compared."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from coarse_fields import region

from flexclim.downscaling import downscale
from flexclim.execution import batch_size
from flexclim.execution.batch_size import pass_bytes
from flexclim.nn.keyed_noise import Persistence
from flexclim.planning import plan as request
from flexclim.planning import task_sizes
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve

TOKEN = "import pickle, sys; print(pickle.load(sys.stdin.buffer).token)"


def field():
    return region(1, 14, 14)


def test_members_of_large_fields_share_features_that_are_not_kept(toy_model, monkeypatch):
    def planned(coarse):
        asked = DownscalingOptions(factor=4, members=6, batch=2, device="cpu")
        return plan_downscaling(resolve(coarse.to_dataset()), ["t"], ["t"], toy_model, asked)

    def members_a_task():
        return [planned(coarse).sampling.members_per_task for coarse in (field(), field().chunk())]

    options = {"model": toy_model, "members": 6, "batch": 2, "device": "cpu"}
    network, kept = planned(field()).sampling.settings.network, downscale(field(), 4, **options)
    most = pass_bytes(network) // batch_size.feature_bytes(network)
    assert batch_size.kept_tiles(network, 2) == most
    assert members_a_task() == [4, 1]  # of a lazy field one member may be all that is wanted
    monkeypatch.setattr(task_sizes, "PASSES", 1)
    assert members_a_task() == [1, 1]
    monkeypatch.setattr(request, "kept_tiles", lambda *_: 0)
    assert members_a_task() == [4, 1]
    again = downscale(field(), 4, **options)
    np.testing.assert_allclose(again, kept, atol=1e-5 * float(kept.std()))
    monkeypatch.setattr(task_sizes, "TOGETHER_CELLS", 2 * 56 * 56)
    assert members_a_task() == [2, 1]
    monkeypatch.setattr(task_sizes, "TOGETHER_CELLS", 0)
    assert members_a_task() == [1, 1]


@pytest.fixture
def plan(toy_model):
    """Return the plan of a small field."""
    coordinates = {"lat": np.arange(58.0, 50, -1), "lon": np.arange(9.0)}
    field = xr.DataArray(np.zeros((8, 9)), coordinates, name="t")
    options = DownscalingOptions(factor=4, members=2, device="cpu", batch=2)
    return plan_downscaling(resolve(field), ["t"], ["t"], toy_model, options, run="a")


def test_the_run_does_not_count_and_all_else_does(plan):
    sampling = plan.sampling
    assert replace(sampling, run="b") == sampling
    assert replace(plan, sampling=replace(sampling, run="b")) == plan
    others = [replace(sampling, **{name: 7}) for name in ("seed", "steps", "batch")]
    others.append(replace(sampling, persistence=Persistence(seconds=7.0)))
    assert len({sampling, *others}) == 5
    assert replace(plan, sampling=others[0]) != plan
    assert plan != sampling


@pytest.mark.slow
def test_another_process_computes_the_same_token(plan):
    fresh = replace(plan, sampling=replace(plan.sampling))  # without a token that was computed
    run = subprocess.run(
        [sys.executable, "-c", TOKEN], input=pickle.dumps(fresh), capture_output=True, check=True
    )
    assert run.stdout.decode().strip() == plan.token
