"""Progress of a run: a bar in a terminal, one line a validation elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Shows the loss, patches a second and the time left."""

    def __init__(self, name: str, done: int, steps: int) -> None:
        self.console = Console(file=sys.stderr)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:.1f} patches/s"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(name, completed=done, total=steps, loss=float("nan"), rate=0)

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, step: int, loss: float, rate: float) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=step, loss=loss, rate=rate)

    def report(self, step: int, scores: dict[str, float]) -> None:
        """Print one line of scores."""
        text = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.console.print(f"step {step}  {text}", highlight=False)
