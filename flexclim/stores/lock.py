"""A lock that allows one writer per store.

On a file system the operating system holds the lock ``STORE.lock`` and frees it when its holder
dies. Object stores have no locks: there it is a lease, an object that its writer renews and that
expires when it has not been renewed for two minutes. icechunk needs none: of two writers the
second to commit is told.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from flexclim.errors import StoreError
from flexclim.files import store_errors
from flexclim.stores.place import Place

LOCK = "lock"
# Seconds between renewals of a lease, and after which one that was not renewed expires.
RENEW_EVERY, EXPIRES_AFTER = 20.0, 120.0
# Seconds to wait for a lock on a file: a process that checks it holds it for a moment.
ACQUIRE_TIMEOUT = 0.3
# Seconds after which a new lease is read again where the store can't decide between writers:
# another may have seen the same expired lease, or none, at the same moment. The last of them to
# write keeps it.
SETTLED = 1.0
ADVICE = "Wait for it, or give another name."


@contextmanager
def locked(place: Place) -> Iterator[None]:
    """Hold the lock of a store inside the block.

    Raises
    ------
    StoreError
        At once, if another process writes to the store.
    """
    if place.has_snapshots:
        yield
        return
    if place.path is None:
        with _leased(place):
            yield
        return
    lock = FileLock(f"{place.path}.{LOCK}")
    with store_errors(place.name, ""):
        place.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=ACQUIRE_TIMEOUT)
        except Timeout:
            if not os.path.exists(lock.lock_file):
                raise StoreError(
                    f"{place} can't be written there: no lock file can be created. "
                    "Give another place."
                ) from None
            raise StoreError(f"{place} is being written by {_writer(None)}. {ADVICE}") from None
    try:
        yield
    finally:
        lock.release()


def check_unlocked(place: Place) -> None:
    """Raise early, before a second writer has planned anything; :func:`locked` keeps it out.

    Raises
    ------
    StoreError
        If another process writes to the store now.
    """
    if is_locked(place):
        raise StoreError(f"{place} is being written by {_writer(_holder(place))}. {ADVICE}")


def is_locked(place: Place) -> bool:
    """Return whether a process writes to the store now."""
    if place.has_snapshots:
        return False
    if place.path is None:
        return _holder(place) is not None
    if not os.path.exists(f"{place.path}.{LOCK}"):
        return False
    lock = FileLock(f"{place.path}.{LOCK}")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


@contextmanager
def _leased(place: Place) -> Iterator[None]:
    own = {"writer": f"{socket.gethostname()}, process {os.getpid()}", "token": uuid.uuid4().hex}
    with store_errors(place.name, ""):
        known = place.read_own(LOCK)  # an expired one, if any
        if (holder := _holder(place)) is None:
            if not place.replace_own(LOCK, _content(own), known):
                time.sleep(SETTLED)
            holder = _holder(place)
    if holder is None or holder["token"] != own["token"]:
        raise StoreError(f"{place} is being written by {_writer(holder)}. {ADVICE}")
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(place, own, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        with suppress(Exception):  # one that can't be deleted expires
            if _is_own(place, own):
                place.delete_own(LOCK)


def _writer(holder: dict[str, str] | None) -> str:
    """Return who writes, for an error."""
    if holder is None:
        return "another process"
    return (
        f"{holder['writer']} (if it died, its lock expires {EXPIRES_AFTER / 60:.0f} minutes later)"
    )


def _holder(place: Place) -> dict[str, str] | None:
    """Return who holds the lease; None if it has expired or there is none."""
    lease = place.path is None and not place.has_snapshots
    content = place.read_own(LOCK) if lease else None
    if content is None:
        return None
    try:
        found: dict[str, str] = json.loads(content)
        renewed = float(found["renewed"])
        found["writer"], found["token"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if abs(time.time() - renewed) < EXPIRES_AFTER else None


def _renew(place: Place, own: dict[str, str], ended: threading.Event) -> None:
    while not ended.wait(RENEW_EVERY):
        with suppress(Exception):  # the next renewal or shard will fail too
            known = place.read_own(LOCK)
            if _is_own(place, own):
                place.replace_own(LOCK, _content(own), known)


def _is_own(place: Place, own: dict[str, str]) -> bool:
    """Return whether no other process took the lease while this one slept."""
    holder = _holder(place)
    return holder is None or holder["token"] == own["token"]


def _content(own: dict[str, str]) -> bytes:
    return json.dumps(own | {"renewed": time.time()}).encode()
