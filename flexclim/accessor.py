"""``.flex`` on Dataset, DataArray and DataTree: public functions as methods of a field."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar, cast

import xarray as xr

import flexclim
from flexclim.errors import FlexclimError

if TYPE_CHECKING:
    from flexclim.grids.grid import Grid

P = ParamSpec("P")
R = TypeVar("R")


class Method(Generic[P, R]):
    """A public function as a method: its first argument is the field of the accessor.

    ``load`` returns the function; it is called on first use, so that importing flexclim stays
    fast. Signature and documentation are those of the function.
    """

    def __init__(self, load: Callable[[], Callable[..., R]]) -> None:
        self.load = load

    def __get__(self, accessor: Accessor | DataTreeAccessor | None, owner: type) -> Callable[P, R]:
        function = self.load()
        bound = function if accessor is None else MethodType(function, accessor._obj)
        return cast("Callable[P, R]", bound)


def of_dataset(load: Callable[[], Callable[Concatenate[xr.Dataset, P], R]]) -> Method[P, R]:
    """Return a method of Datasets."""
    return Method(load)


def of_array(load: Callable[[], Callable[Concatenate[xr.DataArray, P], R]]) -> Method[P, R]:
    """Return a method of DataArrays."""
    return Method(load)


def of_tree(load: Callable[[], Callable[Concatenate[xr.Dataset, P], R]]) -> Method[P, xr.DataTree]:
    """Return a method of DataTrees: the function of each group that holds variables."""

    def loaded() -> Callable[..., xr.DataTree]:
        function = load()

        @wraps(function)
        def of_groups(tree: xr.DataTree, *args: P.args, **kwargs: P.kwargs) -> xr.DataTree:
            groups = {}
            for group in tree.subtree:
                try:
                    done = (
                        function(group.to_dataset(), *args, **kwargs) if group.data_vars else None
                    )
                except FlexclimError as error:
                    raise type(error)(f"group {group.path}: {error}") from error
                # The grid that a group without variables hands down is that of the input.
                groups[group.path] = xr.Dataset(attrs=group.attrs) if done is None else done
            return xr.DataTree.from_dict(groups, name=tree.name)

        return of_groups

    return Method(loaded)


class Accessor:
    """What both accessors share: the grid, and a summary of the fields as repr."""

    def __init__(self, obj: xr.Dataset | xr.DataArray) -> None:
        self._obj = obj

    @property
    def grid(self) -> Grid:
        """The grid of the fields; see :class:`flexclim.grids.grid.Grid`."""
        return flexclim.find_grid(self._obj)

    def __repr__(self) -> str:
        from flexclim.planning.source_summary import summary_text

        return summary_text(self._obj)

    def _repr_html_(self) -> str:
        from flexclim.planning.source_summary import summary_html

        return summary_html(self._obj)


@xr.register_dataset_accessor("flex")
class DatasetAccessor(Accessor):
    """The functions of flexclim as methods of a Dataset.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> import flexclim
    >>> ds = xr.Dataset(
    ...     {"t2m": (("lat", "lon"), np.arange(16.0).reshape(4, 4), {"units": "K"})},
    ...     {"lat": [48.0, 47.0, 46.0, 45.0], "lon": [5.0, 6.0, 7.0, 8.0]},
    ... )
    >>> ds.flex  # doctest: +ELLIPSIS
    <flexclim on a Dataset>
    Grid:       regional, 4 x 4 cells of 1 x 1 degrees, lat 48 to 45, lon 5 to 8
    Variables:  t2m (K)
    Model x4:   flex-nano for t2m: serves any field; flex-t2m needs static orog, lsm (bundled ...
    >>> ds.flex.coarsen(2).sizes["lat"]
    2
    """

    downscale = of_dataset(lambda: flexclim.downscale)
    downscale_to_zarr = of_dataset(lambda: flexclim.downscale_to_zarr)
    estimate = of_dataset(lambda: flexclim.estimate)
    forecast = of_dataset(lambda: flexclim.forecast)
    forecast_to_zarr = of_dataset(lambda: flexclim.forecast_to_zarr)
    coarsen = of_dataset(lambda: flexclim.coarsen)
    interpolate = of_dataset(lambda: flexclim.interpolate)
    regrid = of_dataset(lambda: flexclim.regrid)
    adjust = of_dataset(lambda: flexclim.adjust)
    fit_adjustment = of_dataset(lambda: flexclim.fit_adjustment)
    plot = of_dataset(lambda: flexclim.plot)


@xr.register_dataarray_accessor("flex")
class DataArrayAccessor(Accessor):
    """The functions of flexclim as methods of a DataArray.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> import flexclim
    >>> field = xr.DataArray(
    ...     np.arange(16.0).reshape(4, 4),
    ...     coords={"lat": [48.0, 47.0, 46.0, 45.0], "lon": [5.0, 6.0, 7.0, 8.0]},
    ...     name="t2m",
    ... )
    >>> field.flex.coarsen(2).sizes
    Frozen({'lat': 2, 'lon': 2})
    """

    downscale = of_array(lambda: flexclim.downscale)
    downscale_to_zarr = of_array(lambda: flexclim.downscale_to_zarr)
    estimate = of_array(lambda: flexclim.estimate)
    forecast = of_array(lambda: flexclim.forecast)
    forecast_to_zarr = of_array(lambda: flexclim.forecast_to_zarr)
    coarsen = of_array(lambda: flexclim.coarsen)
    interpolate = of_array(lambda: flexclim.interpolate)
    regrid = of_array(lambda: flexclim.regrid)
    adjust = of_array(lambda: flexclim.adjust)
    fit_adjustment = of_array(lambda: flexclim.fit_adjustment)
    plot = of_array(lambda: flexclim.plot)


@xr.register_datatree_accessor("flex")
class DataTreeAccessor:
    """The functions of flexclim that return fields, as methods of a DataTree.

    They are applied to each group that holds variables; the result is a tree of the same groups.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> import flexclim
    >>> ds = xr.Dataset(
    ...     {"t2m": (("lat", "lon"), np.arange(16.0).reshape(4, 4), {"units": "K"})},
    ...     {"lat": [48.0, 47.0, 46.0, 45.0], "lon": [5.0, 6.0, 7.0, 8.0]},
    ... )
    >>> tree = xr.DataTree.from_dict({"past": ds, "future": ds + 2})
    >>> float(tree.flex.coarsen(4)["future/t2m"].squeeze())
    9.5
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self._obj = tree

    def __repr__(self) -> str:
        groups = [group for group in self._obj.subtree if group.data_vars]
        texts = [f"{group.path}\n{group.to_dataset().flex!r}" for group in groups]
        return "\n\n".join(texts) or "<flexclim on a DataTree without variables>"

    downscale = of_tree(lambda: flexclim.downscale)
    forecast = of_tree(lambda: flexclim.forecast)
    coarsen = of_tree(lambda: flexclim.coarsen)
    interpolate = of_tree(lambda: flexclim.interpolate)
    regrid = of_tree(lambda: flexclim.regrid)
