"""Where the numbers of each step and pictures go: ``log.csv``, TensorBoard, Weights & Biases.

When a run resumes from a checkpoint, rows of later steps are deleted.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from flexclim import files
from flexclim.errors import RecipeError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FILE = "log.csv"
# First columns of every log; scores by target and by wavelength band follow.
COLUMNS = (
    "step", "seconds", "loss", "norm", "learning_rate", "patches_per_second",
    "validation", "rmse", "crps", "spread_skill",
    "log_spectral_distance", "interpolation_log_spectral_distance",
)  # fmt: skip


class Log(Protocol):
    """Receives the named numbers of each step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add the numbers of one step."""

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Add pictures, PNG files by name, of one step."""

    def flush(self) -> None:
        """Write everything so far to disk."""

    def close(self) -> None:
        """Flush and close."""


class CsvLog:
    """``log.csv``: one row per step, with empty cells for numbers not measured.

    A new name adds a column, for which the file is rewritten.
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

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Do nothing: pictures lie beside the file."""

    def _begin(self, rows: list[dict[str, str]], names: Iterable[str]) -> None:
        """Write rows with the given columns, and leave the file open for more."""
        columns = list(dict.fromkeys([*COLUMNS, *names]))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
        files.write(self._path, text.getvalue().encode())
        self._file = self._path.open("a", newline="", encoding="utf-8", buffering=1)
        self._writer = csv.DictWriter(self._file, columns, restval="")

    def flush(self) -> None:
        """Do nothing: the file is line-buffered."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoardLog:
    """Event files in ``tensorboard/``."""

    def __init__(self, folder: Path, step: int) -> None:
        _need("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        folder = folder / "tensorboard"
        self._writer: SummaryWriter = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add one scalar per number."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Add one image per picture."""
        from matplotlib.image import imread

        for name, path in pictures.items():
            self._writer.add_image(name, imread(path)[..., :3], step, dataformats="HWC")

    def flush(self) -> None:
        """Write events to disk."""
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


class WandbLog:
    """A run of Weights & Biases; ``WANDB_MODE=offline`` keeps it in ``wandb/``."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, object]) -> None:
        self._wandb = wandb = _need("wandb", "wandb")
        known = folder / "wandb_run"
        if not known.exists():
            files.write(known, uuid4().hex[:12].encode())
        try:
            self._run = wandb.init(
                project="flexclim",
                name=name,
                id=known.read_text(),
                resume="allow",
                dir=str(folder),
                config=dict(settings),
            )
        except wandb.errors.Error as error:
            raise RecipeError(
                f"Weights & Biases can't log this run: {' '.join(str(error).split())[:200]} Log in "
                "with wandb login, set WANDB_MODE=offline, or leave wandb out of trainer.loggers."
            ) from None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Log the numbers of a step."""
        self._run.log(dict(values), step=step)

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Log one image per picture."""
        images = {name: self._wandb.Image(str(path)) for name, path in pictures.items()}
        self._run.log(images, step=step)

    def flush(self) -> None:
        """Do nothing: W&B writes in a process of its own."""

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def open_logs(
    folder: Path, step: int, loggers: Sequence[str], name: str, settings: Mapping[str, object]
) -> list[Log]:
    """Open the logs of a run that has taken ``step`` steps.

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
    """Return the complete rows of a log; none if the file is missing."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            row
            for row in csv.DictReader(file)
            if row.get("step", "").isdigit() and None not in (*row, *row.values())
        ]


def _need(module: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise RecipeError(
            f"trainer.loggers names {module}, which is not installed: "
            f"pip install 'flexclim[{extra}]'."
        ) from None
