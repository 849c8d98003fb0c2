"""Create a store: its metadata and small variables, before the first shard."""

from __future__ import annotations

import json
from collections.abc import Mapping

import xarray as xr

from flexclim.files import PARTIAL
from flexclim.stores.begun import plan_attributes
from flexclim.stores.layout import choose_layout, lazy_names, time_dimension
from flexclim.stores.metadata import METADATA, small_files
from flexclim.stores.place import OWN_PREFIX, Place

# Attribute of the root group while the store is being created.
CREATING = "flexclim_creating"


def is_new(place: Place) -> bool:
    """Return whether there is nothing in a place, or only what a killed creation left."""
    if place.path is not None and not place.path.is_dir():
        return not place.path.exists()
    content = place.read(METADATA)
    if content is None:
        # A writer that was killed at once leaves a root that was not renamed yet.
        return all(
            key.startswith(OWN_PREFIX) or (key.startswith("zarr.") and key.endswith(PARTIAL))
            for key in place.keys("")
        )
    try:
        return bool(json.loads(content)["attributes"].get(CREATING))
    except (ValueError, KeyError, AttributeError):
        return False


def create(ds: xr.Dataset, place: Place, plan: Mapping[str, object]) -> None:
    """Write metadata and all variables that are not lazy; metadata of the root come last."""
    layouts = {name: choose_layout(ds[name], time_dimension(ds)) for name in lazy_names(ds)}
    files = small_files(ds, layouts)
    root = json.loads(files.pop(METADATA))
    marked = root | {"attributes": {CREATING: True}}
    place.write(METADATA, json.dumps(marked).encode())
    place.sweep()
    for left in place.keys("") - files.keys() - {METADATA}:  # of a creation that was killed
        if not left.startswith(OWN_PREFIX):
            place.delete(left)
    for key, content in files.items():
        place.write(key, content)
    root["attributes"] |= plan_attributes(plan)
    place.write(METADATA, json.dumps(root, indent=2).encode())
