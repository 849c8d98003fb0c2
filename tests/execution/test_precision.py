"""The default precision: of a GPU, of a CPU by its instructions and a timing, of a store."""

import pytest
import torch
from coarse_fields import region

from flexclim import downscale, downscale_to_zarr, estimate
from flexclim.errors import FlexclimError, StoreError
from flexclim.execution import precision
from flexclim.execution.precision import VARIABLE, choose_precision
from flexclim.nn import half_precision
from flexclim.sampling.store_plan import _precisions


@pytest.fixture
def processor(monkeypatch):
    """Return what sets whether the processor has bf16, and what it gains from it."""
    monkeypatch.delenv(VARIABLE)

    def have(bf16, gain):
        timed = []
        monkeypatch.setattr(half_precision, "has_bf16", lambda: bf16)
        monkeypatch.setattr(half_precision, "gain_of_bf16", lambda c: timed.append(c) or gain)
        precision._gain.cache_clear()
        return timed

    yield have
    precision._gain.cache_clear()


@pytest.mark.parametrize(
    ("bf16", "gain", "found"),
    [(True, 1.9, "bf16"), (True, 1.1, "float32"), (False, 1.9, "float32")],
)
def test_bf16_needs_instructions_and_a_gain(processor, toy_sizes, bf16, gain, found):
    timed = processor(bf16, gain)
    assert choose_precision(toy_sizes(), "cpu") == found
    assert choose_precision(toy_sizes(), "cuda:1") == "bf16"
    assert len(timed) == bf16


def test_a_network_is_timed_once(processor, toy_sizes):
    timed = processor(True, 1.9)
    for _ in range(2):
        choose_precision(toy_sizes(), "cpu")
    assert timed == [toy_sizes()]
    choose_precision(toy_sizes(channels=2), "cpu")
    assert timed[1:] == [toy_sizes(channels=2)]


def test_the_environment_sets_the_default(processor, toy_sizes, monkeypatch):
    timed = processor(True, 1.9)
    monkeypatch.setenv(VARIABLE, "float32")
    assert {choose_precision(toy_sizes(), device) for device in ("cpu", "cuda")} == {"float32"}
    monkeypatch.setenv(VARIABLE, "half")
    with pytest.raises(FlexclimError, match="FLEXCLIM_PRECISION is 'half', not one of float32"):
        choose_precision(toy_sizes(), "cpu")
    assert not timed


class Cluster:
    """A client of two workers without GPUs, of which each says whether it has bf16."""

    def __init__(self, *answers):
        self.answers = dict(zip(("plain", "other"), answers, strict=True))

    def run(self, work, *given, workers=None):
        if work is precision.has_bf16:
            return self.answers
        return {address: work(*given) for address in workers}


@pytest.mark.parametrize(("other", "found"), [(False, "float32"), (True, "bf16")])
def test_all_workers_need_the_instructions(processor, toy_sizes, monkeypatch, other, found):
    timed = processor(True, 1.9)
    monkeypatch.setattr(precision, "active_client", lambda: Cluster(True, other))
    monkeypatch.setattr(precision, "workers_of", lambda client: {"plain": {}, "other": {}})
    assert choose_precision(toy_sizes(), "cpu") == found
    assert len(timed) == other


def test_outputs_estimates_and_the_log_name_the_choice(processor, toy_model, caplog):
    options = {"factor": 2, "model": toy_model, "members": 1}
    processor(True, 1.9)
    with caplog.at_level("INFO", "flexclim"):
        rough = downscale(region(), **options)
    assert rough.attrs["flexclim_precision"] == "bf16"
    assert "toy: forward passes in bf16, not in float32" in caplog.messages
    assert "on cpu in bf16" in repr(estimate(region(), **options))
    processor(True, 1.0)
    exact = downscale(region(), **options)
    assert exact.attrs["flexclim_precision"] == "float32"
    requested = downscale(region(), precision="bf16", **options)
    assert (requested == rough).all()
    assert 1e-6 < abs(rough - exact).max() < 0.1 * exact.std()


@pytest.mark.parametrize(("begun", "now"), [("float32", 1.9), ("bf16", 1.0)])
def test_a_store_keeps_its_precision(processor, toy_model, make_toy, tmp_path, begun, now):
    """Also that of each model, and in each of two downscalings, on another processor."""
    options = {"model": toy_model, "members": 2, "factor": 16}
    for part, gain in ((1, {"float32": 1.0, "bf16": 1.9}[begun]), (2, now)):
        processor(True, gain)
        stored = downscale_to_zarr(region(part, 4, 4), tmp_path / "a.zarr", **options)
        assert stored.attrs["flexclim_precision"] == begun
    alone = downscale(region(2, 4, 4), precision=begun, **options)
    assert abs(stored["t"] - alone).max() < 1e-5 * alone.std()
    other = {"float32": "bf16", "bf16": "float32"}[begun]
    with pytest.raises(StoreError, match=f'precision "{begun}", not "{other}"'):
        downscale_to_zarr(region(2, 4, 4), tmp_path / "a.zarr", precision=other, **options)


def test_models_of_a_store_keep_their_own_precision():
    plan = {
        "steps": 2,
        "variables": {
            "a": {"model_sha256": "1", "precision": "bf16"},
            "b": {"model_sha256": "2", "precision": "float32"},
        },
        "downscaling 1": {"model_sha256": "3", "precision": "fp16"},
    }
    assert _precisions(plan) == {"1": "bf16", "2": "float32", "3": "fp16"}
    assert _precisions({"precision": "bf16", "variables": {"a": {"model_sha256": "1"}}}) == {
        "1": "bf16"
    }
    assert _precisions({"seed": 0}) == {}


def test_the_timing_runs_a_network_of_any_kind(toy_sizes):
    config = toy_sizes(2, 3, use_transf=True, other_tiles=((16, 16),))
    state = torch.random.get_rng_state()
    assert 0.01 < half_precision.gain_of_bf16(config) < 100
    assert torch.equal(torch.random.get_rng_state(), state)  # the user's numbers stay
