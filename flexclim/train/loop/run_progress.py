"""Progress of a run: a bar in a terminal, one line a validation elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Shows the loss, patches a second, memory and the time left; nothing on a quiet rank."""

    def __init__(self, name: str, done: int, steps: int, *, quiet: bool = False) -> None:
        self.console = Console(file=sys.stderr, quiet=quiet)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(
                "loss {task.fields[loss]:.4f}  {task.fields[rate]:.1f} patches/s  "
                "{task.fields[memory]:.1f} GB"
            ),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task(
            name, completed=done, total=steps, loss=float("nan"), rate=0, memory=0
        )

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, step: int, loss: float, rate: float) -> None:
        """Move the bar."""
        if not self.bar.disable:
            self.bar.update(
                self.task, completed=step, loss=loss, rate=rate, memory=peak_memory() / 1e9
            )

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def report(self, step: int, scores: dict[str, float]) -> None:
        """Print one line of scores."""
        text = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.console.print(f"step {step}  {text}", highlight=False, soft_wrap=True)


def peak_memory() -> int:
    """Return the most bytes that were in use: of the GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
