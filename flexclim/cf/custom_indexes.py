"""Indexes of other libraries, such as those of xproj and rasterix, kept in results."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence

import pandas as pd
import xarray as xr
from xarray.indexes import PandasIndex

LOG = logging.getLogger(__name__)


def pandas_indexes(obj: xr.Dataset | xr.DataArray) -> dict[Hashable, pd.Index]:
    """Return the indexes that pandas has, by coordinate; ``obj.indexes`` fails if there are others.

    >>> list(pandas_indexes(xr.DataArray([0.0], {"lat": [50.0]}, ["lat"])))
    ['lat']
    """
    found = obj.xindexes.items()
    return {name: one.to_pandas_index() for name, one in found if isinstance(one, PandasIndex)}


def with_custom_indexes(result: xr.Dataset, source: xr.Dataset) -> xr.Dataset:
    """Return a Dataset with indexes of the same types as its source, where it has the coordinates.

    Those of scalars, such as a coordinate reference system, are the source's own. An index that
    can't be made of the new coordinates is left out.
    """
    for index, coordinates in source.xindexes.group_by_index():
        names = list(coordinates)
        if isinstance(index, PandasIndex) or not set(names) <= set(result.coords):
            continue
        try:
            if any(one.ndim for one in coordinates.values()):
                result = _indexed(result, type(index), names)
            else:
                indexed = dict.fromkeys(names, index)
                result = result.assign_coords(xr.Coordinates(coordinates, indexed))
        except (ImportError, NotImplementedError, TypeError, ValueError) as error:
            LOG.debug("%s is not kept: %s", type(index).__name__, error)
    return result


def _indexed(result: xr.Dataset, kind: type[xr.Index], names: Sequence[Hashable]) -> xr.Dataset:
    if kind.__module__.partition(".")[0] == "rasterix":  # made of rows and columns by a function
        import rasterix

        y, x = sorted(names, key=lambda name: result[name].attrs.get("axis") != "Y")
        indexed: xr.Dataset = rasterix.assign_index(result, x_dim=str(x), y_dim=str(y))
        return indexed
    bare = result.drop_indexes([name for name in names if name in result.xindexes])
    return bare.set_xindex(list(names), kind)
