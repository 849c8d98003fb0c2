"""The ERA5 sample that ships with the package."""

from __future__ import annotations

from pathlib import Path


def sample_file() -> Path:
    """Return the ERA5 sample: u10, v10 and t2m, two times, 1 degree.

    >>> sample_file().name
    'era5_1deg_sample.nc'
    """
    return Path(__file__).parent / "era5_1deg_sample.nc"
