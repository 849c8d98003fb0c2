import math

import numpy as np
import pytest
import torch

from flexclim.errors import RecipeError
from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex
from flexclim.train import fit
from flexclim.train.data.batches import Batch
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.logs import read_log
from flexclim.train.loop.losses import (
    DenoisingLoss,
    EnsembleLoss,
)
from flexclim.train.loop.optimizers import make_optimizer
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.training_step import TrainingStep, own_positions
from flexclim.train.recipes.recipe import Trainer

HALF = pytest.mark.slow  # on CPUs arithmetic of 16 bits takes several times as long


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(["trainer.precision=bf16"], marks=HALF),
        pytest.param(["trainer.precision=fp16"], marks=HALF),
        ["trainer.optimizer=lion", "trainer.learning_rate=1e-4"],
        ["diffusion.times=stratified", "ensemble.spectrum=0.1", "ensemble.members=3"],
    ],
)
def test_ways_of_training(folder, overrides, read, weights):
    model = fit(read(folder, "trainer.steps=2", "ensemble.steps=1", *overrides))
    assert all(part.isfinite().all() for part in weights(model).values())


@pytest.fixture
def losses_of(one_level, batch):
    """Return a function that returns the losses of the first steps on a batch of four patches."""

    def losses(dropout=0.0, **settings):
        torch.manual_seed(0)
        network = Flex(NetworkSettings(tile=(16, 16), dropout=dropout, **one_level))
        settings = Trainer(batch=4, **settings)
        network.recompute(settings.checkpointing)
        optimizer = make_optimizer("adamw", network.parameters(), 0.01)
        loss = DenoisingLoss(network, Diffusion())
        step = TrainingStep(loss, optimizer, Averages(network, 0.9), Ranks(), settings)
        return [step.take(number, batch(4), 1e-3).loss for number in range(4)]

    return losses


def test_recomputing_changes_no_number(losses_of):
    assert losses_of(dropout=0.1, checkpointing=True) == losses_of(dropout=0.1)


def test_parts_add_up_to_the_batch(losses_of):
    np.testing.assert_allclose(losses_of(accumulate=4), losses_of(), rtol=1e-4)


@pytest.mark.slow
def test_recomputing_and_parts_change_no_number_of_a_run(folder, tiny):
    def losses(output, *overrides):
        fit(tiny(folder, output, "trainer.batch=4", *overrides))
        return [float(row["loss"]) for row in read_log(folder / output / "log.csv")]

    whole = losses("whole", "network.dropout=0.1")
    assert losses("recomputed", "network.dropout=0.1", "trainer.checkpointing=true") == whole
    parts = losses("parts", "trainer.accumulate=4")
    np.testing.assert_allclose(parts, losses("together"), rtol=1e-4)


@pytest.mark.slow
def test_one_bad_step_is_skipped(folder, monkeypatch, tiny, weights):
    recipe = tiny(folder, "run", "trainer.max_nonfinite_steps=2")
    loss = TrainingStep._loss

    def sometimes(stage, step, *rest):
        return loss(stage, step, *rest) * (math.nan if step == 1 else 1)

    monkeypatch.setattr(TrainingStep, "_loss", sometimes)
    model = fit(recipe)
    assert all(part.isfinite().all() for part in weights(model).values())
    assert read_log(folder / "run" / "log.csv")[1]["norm"] == "nan"


def test_ranks_share_a_batch():
    parts = [own_positions(12, 2, Ranks(rank=rank, world=3)) for rank in range(3)]
    assert [list(part) for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    with pytest.raises(RecipeError, match="batch 10 is not a multiple of 3 ranks times 2 parts"):
        own_positions(10, 2, Ranks(world=3))


@pytest.fixture
def batch():
    """Return a function that makes a batch of random patches."""

    def made(size):
        random = torch.Generator().manual_seed(0)
        return Batch(
            inputs=torch.randn(size, 3, 16, 16, generator=random).numpy(),
            residual=torch.randn(size, 2, 16, 16, generator=random).numpy(),
            label=np.zeros((size, 1), "float32"),
            scale=np.ones((size, 2), "float32"),
        )

    return made


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize("members", [None, 2])
def test_a_step_on_unknown_residuals_keeps_weights_finite(
    network, known, batch, members, precision
):
    optimizer = torch.optim.AdamW(network.parameters())
    batch = batch(2)
    batch.residual[~known.numpy()] = np.nan
    settings = Trainer(batch=2, precision=precision)
    diffusion = Diffusion()
    ensemble = {"steps": 2, "method": "euler", "gradient": 0.5, "mean": 0.5, "spectrum": 0.1}
    loss = (
        EnsembleLoss(network, diffusion, **ensemble)
        if members
        else DenoisingLoss(network, diffusion)
    )
    averages = Averages(network, 0.9)
    training_step = TrainingStep(loss, optimizer, averages, Ranks(), settings, members=members)
    before = [weights.clone() for weights in network.parameters()]
    for number in range(20):  # in fp16 the first ones may search for a loss scale
        outcome = training_step.take(number, batch, 1e-3)
        assert not outcome.faulty
        if outcome.applied:
            break
    assert outcome.applied
    after = list(network.parameters())
    assert all(weights.isfinite().all() for weights in after)
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
