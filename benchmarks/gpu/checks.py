"""Checks before training on a GPU: tests that need one, and its numbers against those of the CPU.

    python -m benchmarks.gpu.checks RECIPE [SETTING=VALUE ...]

Prints one JSON object a line. A random network predicts from the same inputs on both devices, and
each recipe takes two steps of each stage on both, in float32 and in bf16.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.flex import Flex
from flexclim.nn.weights_file import compute_in
from flexclim.train import load_recipe
from flexclim.train.data.training_data import TrainingData, open_training_data
from flexclim.train.loop.learner import Learner
from flexclim.train.loop.processes import Ranks
from flexclim.train.recipes.recipe import Recipe

TESTS = ("nn/test_copies.py", "nn/test_device_noise.py", "sampling/test_tiled_sampler.py")
BATCH, STEPS = 4, 2
# Relative errors: of a prediction, and of losses, which follow from weights updated before.
LIMITS = {"float32": (1e-3, 5e-3), "bf16": (0.05, 0.1)}
TOY = ("trainer.accumulate=1", "trainer.compile=false", "trainer.checkpointing=false")


@dataclass(frozen=True)
class Check:
    """One comparison: it passes if ``error`` is at most ``limit``."""

    name: str
    error: float
    limit: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the error is finite and within its limit."""
        return bool(self.error <= self.limit)


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = [argument for argument in sys.argv[1:] if "=" in argument]
    recipes = [
        load_recipe(argument, [*settings, *TOY]) for argument in sys.argv[1:] if "=" not in argument
    ]
    for check in checks(recipes, device):
        print(json.dumps(asdict(check) | {"passed": check.passed}), flush=True)


def checks(recipes: Sequence[Recipe], device: torch.device) -> Iterator[Check]:
    """Yield the results of all checks, one by one."""
    if device.type == "cuda":
        yield tests()
    for precision, (limit, _) in LIMITS.items():
        began = time.perf_counter()
        error = prediction_error(device, precision)
        yield Check(f"prediction, {precision}", error, limit, time.perf_counter() - began)
    for recipe in recipes:
        own = shortened(recipe)
        data = open_training_data(own)
        expected = losses(own, data, torch.device("cpu"), "float32")
        for precision, (_, limit) in LIMITS.items():
            began = time.perf_counter()
            error = np.max(np.abs(losses(own, data, device, precision) / expected - 1))
            name = f"losses of {recipe.name}, {precision}"
            yield Check(name, float(error), limit, time.perf_counter() - began)


def tests() -> Check:
    """Run the tests that need a GPU; the error is pytest's exit status."""
    began = time.perf_counter()
    root = Path(__file__).parents[2] / "tests"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-n", "0"]
    done = subprocess.run(
        [*command, *(str(root / name) for name in TESTS)], cwd=root.parent, capture_output=True
    )
    print(done.stdout.decode()[-2000:], file=sys.stderr)
    return Check("tests that need a GPU", done.returncode, 0, time.perf_counter() - began)


def prediction_error(device: torch.device, precision: str) -> float:
    """Return the RMS difference of a prediction from that of the CPU in float32, over its size."""
    torch.manual_seed(0)
    own = Flex(NetworkSettings()).eval()
    for weights in own.parameters():
        if weights.ndim > 1 and not weights.any():  # as output layers are at first
            torch.nn.init.normal_(weights, std=0.02)
    noise, condition = torch.randn((2, BATCH, 1, *own.config.tile))
    t, label = torch.linspace(0.1, 1, BATCH), torch.full((BATCH, 1), 2.0)
    found = []
    for place, kind in (("cpu", "float32"), (str(device), precision)):
        network = compute_in(copy.deepcopy(own), kind).to(place)
        x, times, given, mark = (one.to(place) for one in (noise, t, condition, label))
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            features = network.encode("superres", given, mark)
            found.append(network(x, times, features, mark).float().cpu())
    return float((found[1] - found[0]).square().mean().sqrt() / found[0].std())


def shortened(recipe: Recipe) -> Recipe:
    """Return a recipe of a few small steps in each stage, without dropout."""
    few = {"batch": BATCH, "steps": STEPS, "warmup": 0}
    return recipe.model_copy(
        update={
            "trainer": recipe.trainer.model_copy(update=few),
            "network": recipe.network.model_copy(update={"dropout": 0.0}),
            "ensemble": recipe.ensemble.model_copy(update={"steps": STEPS}),
        }
    )


def losses(recipe: Recipe, data: TrainingData, device: torch.device, precision: str) -> np.ndarray:
    """Return the loss of each step."""
    trainer = recipe.trainer.model_copy(update={"precision": precision})
    own = recipe.model_copy(update={"trainer": trainer})
    learner = Learner(own, data, Ranks(device=device), 0)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        steps = range(2 * STEPS)
        return np.array(
            [learner.step(step, data.train.batch(step, BATCH))[0].loss for step in steps]
        )


if __name__ == "__main__":
    main()
