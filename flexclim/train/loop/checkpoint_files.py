"""Checkpoint files, written atomically: a process killed at any time leaves no partial one.

A checkpoint is ``NAME-STEP.pt`` (tensors and JSON text) with its SHA-256 in ``NAME-STEP.sha256``.
The ``.pt`` file gets its name last, once everything is on disk.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from flexclim import files
from flexclim.errors import ModelError, RecipeError
from flexclim.models import archives

Content = dict[str, Any]  # tensors and text, nested as `state_dict` methods return them


def save(
    folder: Path, step: int, content: Mapping[str, object], keep: int = 2, name: str = "checkpoint"
) -> Path:
    """Write a checkpoint, and delete all but the newest ``keep``."""
    path = path_of(folder, step, name)
    partial = path.with_suffix(files.PARTIAL)
    with partial.open("wb") as file:
        torch.save({"step": step, **content}, file)
        file.flush()
        os.fsync(file.fileno())
    # Until the new file has its name, an earlier one of the same step stays valid.
    earlier = _digests(path) if path.exists() else []
    files.write(_digest_file(path), "\n".join([files.sha256(partial), *earlier]).encode())
    partial.replace(path)
    files.sync_folder(folder)
    for old in _all(folder, name)[:-keep]:
        old.unlink()
    _sweep(folder, name)
    return path


def newest(folder: Path, name: str = "checkpoint") -> Path | None:
    """Return the newest intact checkpoint; rename damaged ones to ``.damaged`` with a warning."""
    for path in reversed(_all(folder, name)):
        try:
            check(path)
        except RecipeError as error:
            warnings.warn(f"{error} Using the previous checkpoint.", stacklevel=2)
            with suppress(OSError):
                path.rename(path.with_suffix(".damaged"))
        else:
            return path
    return None


def path_of(folder: Path, step: int, name: str = "checkpoint") -> Path:
    """Return the path of the checkpoint of a step."""
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
        known = wanted[0][:12] if wanted else "recorded"
        raise RecipeError(f"{path} is damaged: its sha256 is {found[:12]}, not {known}.")


def load(path: Path) -> Content:
    """Read a checkpoint into CPU memory; no code in it is executed."""
    check(path)
    try:
        # A copy, as memory-mapped tensors would follow later changes of the file.
        return copy.deepcopy(archives.read(path))
    except ModelError as error:
        raise RecipeError(str(error)) from None


def _sweep(folder: Path, name: str) -> None:
    """Delete files left half-written by a killed process, and digests without a checkpoint."""
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
