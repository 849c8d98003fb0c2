"""Whether a source is the one that a store was begun with."""

from __future__ import annotations

import hashlib

import xarray as xr

from flexclim.grid import find_grid


def identity_of(source: xr.Dataset) -> str:
    """Return a hash of a source's coordinates, and of each field's first and last plane.

    Parameters
    ----------
    source
        Fields (..., y, x).
    """
    digest = hashlib.sha256()
    grid = find_grid(source)
    plane_dims = grid.y, grid.x
    for name in sorted(map(str, source.coords)):
        values = source[name].values
        digest.update(f"{name}{source[name].dims}{values.dtype}".encode())
        # Objects, such as dates of other calendars, have no bytes of their own.
        content = str(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
        digest.update(content)
    for name in sorted(map(str, source.data_vars)):
        field = source[name]
        lead = [dim for dim in field.dims if dim not in plane_dims]
        digest.update(f"{name}{field.dims}{field.shape}{field.dtype}".encode())
        for end in (0, -1):
            plane = field.isel(dict.fromkeys(lead, end)).values
            digest.update(plane.tobytes())
    return digest.hexdigest()
