"""Write files completely or not at all, even if the process is killed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flexclim.errors import StoreError

PARTIAL = ".partial"


def write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, force it to disk and rename it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a"
    >>> write(path, b"1")
    >>> path.read_bytes()
    b'1'
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_folder(folder: Path, content: dict[str, bytes]) -> None:
    """Write a folder of files, completely or not at all.

    Parameters
    ----------
    folder
        A path that does not exist, an empty folder, or a folder with no other files, which is
        replaced.
    content
        The content of each file, by name.

    Raises
    ------
    FileExistsError
        If the folder is a file or holds other files.
    """
    if folder.exists() and (
        not folder.is_dir() or {path.name for path in folder.iterdir()} - content.keys()
    ):
        raise FileExistsError(str(folder))
    with replaced_folder(folder) as partial:
        for name, data in content.items():
            write(partial / name, data)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``folder`` if no error is raised.

    Where ``folder`` is a link, what it points to is replaced.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replaced_folder(folder) as partial:
    ...     write(partial / "a", b"1")
    >>> [path.name for path in folder.iterdir()]
    ['a']
    """
    folder = folder.resolve()
    partial, replaced = (folder.with_name(f".{folder.name}{part}") for part in (PARTIAL, ".old"))
    shutil.rmtree(partial, ignore_errors=True)
    if folder.exists():  # else an earlier process may have been killed between the two renamings
        shutil.rmtree(replaced, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            shutil.copymode(folder, partial)
            folder.rename(replaced)
        try:
            partial.rename(folder)
        except OSError:
            if replaced.exists():
                replaced.rename(folder)
            raise
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a URL, also one that ``pathlib`` has taken a slash from.

    >>> is_url("s3://bucket/model"), is_url(Path("s3://bucket/model")), is_url("C:/model")
    (True, True, False)
    """
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", str(path)) is not None


def sync_folder(folder: Path) -> None:
    """Force the entries of a folder to disk, on systems where folders can be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def store_errors(name: str | os.PathLike[str], advice: str) -> Iterator[None]:
    """Turn an OSError about a file or store that can't be written into a one-line StoreError."""
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise StoreError(f"{name} can't be written: {reason}.{advice}") from error
