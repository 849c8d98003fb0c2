"""Files of models in a folder, or behind a URL that fsspec can open, such as ``s3://bucket``."""

from __future__ import annotations

import os
from pathlib import Path

from flexclim import files
from flexclim.errors import ModelError

LARGEST = 4 * 2**30  # bytes of one file


def is_url(place: str) -> bool:
    """Return whether a place is a URL and not a path.

    >>> is_url("s3://bucket/models"), is_url("/data/models")
    (True, False)
    """
    return "://" in place


def joined(place: str, *names: str) -> str:
    """Return the place of a file or folder within another place.

    >>> joined("s3://bucket/models/", "toy", "model.json")
    's3://bucket/models/toy/model.json'
    """
    return "/".join([place.rstrip("/") or "/", *names]) if names else place


def parent(place: str) -> str:
    """Return the place that holds a file or folder.

    >>> parent("s3://bucket/models/toy/"), parent("toy")
    ('s3://bucket/models', '.')
    """
    if is_url(place):
        return place.rstrip("/").rpartition("/")[0]
    return str(Path(place).parent)


def read(place: str, largest: int = LARGEST) -> bytes | None:
    """Return the content of a file; None if there is none.

    Raises
    ------
    ModelError
        If it can't be read, or is larger than ``largest`` bytes.
    """
    try:
        if not is_url(place):
            with Path(place).open("rb") as file:
                content = file.read(largest + 1)
        else:
            system, path = _opened(place)
            content = system.cat_file(path, start=0, end=largest + 1)
    except FileNotFoundError:
        return None
    except ModelError:
        raise
    except Exception as error:  # each library of object stores has errors of its own
        raise ModelError(f"{place} can't be read: {_reason(error)}.") from None
    if len(content) > largest:
        raise ModelError(f"{place} is larger than {largest >> 20} MB; it is no file of a model.")
    return bytes(content)


def write(place: str, content: bytes) -> None:
    """Write a file completely or not at all; folders are made.

    Raises
    ------
    ModelError
        If it can't be written.
    """
    try:
        if is_url(place):
            system, path = _opened(place)
            system.pipe_file(path, content)
        else:
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            files.write(Path(place), content)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{place} can't be written: {_reason(error)}.") from None


def download(place: str, file: str | os.PathLike[str], _: object = None) -> None:
    """Copy a file to a local one: a downloader of pooch for URLs other than http.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    content = read(place)
    if content is None:
        raise FileNotFoundError(f"there is no {place}")
    Path(file).write_bytes(content)


def _opened(place: str):  # type: ignore[no-untyped-def]
    import fsspec

    try:
        return fsspec.url_to_fs(place)
    except (ImportError, ValueError) as error:
        advice = " Install it with pip install 'flexclim[cloud]'." * isinstance(error, ImportError)
        raise ModelError(f"{place} can't be opened: {_reason(error)}.{advice}") from None


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200].rstrip(".")
