"""Downscale climate fields with diffusion models, in xarray.

``import flexclim`` registers the accessor ``.flex`` of Datasets and DataArrays. Everything else is
imported on first use, so that scripts that need no network do not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flexclim import accessor as accessor
from flexclim._version import __version__ as __version__
from flexclim.errors import (
    AlignmentError,
    FlexclimError,
    FlexclimWarning,
    GridError,
    ModelError,
    RecipeError,
    StoreError,
    without_torch,
)

if TYPE_CHECKING:
    from flexclim import train, verify
    from flexclim.adjustment import adjust, fit_adjustment
    from flexclim.downscaling import downscale, downscale_to_zarr, estimate
    from flexclim.forecasting import forecast, forecast_to_zarr
    from flexclim.grids.discovery import find_grid
    from flexclim.models.catalogue import list_models
    from flexclim.models.minflex import import_minflex
    from flexclim.models.model import load_model
    from flexclim.plotting.panels import plot
    from flexclim.resampling import coarsen, interpolate
    from flexclim.resampling.regridding import regrid
    from flexclim.stores import check_store


__all__ = [
    "AlignmentError",
    "FlexclimError",
    "FlexclimWarning",
    "GridError",
    "ModelError",
    "RecipeError",
    "StoreError",
    "adjust",
    "check_store",
    "coarsen",
    "downscale",
    "downscale_to_zarr",
    "estimate",
    "find_grid",
    "fit_adjustment",
    "forecast",
    "forecast_to_zarr",
    "import_minflex",
    "interpolate",
    "list_models",
    "load_model",
    "plot",
    "regrid",
    "train",
    "verify",
]

_HOMES = {
    "adjust": "adjustment",
    "check_store": "stores",
    "coarsen": "resampling",
    "downscale": "downscaling",
    "downscale_to_zarr": "downscaling",
    "estimate": "downscaling",
    "find_grid": "grids.discovery",
    "fit_adjustment": "adjustment",
    "forecast": "forecasting",
    "forecast_to_zarr": "forecasting",
    "import_minflex": "models.minflex",
    "interpolate": "resampling",
    "list_models": "models.catalogue",
    "load_model": "models.model",
    "plot": "plotting.panels",
    "regrid": "resampling.regridding",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        try:
            return getattr(import_module(f"flexclim.{_HOMES[name]}"), name)
        except ModuleNotFoundError as error:
            raise without_torch(error, f"{name}()") from None
    if name in ("train", "verify"):
        return import_module(f"flexclim.{name}")
    raise AttributeError(f"module 'flexclim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
