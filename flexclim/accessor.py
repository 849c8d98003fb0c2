"""``.flex`` on Dataset and DataArray: each method calls one public function and keeps no state."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import xarray as xr

import flexclim

if TYPE_CHECKING:
    from flexclim.grids.grid import Grid
    from flexclim.grids.operators import Method
    from flexclim.planning.leads import Leads


@xr.register_dataset_accessor("flex")
@xr.register_dataarray_accessor("flex")
class FlexAccessor:
    """The functions of flexclim as methods of a field.

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

    def __init__(self, obj: xr.Dataset | xr.DataArray) -> None:
        self._obj: Any = obj

    def downscale(self, factor: int, **options: Any) -> xr.Dataset | xr.DataArray:
        """Downscale to an ensemble; see :func:`flexclim.downscale`."""
        return flexclim.downscale(self._obj, factor, **options)

    def downscale_to_zarr(self, store: str | PathLike[str], factor: int, **options: Any) -> Any:
        """Downscale into a Zarr store, resumably; see :func:`flexclim.downscale_to_zarr`."""
        return flexclim.downscale_to_zarr(self._obj, store, factor, **options)

    def forecast(self, leads: Leads, **options: Any) -> xr.Dataset | xr.DataArray:
        """Forecast from these last times, as an ensemble; see :func:`flexclim.forecast`."""
        return flexclim.forecast(self._obj, leads, **options)

    def forecast_to_zarr(self, store: str | PathLike[str], leads: Leads, **options: Any) -> Any:
        """Forecast into a Zarr store, resumably; see :func:`flexclim.forecast_to_zarr`."""
        return flexclim.forecast_to_zarr(self._obj, store, leads, **options)

    def coarsen(self, factor: int, **options: Any) -> xr.Dataset | xr.DataArray:
        """Average blocks, weighted by area; see :func:`flexclim.coarsen`."""
        return flexclim.coarsen(self._obj, factor, **options)

    def interpolate(
        self, factor: int, method: Method = "bicubic", **options: Any
    ) -> xr.Dataset | xr.DataArray:
        """Interpolate to the fine grid; see :func:`flexclim.interpolate`."""
        return flexclim.interpolate(self._obj, factor, method, **options)

    @property
    def grid(self) -> Grid:
        """What was understood of the field's grid; see :class:`flexclim.grids.grid.Grid`."""
        return flexclim.find_grid(self._obj)
