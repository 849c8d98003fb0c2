"""The lines with which a run begins: device, parameters, samples and steps."""

from __future__ import annotations

from collections.abc import Sequence

from flexclim.execution.precision import has_bf16
from flexclim.nn.flex import Flex
from flexclim.train.data.sources import TrainingSource
from flexclim.train.loop.finished_model import hardware
from flexclim.train.loop.processes import Ranks
from flexclim.train.recipes.recipe import Recipe


def banner(recipe: Recipe, sources: Sequence[TrainingSource], network: Flex, ranks: Ranks) -> str:
    """Describe a run: ``sources`` are those of the training split."""
    trainer = recipe.trainer
    weights = [p.numel() for p in network.parameters()]
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    part = "" if trained == sum(weights) else f", {number(trained)} of them trained"
    start = f", from {recipe.start}" if recipe.start else ""
    fields = sum(source.stamps.size for source in sources)
    height, width = recipe.network.tile
    checked = trainer.validation_patches
    stages = {"denoising": trainer.steps, "few-step fine-tuning": recipe.ensemble.steps}
    planned = " + ".join(f"{steps} of {name}" for name, steps in stages.items() if steps)
    stop = trainer.early_stopping
    ends = f", ends after {stop} scores in a row without a better CRPS" if stop else ""
    rows = {
        "device": f"{hardware(ranks)}, {trainer.precision}{_slow(trainer.precision, ranks)}",
        "network": f"{number(sum(weights))} parameters{part}{start}",
        "samples": f"patches of {height} x {width} cells from {fields} fields; {checked} patches "
        "of other times to validate",
        "steps": f"{planned or 'none'}, each of {trainer.batch} patches{ends}",
        "folder": str(recipe.folder),
    }
    return "\n".join([recipe.name, *(f"  {name:10}{text}" for name, text in rows.items())])


def _slow(precision: str, ranks: Ranks) -> str:
    """Return what to do where half precision may take several times as long as float32."""
    if precision == "float32" or ranks.device.type != "cpu" or (precision == "bf16" and has_bf16()):
        return ""
    return " (slow on this processor: set trainer.precision=float32)"


def number(count: int) -> str:
    """Return a number of parameters in thousands or millions.

    >>> number(810), number(110_468), number(7_822_692)
    ('810', '110 k', '7.82 M')
    """
    if count < 1000:
        return str(count)
    return f"{count / 1e3:.3g} k" if count < 1e6 else f"{count / 1e6:.3g} M"
