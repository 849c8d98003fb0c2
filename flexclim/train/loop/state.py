"""Checkpoints of a run: whole or not there, whatever moment the process dies at.

A checkpoint is ``NAME-STEP.pt`` (tensors and JSON text) with its SHA-256 beside it in
``NAME-STEP.sha256``. The first is renamed to its name when all else is on disk.
"""

from __future__ import annotations

import copy
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from flexclim import files
from flexclim.errors import ModelError, RecipeError
from flexclim.models import archives


def save(
    folder: Path, step: int, content: dict[str, Any], keep: int = 2, name: str = "checkpoint"
) -> Path:
    """Write a checkpoint of tensors and text, and drop all but the newest ``keep``."""
    path = path_of(folder, step, name)
    partial = path.with_suffix(files.PARTIAL)
    with partial.open("wb") as file:
        torch.save({"step": step, **content}, file)
        file.flush()
        os.fsync(file.fileno())
    # Until the new one has its name, an earlier one of this step stays sound.
    earlier = _digests(path) if path.exists() else []
    files.write(_digest_file(path), "\n".join([files.sha256(partial), *earlier]).encode())
    partial.replace(path)
    files.sync_folder(folder)
    for old in _all(folder, name)[:-keep]:
        old.unlink()
    _sweep(folder, name)
    return path


def newest(folder: Path, name: str = "checkpoint") -> Path | None:
    """Return the newest checkpoint that can be read; warn of damaged ones and set them aside."""
    for path in reversed(_all(folder, name)):
        try:
            check(path)
        except RecipeError as error:
            warnings.warn(f"{error} Going back to the one before.", stacklevel=2)
            with suppress(OSError):
                path.rename(path.with_suffix(".damaged"))
        else:
            return path
    return None


def path_of(folder: Path, step: int, name: str = "checkpoint") -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / f"{name}-{step:08d}.pt"


def step_of(path: Path) -> int:
    """Return the step of a checkpoint.

    >>> step_of(Path("checkpoint-00000120.pt"))
    120
    """
    return int(path.stem.rpartition("-")[2])


def check(path: Path) -> None:
    """Compare a checkpoint with its SHA-256.

    Raises
    ------
    RecipeError
        If it is damaged.
    """
    try:
        wanted, found = _digests(path), files.sha256(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} can't be read ({type(error).__name__}).") from None
    if found not in wanted:
        told = wanted[0][:12] if wanted else "told"
        raise RecipeError(f"{path} is damaged: its sha256 is {found[:12]}, not {told}.")


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU; nothing in it is executed."""
    check(path)
    try:
        # Copied, for what is only mapped would follow changes of the file.
        return copy.deepcopy(archives.read(path))
    except ModelError as error:
        raise RecipeError(str(error)) from None


def _sweep(folder: Path, name: str) -> None:
    """Remove what a killed process left half-written, and digests of what is gone."""
    for path in folder.glob(f"{name}-*{files.PARTIAL}"):
        path.unlink(missing_ok=True)
    for path in folder.glob(f"{name}-*.sha256"):
        if not path.with_suffix(".pt").exists():
            path.unlink(missing_ok=True)


def _digests(path: Path) -> list[str]:
    """Return the SHA-256 of a checkpoint, and those of earlier ones of its step."""
    return _digest_file(path).read_text().split()


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _all(folder: Path, name: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"{name}-*.pt") if _digest_file(p).exists())
