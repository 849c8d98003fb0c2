"""Hourly wind for these pages: one real field of ERA5 that moves east over Europe.

The wind of the bundled sample moves by a degree of longitude every two hours, as passing weather
does. It is not the weather of any day, and it does not feel the land below.
"""

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cli.demos.sample import sample_file

EUROPE = {"latitude": slice(63, 40), "longitude": slice(0, 31)}  # 24 x 32 cells of 1 degree


def passing_wind(hours=48, every=2):
    """Return u10 and v10 (time, latitude, longitude) at 1 degree."""
    field = xr.open_dataset(sample_file())[["u10", "v10"]].isel(time=0, drop=True).load()
    times = pd.date_range("2026-03-25", periods=hours // every, freq=f"{every}h")
    moved = [field.roll(longitude=step).sel(EUROPE) for step in range(times.size)]
    return xr.concat(moved, pd.Index(times, name="time")).assign_attrs(
        title="ERA5 wind, moved east"
    )


def stations(number=40, seed=1):
    """Return positions over Europe as a table, as a file of stations has them."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "station": [f"S{n:02}" for n in range(number)],
            "lat": random.uniform(42, 62, number).round(2),
            "lon": random.uniform(2, 29, number).round(2),
        }
    )
