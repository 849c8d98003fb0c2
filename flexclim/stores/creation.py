"""Create a store: its metadata and small variables, before the first shard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import xarray as xr

from flexclim.files import PARTIAL
from flexclim.stores.begun import plan_attributes
from flexclim.stores.formats import FORMATS
from flexclim.stores.layout import choose_layout, lazy_names, time_dimension
from flexclim.stores.metadata import small_files
from flexclim.stores.place import OWN_PREFIX, Place

# Attribute of the root group while the store is being created.
CREATING = "flexclim_creating"


def is_new(place: Place) -> bool:
    """Return whether there is nothing in a place, or only what a killed creation left."""
    if place.path is not None and not place.path.is_dir():
        return not place.path.exists()
    roots = [
        (form, content)
        for form in FORMATS.values()
        if (content := place.read(form.attributes)) is not None
    ]
    if not roots:
        # A writer that was killed at once leaves a root that was not renamed yet.
        return all(
            key.startswith(OWN_PREFIX)
            or (key.startswith(("zarr.", ".zattrs.")) and key.endswith(PARTIAL))
            for key in place.keys("")
        )
    try:
        return all(form.attributes_of(json.loads(root)).get(CREATING) for form, root in roots)
    except (ValueError, KeyError, TypeError):
        return False


def create(
    ds: xr.Dataset, place: Place, plan: Mapping[str, object], zarr_format: Literal[2, 3] = 3
) -> None:
    """Write metadata and all variables that are not lazy; attributes of the root come last."""
    form, time = FORMATS[zarr_format], time_dimension(ds)
    layouts = {name: choose_layout(ds[name], time, zarr_format) for name in lazy_names(ds)}
    files = small_files(ds, layouts, zarr_format)
    root = json.loads(files.pop(form.attributes))
    marked = form.with_attributes(root, {CREATING: True})
    place.write(form.attributes, json.dumps(marked).encode())
    place.sweep()
    for left in place.keys("") - files.keys() - {form.attributes}:  # of a creation that was killed
        if not left.startswith(OWN_PREFIX):
            place.delete(left)
    for key, content in files.items():
        place.write(key, content)
    root = form.with_attributes(root, form.attributes_of(root) | plan_attributes(plan))
    place.write(form.attributes, json.dumps(root, indent=2).encode())
