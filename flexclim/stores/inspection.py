"""Inspect a store: how complete it is, and what is missing or damaged."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import zarr

from flexclim.errors import StoreError, suggest_options
from flexclim.stores.begun import begun_run
from flexclim.stores.faults import fault_of, list_damage, listed_damage
from flexclim.stores.formats import format_of
from flexclim.stores.growth import growing_shards, held_region
from flexclim.stores.lock import is_locked
from flexclim.stores.metadata import array_of, is_finished, metadata_faults
from flexclim.stores.place import Place, StoreLike
from flexclim.stores.shards import is_sharded, shards_of


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How complete a store is.

    Parameters
    ----------
    plan
        Everything that determines the values, by name.
    done, total
        Numbers of shards by variable.
    stored
        Size in bytes.
    writing
        Whether a process writes to it now.
    complete
        Whether all of it is written.
    damage
        Faults that were found, by key.
    version
        The version of flexclim that began the store.
    """

    plan: dict[str, Any]
    done: dict[str, int]
    total: dict[str, int]
    stored: int
    writing: bool
    complete: bool
    damage: dict[str, str]
    version: str = "?"

    def __str__(self) -> str:
        done, total = sum(self.done.values()), sum(self.total.values())
        share = 100 * done // max(total, 1)
        state = "complete" if self.complete else "being written" if self.writing else "stopped"
        lines = [f"{done} of {total} shards ({share} %), {self.stored / 1e6:.1f} MB, {state}"]
        if not self.complete and not self.writing:
            lines.append("Repeat the command that began it to continue.")
        if self.damage:
            lines.append(f"{len(self.damage)} files are damaged; the same command repairs them.")
        return "\n".join(lines)


def progress_of(store: StoreLike) -> Progress | None:
    """Return how complete a store of flexclim's is; None for any other store."""
    place = Place(store)
    begun = begun_run(place)
    if begun is None:
        return None
    group, broken = place.group(), metadata_faults(place)
    growing, there, unreadable = growing_shards(place, group), place.keys(), _arrays_of(broken)
    done, total = {}, {}
    for name in sorted(place.array_names()):
        array = None if name in unreadable else group[name]
        if isinstance(array, zarr.Array) and is_sharded(array):
            keys = {key for key, _ in shards_of(array)}
            total[name] = len(keys)
            done[name] = len((keys & there) - growing.keys())
    return Progress(
        plan=begun.plan,
        done=done,
        total=total,
        stored=place.size(),
        writing=is_locked(place),
        complete=is_finished(place) and done == total and not broken,
        damage=listed_damage(place) | broken,
        version=str(group.attrs.get("flexclim_version", "?")),
    )


@suggest_options
def check_store(store: StoreLike) -> dict[str, str]:
    """Read every chunk of a store and return what is missing or damaged.

    The store is not changed. Damage is listed in a file next to it, from which the next run that
    continues the store recomputes those shards.

    Returns
    -------
    dict
        By key (such as ``u10/c/0/3/0/0``) the fault: missing, empty, truncated, chunks missing,
        checksum or unreadable. Shards that a stopped run has not reached are missing.

    Raises
    ------
    StoreError
        If flexclim did not begin the store.

    >>> check_store("fine.zarr")  # doctest: +SKIP
    {}
    """
    place = Place(store)
    if begun_run(place) is None:
        raise StoreError(
            f"{place} is not a store that flexclim began, or its {format_of(place).attributes} is "
            "damaged. Give one that downscale_to_zarr or forecast_to_zarr wrote."
        )
    found = metadata_faults(place)
    group = place.group()
    growing = growing_shards(place, group)
    for name in place.array_names() - _arrays_of(found):
        array = array_of(group, name)
        for key, index in shards_of(array):
            wrong = fault_of(place, array, key, index, held_region(array, key, index, growing))
            if wrong or key in growing:
                found[key] = wrong or "missing"
    with suppress(OSError):  # a folder that only others may write to
        list_damage(place, {key: wrong for key, wrong in found.items() if wrong != "missing"})
    return found


def _arrays_of(keys: Iterable[str]) -> set[str]:
    """Return the names of the arrays that files of metadata belong to."""
    return {key.partition("/")[0] for key in keys}
