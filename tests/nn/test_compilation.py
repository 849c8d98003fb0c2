"""What is recorded on a GPU, by a recording that is none: CUDA graphs are tested on GPUs."""

from functools import partial

import pytest
import torch

from flexclim.nn import compilation as programs
from flexclim.nn.flex import TaskFeatures


def features(seed, tokens):
    random = torch.Generator().manual_seed(seed)
    maps, skips = torch.randn(2, 3, generator=random), torch.randn(1, 3, generator=random)
    return TaskFeatures(tuple(maps), tuple(skips), skips[0] + 1 if tokens else None)


@pytest.mark.parametrize("tokens", [True, False])
def test_values_get_other_tensors_in_the_same_places(tokens):
    first, second = features(0, tokens), features(1, tokens)
    x, y = torch.zeros(2), torch.ones(2)
    taken = programs._tensors(["task", y, second])
    assert len(taken) == 4 + tokens
    task, found, other = programs._with(["task", x, first], taken)
    assert (task, found is y) == ("task", True)
    assert all(a is b for a, b in zip(other.tensors, second.tensors, strict=True))
    assert other.tokens is second.tokens


def test_a_recording_serves_all_inputs_of_its_shapes(monkeypatch):
    made = []

    class Recording:
        def __init__(self, work, given):
            made.append(given)
            self.work = work

        def replay(self, given):
            return self.work(*given)

    monkeypatch.setattr(programs, "_Recording", Recording)
    recorded = programs.Recorded(lambda task, x: x + 1)
    for task, size in (("a", 2), ("a", 2), ("b", 2), ("a", 2), ("a", 3)):
        x = torch.arange(float(size))
        assert torch.equal(recorded(task, x), x + 1)
    assert [(task, len(x)) for task, x in made] == [("a", 2), ("b", 2), ("a", 3)]
    recorded("a", torch.zeros(2))  # of three shapes two are kept
    assert len(made) == 4
    programs.forget()
    recorded("a", torch.zeros(2))
    assert len(made) == 5


def test_a_cpu_runs_a_network_as_it_is(toy_model):
    network = toy_model.network
    assert programs.programs(network, compiled=False) == (network, network.encode)


@pytest.mark.slow
def test_a_network_is_compiled_for_any_number_of_shapes(toy_model, monkeypatch):
    """By itself torch gives up at the ninth of a process. Traced and run by torch here."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    network = toy_model.network
    _, encode = programs.programs(network, compiled=True)
    channels = next(iter(network.config.conditions.values()))
    for count in range(1, 11):
        tile = torch.zeros(count, channels, *network.config.tile)
        label = torch.zeros(count, network.config.label_size)
        with torch.inference_mode():
            assert len(encode("superres", tile, label).maps[0]) == count
