"""Checkpoints of a run: whole or not there, whatever moment the process dies at."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch

from flexclim.errors import RecipeError

KEPT = 2


def save(folder: Path, step: int, content: dict[str, Any]) -> Path:
    """Write a checkpoint of tensors and text, and drop all but the newest ``KEPT``."""
    path = folder / f"checkpoint-{step:08d}.pt"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save({"step": step, **content}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    for old in _all(folder)[:-KEPT]:
        old.unlink()
    return path


def newest(folder: Path) -> Path | None:
    """Return the newest checkpoint that can be read; warn of damaged ones."""
    for path in reversed(_all(folder)):
        try:
            load(path)
        except RecipeError as error:
            warnings.warn(f"{error} Going back to the one before.", stacklevel=2)
        else:
            return path
    return None


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise RecipeError(f"{path} can't be read ({type(error).__name__}).") from None
    return content


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.pt"))
