"""The location of a store: a folder, a URL that fsspec can open, or a store object of zarr's.

Files that are not part of Zarr (locks, lists of damage) lie next to the store: ``NAME.lock`` next
to ``NAME``. They are named ``.flexclim.lock`` inside it where the store is all there is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import zarr
from zarr.abc.store import Store
from zarr.buffer import default_buffer_prototype

# zarr's stores are asynchronous, and remote ones are bound to the event loop of zarr's own thread.
# Nothing public runs their methods there.
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore

from flexclim.errors import StoreError
from flexclim.files import PARTIAL
from flexclim.grids.arguments import shown
from flexclim.stores.icechunk_repository import (
    commit,
    delete_notes,
    is_repository,
    is_session_store,
    name_of,
    read_note,
    session_store,
    write_note,
)

if TYPE_CHECKING:
    from icechunk import Repository

StoreLike: TypeAlias = "str | os.PathLike[str] | Store | Repository"
ZarrArray: TypeAlias = "zarr.Array[Any]"  # of either version of metadata
# How the names of flexclim's own files begin inside a store.
OWN_PREFIX = ".flexclim."


class Place:
    """A store whose files are read and written by key.

    Parameters
    ----------
    store
        A path, a URL such as ``s3://bucket/fine.zarr`` (fsspec's configuration holds credentials
        and endpoints), a store object of zarr's such as ``zarr.storage.ObjectStore``, or an
        icechunk repository.

    Raises
    ------
    StoreError
        If the URL can't be opened, or the server does not answer.
    """

    def __init__(self, store: StoreLike) -> None:
        self.repository: Repository | None = None
        # A snapshot is complete; icechunk has no consolidated metadata to mark that. Commits keep
        # out a second writer.
        self.has_snapshots = is_repository(store) or is_session_store(store)
        self.path: Path | None = None
        if is_repository(store):
            self.repository = store
            self.store, self.name = session_store(store), name_of(store)
            self._own_store, self._prefix = _own_files(self.store)
            return
        if not isinstance(store, str | os.PathLike | Store):
            raise StoreError(f"{shown(store)} is no place for a store. Give a path or a URL.")
        if isinstance(store, Store):
            self.store, self.name = store, str(store)
        elif "://" in str(store):
            self.store, self.name = _remote(str(store)), str(store).rstrip("/")
        else:
            self.path = Path(store).absolute()
            self.store, self.name = LocalStore(self.path), str(self.path)
        if isinstance(self.store, LocalStore):
            self.path = self.store.root.absolute()
        self._own_store, self._prefix = _own_files(self.store)
        if self.path is None:
            self._check_reached()

    def __str__(self) -> str:
        return self.name

    def _check_reached(self) -> None:
        """Raise StoreError if the server of a remote store does not answer.

        One request shows that; zarr sends several at once, and those that are left print their
        errors when the program ends.
        """
        try:
            self.read("zarr.json")
        except Exception as error:  # each library of object stores has types of its own
            reason = shorten(" ".join(str(error).split()), 150, placeholder=" ...")
            raise StoreError(
                f"{self.name} can't be reached: {reason.rstrip('.')}. Check its address, the "
                "endpoint and the credentials."
            ) from None

    def keys(self, prefix: str = "") -> set[str]:
        """Return the keys of all files under a prefix; empty local files do not count."""
        if self.path is None:
            return set(sync(_listed(self.store, prefix)))
        return {key for key, size in self._files(prefix) if size}

    def size(self) -> int:
        """Return the size of all files in bytes."""
        if self.path is None:
            return sync(self.store.getsize_prefix(""))
        return sum(size for _, size in self._files(""))

    def array_names(self) -> set[str]:
        """Return the names of the arrays in the root group, readable or not."""
        if self.path is None:
            return {key.partition("/")[0] for key in self.keys() if "/" in key}
        return {entry.name for entry in self.path.iterdir() if entry.is_dir()}

    def read(self, key: str) -> bytes | None:
        """Return the content of a file; None if there is none."""
        return _read(self.store, key)

    def write(self, key: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        write_file(self.store, key, content)

    def delete(self, key: str) -> None:
        """Delete a file, if it exists."""
        sync(self.store.delete(key))

    def read_own(self, name: str) -> bytes | None:
        """Return the content of one of flexclim's own files; None if there is none."""
        if self.repository is not None:
            return read_note(self.repository, name)
        return _read(self._own_store, self._prefix + name)

    def write_own(self, name: str, content: bytes) -> None:
        """Write one of flexclim's own files."""
        if self.repository is not None:
            write_note(self.repository, name, content)
        else:
            write_file(self._own_store, self._prefix + name, content)

    def replace_own(self, name: str, content: bytes, known: bytes | None) -> bool:
        """Write one of flexclim's own files if its content is ``known``; None: if there is none.

        Returns
        -------
        bool
            Whether the store itself decides between writers at the same moment, as those of obstore
            and of this process do; any other may overwrite what a second writer has written.
        """
        key, store = self._prefix + name, self._own_store
        if isinstance(store, ObjectStore):
            sync(_put_if_known(store.store, key, content, known))
            return True
        if known is None:
            buffer = default_buffer_prototype().buffer.from_bytes(content)
            sync(store.set_if_not_exists(key, buffer))
        else:
            write_file(store, key, content)
        return isinstance(store, MemoryStore)

    def delete_own(self, name: str) -> None:
        """Delete one of flexclim's own files, if it exists."""
        if self.repository is not None:
            delete_notes(self.repository)
        else:
            sync(self._own_store.delete(self._prefix + name))

    def commit(self, message: str) -> None:
        """Make what was written so far a snapshot of an icechunk repository; else do nothing."""
        if self.repository is not None:
            commit(self.store, message, self.name)

    def group(self, mode: Literal["r", "r+"] = "r") -> zarr.Group:
        """Open the root group without its consolidated metadata."""
        return zarr.open_group(self.store, mode=mode, use_consolidated=False)

    def sweep(self) -> None:
        """Remove partial files that killed writers left in a folder."""
        if self.path is not None:
            for left in self.path.rglob(f"*{PARTIAL}"):
                left.unlink(missing_ok=True)

    def _files(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the keys and sizes of files; another process may be writing to the folder."""
        assert self.path is not None
        for folder, _, names in os.walk(self.path / prefix):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # its writer has renamed it
                    yield path.relative_to(self.path).as_posix(), path.stat().st_size


def _remote(url: str) -> FsspecStore:
    try:
        return FsspecStore.from_url(url)
    except (ImportError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{url} can't be opened: {reason}.") from None


def _own_files(store: Store) -> tuple[Store, str]:
    """Return where flexclim's own files lie: a store, and the prefix of their keys."""
    if is_session_store(store):  # takes keys of Zarr alone
        return MemoryStore(), OWN_PREFIX
    if isinstance(store, LocalStore):
        return LocalStore(store.root.parent), f"{store.root.name}."
    path = PurePosixPath(store.path) if isinstance(store, FsspecStore) else PurePosixPath()
    if isinstance(store, FsspecStore) and str(path.parent) not in (".", "/"):
        return FsspecStore(store.fs, path=str(path.parent)), f"{path.name}."
    return store, OWN_PREFIX


async def _listed(store: Store, prefix: str) -> list[str]:
    # Those of icechunk list groups and arrays alone.
    listed = prefix.partition("/")[0] if is_session_store(store) else prefix
    return [key async for key in store.list_prefix(listed) if key.startswith(prefix)]


async def _put_if_known(store: Any, key: str, content: bytes, known: bytes | None) -> None:
    """Put an object on condition that it has not changed (``If-Match``), or does not exist."""
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    mode: Any = "create"
    with suppress(AlreadyExistsError, FileNotFoundError, PreconditionError):
        if known is not None:
            found = await obstore.get_async(store, key)
            if bytes(await found.bytes_async()) != known:
                return
            mode = {k: v for k in ("e_tag", "version") if (v := found.meta[k]) is not None}
        await obstore.put_async(store, key, content, mode=mode)


def _read(store: Store, key: str) -> bytes | None:
    if isinstance(store, LocalStore) and not store.root.is_dir():
        return None  # zarr would make the folder
    try:
        found = sync(store.get(key, default_buffer_prototype()))
    except Exception:
        if is_session_store(store) and _is_of_no_array(store, key):
            return None
        raise
    return None if found is None else found.to_bytes()


def _is_of_no_array(store: Store, key: str) -> bool:
    """Return whether a key is that of a chunk whose array is gone, which icechunk raises for."""
    array, chunk, _ = key.partition("/c")
    return bool(chunk) and not sync(store.exists(f"{array}/zarr.json"))


def write_file(store: Store, key: str, content: bytes) -> None:
    """Write a file of a store, whole or not at all; no other request is made."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(content)))
