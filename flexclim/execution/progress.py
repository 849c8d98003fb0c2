"""Progress bars in a terminal; nothing is shown elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar() -> Iterator[None]:
    """Show how many tasks dask has completed, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from dask.diagnostics.progress import ProgressBar

    with ProgressBar(out=sys.stderr):
        yield


@contextmanager
def item_counter(total: int, noun: str) -> Iterator[Callable[[], None]]:
    """Yield a function to call for each completed item; a terminal shows a bar and times.

    Parameters
    ----------
    total
        How many items there are.
    noun
        The plural that names items.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(noun),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(noun, total=total)
        yield lambda: progress.advance(bar)
