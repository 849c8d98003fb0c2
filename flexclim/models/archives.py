"""Read archives of ``torch.save`` safely: tensors and plain values only, no code."""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from pathlib import Path

import torch

from flexclim.errors import ModelError

LARGEST_PICKLE = 64 * 2**20
TOO_MANY = 100_000  # entries of an archive


def read(path: Path) -> dict[str, object]:
    """Read the content of an archive; tensors are memory-mapped.

    Raises
    ------
    ModelError
        If it is damaged or compressed, or holds anything but a dict of tensors and plain values.
    """
    check(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Mapped: no tensor can extend beyond the file, and unused ones stay on disk.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a damaged or malicious file
        reason = re.split(r"[.\n]", str(error).strip(), maxsplit=1)[0][:150]
        raise ModelError(
            f"{path} holds more than weights or is damaged, so it is not loaded: {reason}."
        ) from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, not weights by name.")
    return content


def check(path: Path) -> None:
    """Check that a file is an intact archive of uncompressed records.

    Raises
    ------
    ModelError
        If it is not, or if there is no such file.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            plain = all(e.compress_type == zipfile.ZIP_STORED for e in entries)
            size = sum(entry.file_size for entry in entries)
            if not plain or size > path.stat().st_size or len(entries) > TOO_MANY:
                raise ModelError(f"{path} is compressed or malformed: torch.save did not write it.")
            pickles = [e for e in entries if e.filename.endswith("data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
                raise ModelError(f"{path} is a zip archive, but not one of torch.save.")
            if damaged := archive.testzip():
                raise ModelError(f"{path} is damaged: the checksum of {damaged!r} is wrong.")
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror or error}.") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError) as error:
        raise ModelError(
            f"{path} is not an archive of torch.save, or truncated ({error})."
        ) from None
