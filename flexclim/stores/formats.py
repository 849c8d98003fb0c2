"""The two versions of the Zarr format: which files of a store hold its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flexclim.errors import FlexclimError, StoreError
from flexclim.grids.arguments import is_whole, shown
from flexclim.stores.place import Place


@dataclass(frozen=True)
class Format:
    """Names of the files that hold metadata.

    Parameters
    ----------
    number
        Version of the Zarr format.
    attributes
        The file with the attributes of the root, which is written last.
    root
        All files of the root.
    array
        The files of each array; the first describes its chunks.
    """

    number: Literal[2, 3]
    attributes: str
    root: tuple[str, ...]
    array: tuple[str, ...]

    def attributes_of(self, content: Any) -> dict[str, Any]:
        """Return the attributes in the content of ``attributes``."""
        return dict(content["attributes"] if self.number == 3 else content)

    def with_attributes(self, content: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of ``attributes`` with other attributes."""
        own = dict(attributes)
        return dict(content) | {"attributes": own} if self.number == 3 else own


# Consolidated metadata: a file of format 2, which has no shards; part of the root in format 3.
CONSOLIDATED = ".zmetadata"
ZARR2 = Format(2, ".zattrs", (".zgroup", ".zattrs", CONSOLIDATED), (".zarray", ".zattrs"))
ZARR3 = Format(3, "zarr.json", ("zarr.json",), ("zarr.json",))
FORMATS = {2: ZARR2, 3: ZARR3}


def format_of(place: Place) -> Format:
    """Return the format of a store; that of new ones if there is none."""
    if place.read(ZARR3.attributes) is not None:
        return ZARR3
    return ZARR2 if any(place.read(name) is not None for name in ZARR2.root) else ZARR3


def check_format(zarr_format: object) -> Literal[2, 3] | None:
    """Return a version of the Zarr format, or None; raise FlexclimError if it is none."""
    if zarr_format is None:
        return None
    if not is_whole(zarr_format) or zarr_format not in FORMATS:
        raise FlexclimError(f"zarr_format={shown(zarr_format)} is neither 2 nor 3.")
    return 2 if zarr_format == 2 else 3


def check_holds(place: Place, zarr_format: Literal[2, 3] | None) -> None:
    """Raise StoreError if a place can't hold stores of a format: icechunk has format 3 alone."""
    if zarr_format == 2 and place.has_snapshots:
        raise StoreError(
            f"{place} holds Zarr format 3 alone. Leave zarr_format out, or give a path or URL."
        )


def check_same(place: Place, zarr_format: Literal[2, 3] | None) -> None:
    """Raise StoreError if an existing store has another format than was asked for."""
    found = format_of(place).number
    if zarr_format not in (None, found):
        raise StoreError(
            f"{place} has Zarr format {found}, not {zarr_format}. Leave zarr_format out to "
            "continue it, or give another name."
        )
