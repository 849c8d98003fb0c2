"""The ERA5 sample and the outlines that ship with the package."""

from __future__ import annotations

from pathlib import Path


def sample_file() -> Path:
    """Return the ERA5 sample: u10, v10 and t2m, two times, 1 degree.

    >>> sample_file().name
    'era5_1deg_sample.nc'
    """
    return Path(__file__).parent / "era5_1deg_sample.nc"


def countries_file() -> Path:
    """Return the outlines of four countries, as GeoJSON of longitude and latitude.

    >>> countries_file().name
    'countries.geojson'
    """
    return Path(__file__).parent / "countries.geojson"
