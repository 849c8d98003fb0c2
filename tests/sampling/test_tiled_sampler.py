from functools import partial

import numpy as np
import pytest
import torch

from flexclim.grids.domain import Domain
from flexclim.nn.sampler import sample, time_grid
from flexclim.planning.tiles import plan_tiles
from flexclim.sampling.tiled_sampler import TiledSampler

LABEL = np.zeros(1, "float32")
GLOBE = Domain(shape=(72, 96), wrap=True, north="pole_edge", south="pole_edge")


@pytest.fixture
def make(toy_model):
    def sampler(domain=GLOBE, **options):
        plan = plan_tiles(domain, (32, 32), 4, 8)
        where = options.pop("device", "cpu"), options.pop("precision", "float32")
        network = toy_model.network_on(*where)
        settings = {"batch": 5} | options
        return TiledSampler(network, toy_model.diffusion, plan, **settings)

    return sampler


def fields(domain=GLOBE, members=2):
    random = np.random.default_rng(0)
    shape = (members, 1, *domain.shape)
    return (
        random.normal(size=(1, *domain.shape)).astype("float32"),
        random.normal(size=shape).astype("float32"),
    )


@torch.inference_mode()
def test_one_tile_is_the_plain_sampler(make, toy_model):
    domain = Domain(shape=(32, 32))
    inputs, noise = fields(domain)
    network, diffusion = toy_model.network, toy_model.diffusion
    condition = torch.from_numpy(inputs)[None].repeat(2, 1, 1, 1)
    features = network.encode("superres", condition)

    def estimate(state, time):
        t = torch.full((2,), time)
        return diffusion.clean(network(state, t, features), state, t)

    for method in ("ddim", "euler"):
        state = torch.from_numpy(noise)
        expected = sample(estimate, state, diffusion, time_grid(3), method)
        found = make(domain).sample(inputs, LABEL, noise, 3, method)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("members", [1, 3])
def test_features_that_are_not_kept_are_made_again_for_all_members(make, members, monkeypatch):
    inputs, noise = fields(members=members)
    sampler, encoded = make(), []
    encode = sampler._encoder

    def counted(*given):
        encoded.append(given)
        return encode(*given)

    kept = sampler.sample(inputs, LABEL, noise, 2, "euler", sampler.encode(inputs, LABEL))
    monkeypatch.setattr(sampler, "_encoder", counted)
    again = sampler.sample(inputs, LABEL, noise, 2, "euler")
    np.testing.assert_allclose(again, kept, atol=1e-5)
    assert len(encoded) == 2 * -(-sampler.windows // sampler.batch)


@pytest.mark.slow
def test_a_network_is_compiled_as_a_whole(make, monkeypatch):
    """Traced and run by torch itself, as making a program for a CPU takes half a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    inputs, noise = fields(Domain(shape=(32, 48)))
    expected = make(Domain(shape=(32, 48))).sample(inputs, LABEL, noise, 2, "euler")
    sampler = make(Domain(shape=(32, 48)), compiled=True)
    found = sampler.sample(inputs, LABEL, noise, 2, "euler", sampler.encode(inputs, LABEL))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert sampler._forward is not sampler.network


@pytest.mark.parametrize("kept", [True, False])
def test_members_may_read_fields_of_their_own(make, kept):
    first, noise = fields()
    own = np.stack([first, first[..., ::-1].copy()])
    sampler = make()
    features = sampler.encode(own, LABEL) if kept else None
    found = sampler.sample(own, LABEL, noise, 2, "euler", features)
    for member in (0, 1):
        one = slice(member, member + 1)
        alone = sampler.sample(own[member], LABEL, noise[one], 2, "euler")
        np.testing.assert_allclose(found[one], alone, atol=1e-5)
    assert np.abs(found[1] - sampler.sample(first, LABEL, noise, 2, "euler")[1]).max() > 0.1


def test_tiles_see_across_the_date_line_and_the_pole(make):
    """Turning the globe by tiles' common stride turns the result; no place is special."""
    inputs, noise = fields()
    sampler = make()
    stride = 24
    assert set(np.diff(sampler.tiles.columns.starts)) == {stride}
    found = sampler.sample(inputs, LABEL, noise, 2, "euler")
    turned = sampler.sample(
        np.roll(inputs, stride, -1), LABEL, np.roll(noise, stride, -1), 2, "euler"
    )
    np.testing.assert_allclose(turned, np.roll(found, stride, -1), atol=1e-5)


def test_spread_widens_about_the_one_step_mean(make):
    inputs, noise = fields()
    mean = make().sample(inputs, LABEL, noise, 1, "ddim")
    once, twice = (make(spread=s).sample(inputs, LABEL, noise, 2, "euler") for s in (1.0, 2.0))
    np.testing.assert_allclose(twice - mean, 2 * (once - mean), atol=1e-4)


def test_bf16_is_close(make):
    inputs, noise = fields(members=1)
    exact = make().sample(inputs, LABEL, noise, 2, "euler")
    rough = make(precision="bf16").sample(inputs, LABEL, noise, 2, "euler")
    error = np.sqrt(np.mean((rough - exact) ** 2)) / exact.std()
    assert 1e-6 < error < 0.02


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("precision", "near"), [("float32", 1e-4), ("bf16", 0.1)])
def test_a_gpu_gives_the_same(make, compiled, precision, near):
    inputs, noise = fields()
    expected = make().sample(inputs, LABEL, noise, 2, "euler")
    sampler = make(device="cuda", precision=precision, compiled=compiled)
    for features in (None, sampler.encode(inputs, LABEL)):
        found = sampler.sample(inputs, LABEL, noise, 2, "euler", features)
        np.testing.assert_allclose(found, expected, atol=near)


def test_shared_weights_are_never_rearranged(make, toy_model):
    """Other threads read the same weights, which are laid out once, when they are loaded."""
    network = toy_model.network
    before = {name: (p.data_ptr(), p.stride()) for name, p in network.named_parameters()}
    assert all(
        p.is_contiguous(memory_format=torch.channels_last)
        for p in network.parameters()
        if p.ndim == 4
    )
    inputs, noise = fields()
    make().sample(inputs, LABEL, noise, 2, "ddim")
    assert {name: (p.data_ptr(), p.stride()) for name, p in network.named_parameters()} == before
