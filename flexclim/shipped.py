"""What ships with the package, and where it lies.

The sample, the coastlines and the bundled models lie inside the package. Recipes lie in
``recipes/`` beside it in a checkout (and so for an editable install) and in ``flexclim/recipes``
in a wheel.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def sample_file() -> Path:
    """Return the ERA5 sample: u10, v10 and t2m, two times, 1 degree.

    >>> sample_file().name
    'era5_1deg_sample.nc'
    """
    return PACKAGE / "sample" / "era5_1deg_sample.nc"


def coastlines_file() -> Path:
    """Return the outlines of land, Natural Earth 1:110m."""
    return PACKAGE / "coastlines" / "coast110.npz"


def models_folder() -> Path:
    """Return the folder that holds one folder a bundled model."""
    return PACKAGE / "models" / "bundled"


def registry_file() -> Path:
    """Return the list of models that are fetched when they are first used."""
    return PACKAGE / "models" / "registry.json"


def recipes_folder() -> Path:
    """Return the folder that holds one YAML file a recipe.

    >>> recipes_folder().name
    'recipes'
    """
    inside = PACKAGE / "recipes"
    return inside if inside.is_dir() else PACKAGE.parent / "recipes"
