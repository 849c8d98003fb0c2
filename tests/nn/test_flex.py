"""The network: as published, at any size, without side effects."""

import itertools

import pytest
import torch
from pydantic import ValidationError
from small_networks import inputs, make, predict

from flexclim.errors import ModelError
from flexclim.nn.configuration import SIZES, NetworkSettings, published_network
from flexclim.nn.flex import Flex


@pytest.mark.parametrize("label", ["label0", "label1"])
def test_prediction_is_that_of_the_reference(imported, expected, label):
    weights, network = imported
    values = expected["in/x"], expected["in/t"], expected["in/lowres"], expected[f"in/{label}"]
    with torch.no_grad():
        found = predict(network, *values)
    torch.testing.assert_close(found, expected[f"out/{weights}/pred_{label}"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("imported", ["raw"], indirect=True)
def test_forecast_is_that_of_the_reference(imported, reference, expected):
    _, network = imported
    changed = dict(network.config) | {"conditions": {"superres": 1, "forecast": 2}}
    both = Flex(NetworkSettings(**changed)).eval()
    both.load_state_dict(network.state_dict(), strict=False)
    both.tasks["forecast"].load_state_dict(
        torch.load(reference / "forecast_encoder_tiny.pt", weights_only=True)
    )
    label = expected["in/label0"]
    with torch.no_grad():
        features = both.encode("forecast", expected["in/past"], label)
        found = both(expected["in/x"], expected["in/t"], features, label)
    torch.testing.assert_close(found, expected["out/raw/pred_forecast"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "millions"), [("small", 49.67), ("medium", 199.07), ("big", 950)])
def test_published_sizes_have_their_parameters(size, millions):
    with torch.device("meta"):
        network = Flex(published_network(size))
    count = sum(weight.numel() for weight in network.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.005 if millions < 900 else 0.5)
    assert network.config.model_channels == SIZES[size]["model_channels"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tile": (32, 16), "channels": 3, "conditions": {"superres": 5}},
        {"use_transf": True},
        {"unshuffle": 2, "channels": 2, "conditions": {"superres": 2}},
        {"label_size": 4, "depth": 1},
        {"model_channels": (32, 64), "res_blocks": (0, 2)},
    ],
)
def test_any_size_predicts(changes):
    network = make(**changes)
    x, *others = inputs(network)
    found = predict(network, x, *others)
    assert found.shape == x.shape
    assert torch.isfinite(found).all()
    assert found.std() > 0.01


@pytest.mark.parametrize("use_transf", [False, True])
def test_every_input_matters(use_transf):
    network = make(use_transf=use_transf)
    values = inputs(network)
    found = predict(network, *values)
    for index in range(4):
        changed = list(values)
        changed[index] = values[index] * 0.5
        assert (predict(network, *changed) - found).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("use_transf", "kinds"), [(False, ["both", "weak", "strong"]), (True, ["both", "strong"])]
)
def test_each_way_of_conditioning_predicts_something_else(use_transf, kinds):
    published = make(use_transf=use_transf)
    values, found = inputs(published), []
    for kind in kinds:
        network = make(use_transf=use_transf, conditioning=kind)
        network.load_state_dict(published.state_dict())
        found.append(predict(network, *values))
    assert torch.equal(found[0], predict(published, *values))
    for one, other in itertools.combinations(found, 2):
        assert (one - other).abs().max() > 1e-2


@pytest.mark.parametrize(("kind", "enters"), [("weak", "encoder"), ("strong", "decoder")])
def test_features_enter_only_where_they_should(kind, enters):
    network = make(conditioning=kind)
    x, t, *condition = inputs(network)
    seen = {}
    for part in ("encoder", "decoder"):
        getattr(network, part).register_forward_pre_hook(
            lambda _, values, part=part: seen.update({part: values[-1]})
        )
    features = network.encode("superres", *condition)
    network(x, t, features, condition[1])
    assert [part for part, given in seen.items() if given is not None] == [enters]


