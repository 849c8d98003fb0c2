"""A hash of a store's input, to tell whether it is the one that the store was begun with."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable

import xarray as xr

from flexclim.cf.description import LEAD_HOURS


def identity_of(source: xr.Dataset, plane_dims: Collection[str]) -> str:
    """Return a hash of a source's coordinates, and of each field's first and last plane.

    For a forecast it is the first step, not the last, which decides all that follow: so a lazy
    one is not computed to identify it.

    Parameters
    ----------
    source
        Fields (..., y, x).
    plane_dims
        Names of the horizontal dimensions.
    """
    digest = hashlib.sha256()
    for name in sorted(map(str, source.coords)):
        values = source[name].values
        digest.update(f"{name}{source[name].dims}{values.dtype}".encode())
        # Objects, such as dates of other calendars, have no bytes of their own.
        content = str(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
        digest.update(content)
    for name in sorted(map(str, source.data_vars)):
        field = source[name].assign_attrs(source.attrs)
        lead = [dim for dim in field.dims if dim not in plane_dims]
        digest.update(f"{name}{field.dims}{field.shape}{field.dtype}".encode())
        first = dict.fromkeys(_rolled_out(field), 0)
        for end in (0, -1):
            plane = field.isel(dict.fromkeys(lead, end) | first).values
            digest.update(plane.tobytes())
    return digest.hexdigest()


def _rolled_out(field: xr.DataArray) -> tuple[Hashable, ...]:
    """Return the dimension of the steps of a forecast made by flexclim; empty: it is none."""
    for coordinate in field.coords.values():
        if coordinate.attrs.get("standard_name") == "forecast_period" and LEAD_HOURS in field.attrs:
            return tuple(coordinate.dims)
    return ()
