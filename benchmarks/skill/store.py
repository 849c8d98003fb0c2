"""Results that were worked out before, in a folder outside of the repository.

A result is named by all that it depends on: what was computed and with which settings, the data
file's and the model's hash, and the code that makes numbers. Comments and docstrings are no code.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import benchmarks.skill
import flexclim

OWN, PACKAGE = Path(benchmarks.skill.__file__).parent, Path(flexclim.__file__).parent


def _code(*packages: str) -> list[Path]:
    """Return all modules of some packages of flexclim."""
    return [path for package in packages for path in sorted((PACKAGE / package).glob("*.py"))]


# The code that determines the scores of any forecast, of rivals, and of models.
SCORING = [
    *(OWN / name for name in ("fields.py", "wind_fields.py", "records.py", "structure.py")),
    *_code("grids", "verify/core", "verify/metrics"),
]
RIVALS = [
    *SCORING,
    *(OWN / name for name in ("rivals.py", "regression.py", "analogues.py")),
]
MODELS = [
    *SCORING,
    *(OWN / name for name in ("borders.py", "sampling.py")),
    *_code("nn", "planning", "sampling"),
]


class Store:
    """Results as JSON files, one each.

    Parameters
    ----------
    folder
        Made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reused = self.computed = 0

    def get(self, key: dict[str, Any], work: Callable[[], Any]) -> Any:
        """Return the result of ``work`` for ``key``, from the folder where it is there."""
        path = self._path(key)
        if path.is_file():
            self.reused += 1
            return json.loads(path.read_text())["result"]
        result = work()
        self.computed += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"key": key, "result": result}))
        partial.replace(path)
        # What was just computed reads the same as it will when it is found again.
        return json.loads(json.dumps(result))

    def has(self, key: dict[str, Any]) -> bool:
        """Whether a result is there."""
        return self._path(key).is_file()

    def _path(self, key: dict[str, Any]) -> Path:
        text = json.dumps(key, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def default_folder() -> Path:
    """Return where results are kept: ``FLEXCLIM_CACHE``, or the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FLEXCLIM_CACHE") or Path(cache) / "flexclim") / "skill"


@lru_cache
def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_hash(paths: Iterable[Path]) -> str:
    """Return a hash of what Python files do; other comments and docstrings leave it alone."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(ast.dump(_bare(ast.parse(path.read_text()))).encode())
    return digest.hexdigest()


@lru_cache
def code_hashes() -> dict[str, str]:
    """Return the hash of the code that makes rivals and of the code that runs models."""
    return {"RIVALS": code_hash(RIVALS), "MODELS": code_hash(MODELS)}


def _bare(tree: ast.Module) -> ast.Module:
    """Take the docstrings out of a module."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        head = node.body[0] if node.body else None
        if isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