def positions_of(network, tile):
    """Return a network of a smaller tile with the same weights, positions by hand: block means."""
    small = make(**dict(network.config) | {"tile": tile, "other_tiles": ()})
    weights = dict(network.state_dict())
    height, width = network.config.bottleneck
    cells = weights["encoder.pos_embed"][0, 1:].reshape(height, width, -1)
    means = cells.unfold(0, 2, 2).unfold(1, 2, 2).mean((-2, -1)).flatten(0, 1)
    weights["encoder.pos_embed"] = torch.cat([weights["encoder.pos_embed"][0, :1], means])[None]
    small.load_state_dict(weights)
    return small


def test_one_network_serves_tiles_of_two_sizes():
    """In the large ones it is the network of those alone, in small ones positions are averaged."""
    network = make(tile=(32, 64), other_tiles=((16, 32),))
    large = make(tile=(32, 64))
    large.load_state_dict(network.state_dict())
    values = inputs(network)
    assert torch.equal(predict(network, *values), predict(large, *values))
    small = positions_of(network, (16, 32))
    values = inputs(small)
    found = predict(network, *values)
    torch.testing.assert_close(found, predict(small, *values), atol=1e-5, rtol=0)
    with pytest.raises(ModelError, match="tiles of 32 x 64 or 16 x 32, not 8 x 16"):
        predict(network, *inputs(make(tile=(8, 16))))


def test_a_network_starts_at_zero():
    network = Flex(make().config).eval()
    with torch.no_grad():
        assert not predict(network, *inputs(network)).any()


def test_no_label_is_a_label_of_zeros():
    network = make()
    x, t, condition, label = inputs(network)
    assert torch.equal(
        predict(network, x, t, condition), predict(network, x, t, condition, 0 * label)
    )


def test_samples_of_a_batch_do_not_meet():
    network = make()
    x, t, condition, label = inputs(network, batch=3)
    together = predict(network, x, t, condition, label)
    for i in range(3):
        one = slice(i, i + 1)
        alone = predict(network, x[one], t[one], condition[one], label[one])
        torch.testing.assert_close(alone, together[one], atol=1e-5, rtol=0)


def test_members_share_the_features_of_a_condition():
    network = make(use_transf=True)
    x, t, condition, label = inputs(network, batch=4)
    index = torch.tensor([0, 0, 1, 1])
    features = network.encode("superres", condition[:2], label[:2]).take(index)
    found = network(x, t, features, label[index])
    alone = predict(network, x, t, condition[index], label[index])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)


def test_channels_last_changes_nothing():
    network = make()
    x, t, condition, label = inputs(network)
    found = predict(network, x, t, condition, label)
    network = network.to(memory_format=torch.channels_last)
    x, condition = (f.to(memory_format=torch.channels_last) for f in (x, condition))
    torch.testing.assert_close(predict(network, x, t, condition, label), found, atol=1e-5, rtol=0)


def test_a_pass_draws_no_random_number_and_keeps_its_inputs():
    network = make()
    values = inputs(network)
    before = [value.clone() for value in values]
    state = torch.get_rng_state()
    predict(network, *values)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(values, before, strict=True))


def test_a_network_of_no_memory_draws_no_random_number():
    state = torch.get_rng_state()
    with torch.device("meta"):
        Flex(make().config)
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_acts_in_training_only():
    network = make(dropout=0.5)
    values = inputs(network)
    assert torch.equal(predict(network, *values), predict(network, *values))
    network.train()
    assert not torch.equal(predict(network, *values), predict(network, *values))


def test_another_tile_is_refused():
    network = make()
    x, *others = inputs(network)
    with pytest.raises(ModelError, match="tiles of 16 x 32, not 16 x 16"):
        predict(network, x[..., :16], *others)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": (18, 32)}, "18 x 32 is not divisible by 4"),
        ({"res_blocks": (1,)}, "res_blocks has 1 numbers, model_channels 2"),
        ({"model_channels": (32, 48)}, "48, which is not divisible by 32"),
        ({"num_heads": 3}, "are not divisible by 3 heads"),
        ({"use_transf": True, "conditioning": "weak"}, "weak conditioning uses no tokens"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        make(**changes)
    with pytest.raises(ModelError, match="'large' is not one of small, medium, big"):
        published_network("large")
