"""Write small files that look like CMIP6 and a reanalysis but hold invented rain.

Nothing in them was observed or simulated by a climate model. The "model" rains too often and too
little; its later years are wetter.
"""

from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

FACTOR, ROWS, COLUMNS = 4, 6, 8
SECONDS = 86400


def rain(first, last, seed, change=1.0):
    """Return daily rain (mm) at a quarter of a degree."""
    times = xr.date_range(f"{first}-01-01", f"{last}-12-31")
    random = np.random.default_rng([seed, first])
    size = times.size, ROWS * FACTOR, COLUMNS * FACTOR
    noise = random.standard_normal(size, np.float32)
    weather = sum(gaussian_filter(noise, (0, s, s), mode="wrap") * s for s in (1, 3, 8))
    winter = 0.3 * np.cos(2 * np.pi * times.dayofyear.values / 365.25)[:, None, None]
    falls = np.maximum(weather / weather.std() + winter - 0.4, 0) ** 1.6 * 9 * change
    coordinates = {
        "time": times,
        "lat": ("lat", 49.875 - 0.25 * np.arange(size[1]), {"units": "degrees_north"}),
        "lon": ("lon", 6.125 + 0.25 * np.arange(size[2]), {"units": "degrees_east"}),
    }
    return xr.DataArray(falls.astype(np.float32), coordinates, ("time", "lat", "lon"), "pr")


def write_files(folder="."):
    """Write a reference and two runs of a model; return their paths."""
    about = "SYNTHETIC, made for a tutorial: no observations and no climate model"
    fine = rain(1996, 2010, seed=1).to_dataset()
    fine["pr"].attrs = {"standard_name": "lwe_precipitation_rate", "units": "mm d-1"}
    made = {"pr_day_synthetic-reanalysis_1996-2010.nc": fine}
    for scenario, first, change in (("historical", 1996, 1.0), ("ssp370", 2071, 1.25)):
        falls = rain(first, first + 14, seed=2, change=change)
        coarse = falls.coarsen(lat=FACTOR, lon=FACTOR).mean().to_dataset()
        drizzle = np.random.default_rng(first).random(coarse["pr"].shape, np.float32)
        coarse["pr"] = (0.6 * coarse["pr"] + 0.8 * drizzle) / SECONDS
        coarse["pr"].attrs = {"standard_name": "precipitation_flux", "units": "kg m-2 s-1"}
        made[f"pr_day_synthetic-gcm_{scenario}_{first}-{first + 14}.nc"] = coarse
    for name, ds in made.items():
        ds.assign_attrs(title=name.split("_")[2], comment=about).to_netcdf(Path(folder, name))
    return [Path(folder, name) for name in made]
