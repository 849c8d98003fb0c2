"""Results as a few small files: scores to read, and an archive in parts to unpack elsewhere."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flexclim
from benchmarks.gpu.training import JOB, write_json
from flexclim.errors import ModelError

SCORES, PART = "scores.json", "models.tar.{:02d}"
PARTS, BYTES = 7, 15 * 10**6
KEPT = ("log.csv",)  # of a run, beside its model


def collect(folders: Sequence[Path], checks: Sequence[Any], results: Path, precision: str) -> None:
    """Write scores of the models trained so far, and the models, logs and jobs, into a folder.

    Parameters
    ----------
    folders
        Of the jobs.
    checks
        Results of checks, as JSON.
    precision
        Of the weights, for ``Model.save``; empty: as training writes them, bf16.
    """
    results.mkdir(parents=True, exist_ok=True)
    scores: dict[str, Any] = {"checks": list(checks)}
    with tempfile.TemporaryDirectory() as place:
        for folder in folders:
            own = Path(place) / folder.name
            own.mkdir()
            for path in (folder / JOB, *(folder / "run" / name for name in KEPT)):
                if path.is_file():
                    shutil.copy(path, own)
            try:
                model = flexclim.load_model(folder / "run" / "model")
            except ModelError:
                continue  # nothing was trained yet
            model.save(own / "model", precision=precision or None)  # type: ignore[arg-type]
            card = model.card
            scores[folder.name] = card.scores | {
                "hardware": card.hardware, "seconds": card.seconds, "notes": card.notes
            }  # fmt: skip
        content = archive(Path(place))
    write_json(results / SCORES, scores)
    parts = [content[first : first + BYTES] for first in range(0, len(content), BYTES)]
    if len(parts) > PARTS:
        print(f"{len(parts)} parts are more than {PARTS}: --precision int8 halves them.")
    for old in results.glob("models.tar.*"):
        old.unlink()
    for number, part in enumerate(parts):
        (results / PART.format(number)).write_bytes(part)


def archive(folder: Path) -> bytes:
    """Return a folder as a tar archive, compressed, as logs and cards are long."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as file:
        file.add(folder, arcname=".")
    return stream.getvalue()


def unpack(results: Path, folder: Path) -> list[Path]:
    """Unpack models, logs and jobs; return the model folders."""
    content = b"".join(path.read_bytes() for path in sorted(results.glob("models.tar.*")))
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as file:
        file.extractall(folder, filter="data")
    return sorted(path.parent for path in folder.glob("*/model/model.json"))
