"""Stores in icechunk repositories: a snapshot is committed when a stage is finished.

A reader sees the store as it was before a run or after it, never in between. A run that fails
leaves nothing. icechunk is imported by whoever makes the repository.

A repository holds nothing but Zarr. What flexclim notes beside a store, the damage that a check
found, is therefore an attribute on a branch of its own, which ends with the repair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import zarr
from zarr.abc.store import Store

from flexclim.errors import StoreError

if TYPE_CHECKING:
    from icechunk import Repository

BRANCH = "main"
NOTES_BRANCH = "flexclim-notes"


def is_repository(store: object) -> TypeGuard[Repository]:
    """Return whether an object is an icechunk repository."""
    return _is_icechunk(store) and hasattr(store, "writable_session")


def is_session_store(store: object) -> bool:
    """Return whether a store is that of an icechunk session, which takes keys of Zarr alone."""
    return _is_icechunk(store) and isinstance(store, Store)


def session_store(repository: Repository) -> Store:
    """Return the store of a new writable session on the main branch.

    Raises
    ------
    StoreError
        If the repository can't be opened.
    """
    from icechunk import IcechunkError

    try:
        store: Store = repository.writable_session(BRANCH).store
    except IcechunkError as error:
        raise StoreError(
            f"{name_of(repository)} can't be opened: {_first_line(error)}. Check where it lies."
        ) from error
    return store


def name_of(repository: Repository) -> str:
    """Return how errors call a repository."""
    return f"icechunk repository ({' '.join(str(repository.storage).split())[:80]})"


def commit(store: Any, message: str, name: str) -> None:
    """Commit what a session has changed, if anything.

    Raises
    ------
    StoreError
        If another process has committed since the session began.
    OSError
        If the repository can't be written.
    """
    from icechunk import ConflictError, IcechunkError

    session = store.session
    if not session.has_uncommitted_changes:
        return
    try:
        session.commit(message)
    except ConflictError:
        raise StoreError(
            f"{name} was changed by another process meanwhile; nothing was written. Call again."
        ) from None
    except IcechunkError as error:
        raise OSError(_first_line(error)) from error


def read_note(repository: Repository, name: str) -> bytes | None:
    """Return what was noted under a name; None if there is nothing."""
    if NOTES_BRANCH not in repository.list_branches():
        return None
    store = repository.readonly_session(NOTES_BRANCH).store
    text = zarr.open_group(store, mode="r").attrs.get(name)
    return None if text is None else str(text).encode()


def write_note(repository: Repository, name: str, content: bytes) -> None:
    """Note something on a branch of its own; ``main`` stays as it is.

    Raises
    ------
    OSError
        If the repository can't be written.
    """
    from icechunk import IcechunkError

    try:
        delete_notes(repository)
        repository.create_branch(NOTES_BRANCH, repository.lookup_branch(BRANCH))
        session = repository.writable_session(NOTES_BRANCH)
        zarr.open_group(session.store, mode="r+").attrs[name] = content.decode()
        session.commit(f"flexclim: {name}")
    except IcechunkError as error:
        raise OSError(_first_line(error)) from error


def delete_notes(repository: Repository) -> None:
    """Delete the branch of notes, if there is one."""
    if NOTES_BRANCH in repository.list_branches():
        repository.delete_branch(NOTES_BRANCH)


def _first_line(error: Exception) -> str:
    """Return what went wrong; the lines that follow tell where in icechunk's code."""
    return str(error).partition("\n")[0].strip(" x.")


def _is_icechunk(store: object) -> bool:
    return type(store).__module__.partition(".")[0] == "icechunk"
