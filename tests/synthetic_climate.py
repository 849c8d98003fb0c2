"""A climate with a known bias, a trend and extremes, and a model of it.

Daily temperature and precipitation of a region of coarse cells. The reference is what happened;
the model is another run of the same climate with the same trend, but too warm, with too wide a
spread and too large an annual cycle, raining too often and too little.
"""

import numpy as np
import xarray as xr

SECONDS = 86400
WARMING = 0.04  # K a year after 2000
WETTER = 0.1  # a K


def climate(first, years, cells=(24, 32), *, seed=0, model=False, calendar="noleap"):
    """Return daily ``tas`` (K) and ``pr`` (kg m-2 s-1) from 1 January of the year ``first``."""
    random = np.random.default_rng([seed, first, model])
    end = f"{first + years - 1}-12-{30 if calendar == '360_day' else 31}"
    times = xr.date_range(f"{first}-01-01", end, calendar=calendar, use_cftime=None)
    dates = xr.DataArray(times, dims="time").dt
    passed = (dates.dayofyear / dates.days_in_year).values.astype(np.float32)[:, None, None]
    late = np.maximum(dates.year.values - 2000, 0).astype(np.float32)[:, None, None] * WARMING
    north = np.linspace(-1, 1, cells[0], dtype=np.float32)[:, None]
    size = (times.size, *cells)
    summer = np.cos(2 * np.pi * (passed - 0.55))
    spread = 3 - summer + 0.1 * late
    noise = random.standard_normal(size, np.float32)
    wet = random.random(size, np.float32) < 0.4 + 0.1 * summer
    shape = 0.6 if model else 0.8
    amount = (
        random.standard_gamma(shape, size, np.float32) * (8 + 2 * north) * np.exp(WETTER * late)
    )
    tas = 283 - 4 * north + 9 * summer + spread * noise + late
    if model:
        tas += 2 - north + 2 * summer + 0.3 * spread * noise
        drizzle = np.where(random.random(size, np.float32) < 0.7, 0.1 + 0.5 * wet, 0)
        amount = 0.7 * amount + 0.2
    else:
        drizzle = 0
    pr = np.where(wet, amount, drizzle) / SECONDS
    coordinates = {
        "time": times,
        "lat": ("lat", 40.0 + np.arange(cells[0]), {"units": "degrees_north"}),
        "lon": ("lon", 5.0 + np.arange(cells[1]), {"units": "degrees_east"}),
    }
    dims = ("time", "lat", "lon")
    return xr.Dataset(
        {
            "tas": (dims, tas, {"standard_name": "air_temperature", "units": "K"}),
            "pr": (
                dims,
                pr.astype(np.float32),
                {"standard_name": "precipitation_flux", "units": "kg m-2 s-1"},
            ),
        },
        coordinates,
        {"title": "synthetic model" if model else "synthetic reference"},
    )


def with_extremes(ds, *, model=False):
    """Add ``tasmin`` and ``tasmax``, which in a model are too near to the mean on many days."""
    random = np.random.default_rng([ds.sizes["time"], ds.sizes["lat"], model])
    extremes = {}
    for name, sign in ("tasmin", -1), ("tasmax", 1):
        shape = 0.7 if model else 2.0
        apart = 2 * random.standard_gamma(shape, ds.tas.shape, np.float32) + 0.05
        attributes = {**ds.tas.attrs, "cell_methods": f"time: {name[3:]}imum"}
        extremes[name] = (ds.tas + sign * apart).assign_attrs(attributes)
    return ds.assign(extremes)
