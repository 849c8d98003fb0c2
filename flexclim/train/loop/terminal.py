"""What a run prints on stderr: a banner, a bar (or lines, if redirected), scores and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from math import isfinite
from types import TracebackType

import torch

from flexclim.execution.progress import duration_text, has_bars, open_bar

TIMED = 10  # steps after which the time left is first told
# The name of the run, steps, time left, and then loss, speed and memory.
STYLE = "{l_bar}{bar}| {n_fmt}/{total_fmt} steps, {remaining} left{postfix}"


class Terminal:
    """Loss, patches per second, memory and time left.

    Parameters
    ----------
    name
        Title of the bar.
    done, steps
        Steps taken, and in all.
    """

    def __init__(self, name: str, done: int, steps: int, *, quiet: bool = False) -> None:
        self.steps, self.quiet = steps, quiet
        self.bar = open_bar(
            desc=name,
            initial=done,
            total=steps,
            bar_format=STYLE,
            dynamic_ncols=True,
            disable=quiet or not has_bars(),
        )
        self._taken, self._began = 0, time.monotonic()
        self._losses: list[float] = []

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.bar.close()

    def update(self, step: int, loss: float, rate: float) -> None:
        """Count a step, and move the bar."""
        self._taken += 1
        if isfinite(loss):
            self._losses.append(loss)
        if self._taken == TIMED:
            self.say(f"step {step} of {self.steps}  {self._time_left(step)}")
        if not self.bar.disable:
            loss_text = f"loss {loss:.4f}" if isfinite(loss) else "loss not finite"
            numbers = f"{loss_text}  {rate:.1f} patches/s  {peak_memory() / 1e9:.1f} GB"
            self.bar.set_postfix_str(numbers, refresh=False)
            self.bar.update(step - self.bar.n)

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            self.bar.write(text, file=sys.stderr)

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        """Print scores on one line, after the mean loss since the last line.

        Numbers that are not finite are left out.
        """
        shown = {name: value for name, value in scores.items() if isfinite(value)}
        if self._losses:
            shown = {"loss": sum(self._losses) / len(self._losses)} | shown
            self._losses = []
        parts = [f"{name} {value:.4f}" for name, value in shown.items()]
        self.say("  ".join([f"step {step} of {self.steps}", *parts, self._time_left(step)]).strip())

    def _time_left(self, step: int) -> str:
        """Return the time left at the speed of this process so far, scores and files included."""
        if step >= self.steps or not self._taken:
            return ""
        seconds = (time.monotonic() - self._began) / self._taken
        return f"{duration_text(seconds * (self.steps - step))} left"


def peak_memory() -> int:
    """Return the peak memory use in bytes: of the GPU if there is one, else resident memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
