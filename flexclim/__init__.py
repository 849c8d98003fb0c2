"""Downscale climate fields with diffusion models, in xarray.

``import flexclim`` registers ``.flex`` on Dataset and DataArray. Everything else loads when it is
first used, so that torch is imported only by what needs it.
"""

from importlib import import_module
from typing import Any

from flexclim import accessor as accessor
from flexclim.errors import (
    AlignmentError,
    FlexclimError,
    GridError,
    ModelError,
    RecipeError,
    StoreError,
)

__version__ = "0.1.0"

_HOMES = {
    "downscale": "downscaling",
    "downscale_to_zarr": "downscaling",
    "coarsen": "resampling",
    "interpolate": "resampling",
    "find_grid": "grid",
    "load_model": "checkpoint",
    "list_models": "checkpoint",
    "import_minflex": "minflex",
}
_MODULES = ("train", "verify")

__all__ = [  # noqa: PLE0604
    "AlignmentError",
    "FlexclimError",
    "GridError",
    "ModelError",
    "RecipeError",
    "StoreError",
    *_HOMES,
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"flexclim.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"flexclim.{name}")
    raise AttributeError(f"module 'flexclim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
