"""Batches that fit into memory, and what happens if they do not after all."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from coarse_fields import region

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimWarning, StoreError
from flexclim.execution import batch_size, devices
from flexclim.execution.batch_size import choose_batch, pass_bytes
from flexclim.grids.domain import Domain
from flexclim.nn.flex import Flex
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.planning.tiles import plan_tiles
from flexclim.sampling.downscaling_graph import prepare_planes
from flexclim.sampling.plane_identity import PlaneIdentities
from flexclim.sampling.tiled_sampler import TiledSampler


def field():
    return region(1, 14, 14)


def test_a_batch_fits_what_is_free(toy_model):
    network = toy_model.settings.network
    one = pass_bytes(network)
    assert choose_batch(network, "cpu", "float32", 10 * one) == 5
    assert choose_batch(network, "cpu", "float32", 0) == 1
    assert choose_batch(network, "cpu", "float32", 2**50) == 64
    assert choose_batch(network, "cuda:1", "bf16", 2**50) == 1024


def test_the_plan_takes_what_a_small_machine_has(toy_model, monkeypatch, tmp_path):
    few = 6 * pass_bytes(toy_model.settings.network) * torch.get_num_threads()
    monkeypatch.setattr(devices, "free_memory", lambda device: few)
    options = {"model": toy_model, "members": 1, "device": "cpu"}
    assert downscale(field(), 4, **options).attrs["flexclim_batch"] == 3
    stored = downscale_to_zarr(field(), tmp_path / "a.zarr", 4, **options)
    monkeypatch.undo()
    again = downscale_to_zarr(field(), tmp_path / "a.zarr", 4, **options)
    assert stored.attrs["flexclim_batch"] == again.attrs["flexclim_batch"] == 3


@pytest.mark.slow
def test_a_store_goes_on_as_it_was_compiled(toy_model, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    asked = {"factor": 4, "model": toy_model, "device": "cpu"}
    downscale_to_zarr(field(), tmp_path / "a.zarr", members=1, compile=True, **asked)
    stored = downscale_to_zarr(field(), tmp_path / "a.zarr", members=2, **asked)
    assert stored.attrs["flexclim_compiled"] == "true"
    plain = downscale(field(), members=2, **asked)
    assert "flexclim_compiled" not in plain.attrs
    scale = float(plain.std())
    np.testing.assert_allclose(stored["t"], plain, atol=1e-5 * scale)
    with pytest.raises(StoreError, match='compiled "true", not null'):
        downscale_to_zarr(field(), tmp_path / "a.zarr", members=2, compile=False, **asked)


def test_the_estimate_is_near_what_tensors_take(toy_model):
    """The sum of the sizes of all tensors that live at once, as torch's profiler counts them."""
    network, tile = toy_model.network, torch.randn(4, 1, 32, 32)
    with torch.inference_mode(), torch.profiler.profile(profile_memory=True) as profile:
        features = network.encode("superres", tile)
        network(tile, torch.ones(4), features)
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = np.cumsum([event.nbytes() for event in sorted(events, key=lambda e: e.start_ns())])
    assert 0.5 < held.max() / 4 / pass_bytes(toy_model.settings.network) < 1.5


def short_of_memory(monkeypatch, most):
    """Let passes of more than ``most`` tiles fail as they do on a CPU."""
    for name in ("forward", "encode"):
        whole = getattr(Flex, name)

        def fails(self, first, second, *rest, whole=whole, name=name):
            tiles = second if name == "encode" else first
            if len(tiles) > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
            return whole(self, first, second, *rest)

        monkeypatch.setattr(Flex, name, fails)


def test_a_batch_that_does_not_fit_is_split_and_reported(toy_model, tmp_path, monkeypatch):
    options = {"model": toy_model, "members": 3, "batch": 8, "precision": "float32"}
    whole = downscale(field(), 4, **options)
    short_of_memory(monkeypatch, most=3)
    with pytest.warns(FlexclimWarning, match="of 8 tiles, so they had 2"):
        stored = downscale_to_zarr(field(), tmp_path / "a.zarr", 4, **options)
    scale = float(whole.std())
    np.testing.assert_allclose(stored["t"].values, whole.values, atol=1e-5 * scale, rtol=0)
    assert "of 8 tiles, so they had 2" in stored.attrs["flexclim_notes"]


def test_a_tile_that_does_not_fit_is_an_error(toy_model, monkeypatch):
    short_of_memory(monkeypatch, most=0)
    tiles = plan_tiles(Domain(shape=(40, 40)), (32, 32), 4, 8)
    sampler = TiledSampler(toy_model.network, toy_model.diffusion, tiles, batch=4)
    with pytest.raises(RuntimeError, match="allocate"):
        sampler.encode(np.zeros((1, 40, 40), "float32"), np.zeros(1, "float32"))
    assert sampler.pass_size == 1


def test_other_errors_are_not_taken_for_it():
    assert not batch_size.is_out_of_memory(
        RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    )
    assert batch_size.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_dask_knows_the_size_of_what_members_share(toy_model):
    import pickle

    from dask.sizeof import sizeof

    prepared, expected = prepared_field(toy_model)
    assert sizeof(prepared) >= expected
    sent = pickle.loads(pickle.dumps(prepared))
    assert torch.equal(sent.features.maps[0], prepared.features.maps[0])


def test_features_stay_on_their_gpu(toy_model):
    import pickle
    from types import SimpleNamespace

    from flexclim.sampling import downscaling_graph as members

    prepared, _ = prepared_field(toy_model)
    plan = planned(toy_model)
    on_gpu = replace(prepared, features=SimpleNamespace(maps=[SimpleNamespace(is_cuda=True)]))
    sent = pickle.loads(pickle.dumps(on_gpu))
    assert sent.features is None
    place = PlaneIdentities(field(), plan.sampling)
    found, expected = (members.sample_members([p], plan, place, (0,)) for p in (sent, prepared))
    np.testing.assert_array_equal(found, expected)


def planned(model):
    asked = DownscalingOptions(factor=4, members=1, batch=2, device="cpu")
    return plan_downscaling(resolve(field()), ["t"], ["t"], model, asked)


def prepared_field(model):
    """Return what members share, and at least how many bytes it has."""
    plan = planned(model)
    place = PlaneIdentities(field(), plan.sampling)
    prepared = prepare_planes([field().values], None, None, plan, place)
    return prepared, prepared.inputs.nbytes + prepared.features.maps[0].nbytes
