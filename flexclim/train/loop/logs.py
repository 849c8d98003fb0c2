"""Numbers of a run, step by step: always ``log.csv``, and TensorBoard or Weights & Biases.

Steps after the one that a run resumes from were lost with it; their rows go.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from flexclim import files
from flexclim.errors import RecipeError

FILE = "log.csv"
# Those of all runs, in front; scores of single targets and of bands of waves follow.
COLUMNS = (
    "step", "seconds", "loss", "norm", "learning_rate", "patches_per_second",
    "validation", "rmse", "crps", "spread_skill",
    "log_spectral_distance", "interpolation_log_spectral_distance",
)  # fmt: skip


class Log(Protocol):
    """Takes named numbers of a step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add the numbers of one step."""

    def flush(self) -> None:
        """Have everything on disk that was written so far."""

    def close(self) -> None:
        """Flush, and end."""


class CsvLog:
    """``log.csv``: a row a step, empty where a number was not measured.

    A number of a new name adds a column: the file is written anew, as when a run resumes.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / FILE
        rows = [row for row in read_log(self._path) if int(row["step"]) <= step]
        self._begin(rows, dict.fromkeys(name for row in rows[:1] for name in row))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row."""
        if not values.keys() <= set(self._writer.fieldnames):
            self._file.close()
            self._begin(read_log(self._path), [*self._writer.fieldnames, *values])
        self._writer.writerow(
            {name: f"{value:.6g}" for name, value in values.items()} | {"step": step}
        )

    def _begin(self, rows: list[dict[str, str]], names: Iterable[str]) -> None:
        """Write rows with columns of these names, and open the file for more."""
        columns = list(dict.fromkeys([*COLUMNS, *names]))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
        files.write(self._path, text.getvalue().encode())
        self._file = self._path.open("a", newline="", encoding="utf-8", buffering=1)
        self._writer = csv.DictWriter(self._file, columns, restval="")

    def flush(self) -> None:
        """Rows went to the system as they came."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoardLog:
    """Event files in ``tensorboard/``."""

    def __init__(self, folder: Path, step: int) -> None:
        _need("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add one scalar a number."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write events out."""
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


class WandbLog:
    """A run of Weights & Biases; ``WANDB_MODE=offline`` keeps it in ``wandb/``."""

    def __init__(self, folder: Path, name: str, settings: dict[str, Any]) -> None:
        wandb = _need("wandb", "wandb")
        known = folder / "wandb_run"
        if not known.exists():
            files.write(known, uuid4().hex[:12].encode())
        self._run = wandb.init(
            project="flexclim",
            name=name,
            id=known.read_text(),
            resume="allow",
            dir=str(folder),
            config=settings,
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Log the numbers of a step."""
        self._run.log(dict(values), step=step)

    def flush(self) -> None:
        """Leave it to the service's own process."""

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def open_logs(
    folder: Path, step: int, loggers: Sequence[str], name: str, settings: dict[str, Any]
) -> list[Log]:
    """Open the logs of a run that stands at ``step``.

    Raises
    ------
    RecipeError
        If the package of a logger is not installed.
    """
    logs: list[Log] = [CsvLog(folder, step)]
    if "tensorboard" in loggers:
        logs.append(TensorBoardLog(folder, step))
    if "wandb" in loggers:
        logs.append(WandbLog(folder, name, settings))
    return logs


def read_log(path: Path) -> list[dict[str, str]]:
    """Return the whole rows of a log; a missing file has none."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            row
            for row in csv.DictReader(file)
            if row.get("step", "").isdigit() and None not in (*row, *row.values())
        ]


def _need(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise RecipeError(
            f"trainer.loggers names {module}, which is not installed: "
            f"pip install 'flexclim[{extra}]'."
        ) from None
