"""A hash of a store's input, to tell whether it is the one that the store was begun with."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Mapping

import dask.array as da
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from flexclim.cf.description import LEAD_HOURS
from flexclim.cf.times import in_resolution


class RolledOut(HighLevelGraph):
    """The graph of a lazy forecast, whose first step (along ``STEPS``) and past decide all others.

    What is computed from it, also a part of it, has a graph like any other. The graph is marked
    rather than the array, since xarray refuses to compute dask arrays of two types together.
    """

    STEPS = "forecast_period"  # the standard name of the coordinate along the steps


def rolled_out(array: da.Array) -> da.Array:
    """Mark a dask array as a forecast whose steps follow from the first."""
    graph = RolledOut(array.dask.layers, array.dask.dependencies)
    whole = graph, array.name, array.chunks
    return da.Array(*whole, dtype=array.dtype)


def is_rolled_out(array: object) -> bool:
    """Return whether an array is a whole lazy forecast."""
    return isinstance(array, da.Array) and isinstance(array.dask, RolledOut)


def identity_of(
    source: xr.Dataset,
    plane_dims: Collection[str],
    part: Mapping[str, slice] | None = None,
    *,
    by_attributes: bool = False,
    resolution: str | None = None,
) -> str:
    """Return a hash of a source's coordinates, and of each field's first and last plane.

    For a lazy forecast it is the first step, not the last, which decides all that follow: so it is
    not computed to identify it.

    Parameters
    ----------
    source
        Fields (..., y, x).
    plane_dims
        Names of the horizontal dimensions.
    part
        The part to identify, by dimension. Default: the whole.
    by_attributes
        Whether forecasts are recognised by their attributes, as 0.1.0 did.
    resolution
        A unit such as ``"us"`` in which times are read, where they don't change by that. Default:
        as they are stored.
    """
    digest = hashlib.sha256()
    whole, source = source, source.isel(part or {}, missing_dims="ignore")
    for name in sorted(map(str, source.coords)):
        values = source[name].values
        if resolution is not None and values.dtype.kind in "mM":
            values = in_resolution(values, resolution)
        digest.update(f"{name}{source[name].dims}{values.dtype}".encode())
        # Objects, such as dates of other calendars, have no bytes of their own.
        content = str(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
        digest.update(content)
    for name in sorted(map(str, source.data_vars)):
        field = source[name]
        lead = [dim for dim in field.dims if dim not in plane_dims]
        digest.update(f"{name}{field.dims}{field.shape}{field.dtype}".encode())
        forecast = is_rolled_out(whole[name].data)
        if by_attributes:
            forecast = LEAD_HOURS in {**source.attrs, **field.attrs}
        first = dict.fromkeys(_steps(field), 0) if forecast else {}
        for end in (0, -1):
            plane = field.isel(dict.fromkeys(lead, end) | first).values
            digest.update(plane.tobytes())
    return digest.hexdigest()


def _steps(field: xr.DataArray) -> tuple[Hashable, ...]:
    """Return the dimension of the steps of a forecast; empty: it has none."""
    for coordinate in field.coords.values():
        if coordinate.attrs.get("standard_name") == RolledOut.STEPS:
            return tuple(coordinate.dims)
    return ()
