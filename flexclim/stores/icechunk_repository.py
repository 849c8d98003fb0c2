"""Stores in icechunk repositories: a snapshot is committed when a stage is finished.

A reader sees the store as it was before a run or after it, never in between. A run that fails
leaves nothing. icechunk is imported by whoever makes the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from zarr.abc.store import Store

from flexclim.errors import StoreError

if TYPE_CHECKING:
    from icechunk import Repository

BRANCH = "main"


def is_repository(store: object) -> TypeGuard[Repository]:
    """Return whether an object is an icechunk repository."""
    return _is_icechunk(store) and hasattr(store, "writable_session")


def is_session_store(store: object) -> bool:
    """Return whether a store is that of an icechunk session, which takes keys of Zarr alone."""
    return _is_icechunk(store) and isinstance(store, Store)


def session_store(repository: Repository) -> Store:
    """Return the store of a new writable session on the main branch."""
    store: Store = repository.writable_session(BRANCH).store
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
    """
    from icechunk import ConflictError

    session = store.session
    if not session.has_uncommitted_changes:
        return
    try:
        session.commit(message)
    except ConflictError:
        raise StoreError(
            f"{name} was changed by another process meanwhile; nothing was written. Call again."
        ) from None


def _is_icechunk(store: object) -> bool:
    return type(store).__module__.partition(".")[0] == "icechunk"
