"""A small store in the layout of the CORDEX ML-Bench, and a checker of submissions to it.

Names, folders, variables and dimensions are those of its data/README.md, data/experiments.ipynb,
submission/README.md and submission/submission.py (https://github.com/WCRP-CORDEX/ml-benchmark).
"""

import re

import numpy as np
import pandas as pd
import xarray as xr

LEVELS = 850, 700, 500
GCM = "ACCESS-CM2"
TESTS = {"historical": ("perfect", "1981-2000"), "end_century": ("imperfect", "2080-2099")}
NAME = re.compile(r"Predictions_pr_tasmax_([\w-]+)_(\d{4}-\d{4})\.nc")
EXPERIMENTS = "ESD_pseudo_reality", "Emulator_hist_future"
PERIODS = "historical", "mid_century", "end_century"
SPATIAL = {"NZ": ("lat", "lon"), "SA": ("lat", "lon"), "ALPS": ("y", "x")}


def times(first, days):
    return pd.date_range(f"{first}-01-01 12:00", periods=days)


def predictors(first, days, seed=0):
    """Fifteen variables on 16 x 16 points of 2 degrees, at noon."""
    random = np.random.default_rng(seed)
    lat, lon = np.arange(-55.0, -24, 2), np.arange(160.0, 191, 2)
    shape = days, lat.size, lon.size
    smooth = 280 + 0.5 * (lat[:, None] + 40) + 0.1 * (lon - 175)
    made = {}
    for number, level in enumerate(LEVELS):
        weather = random.normal(size=(4, days, 1, 1)) + 0.1 * random.normal(size=(4, *shape))
        made[f"t_{level}"] = smooth - 10 * number + 3 * weather[0]
        made[f"q_{level}"] = 5e-3 / (number + 1) * np.exp(0.3 * weather[1])
        made[f"u_{level}"] = 10 * weather[2]
        made[f"v_{level}"] = 10 * weather[3]
        made[f"z_{level}"] = 1500.0 * (number + 1) + 20 * weather[0]
    units = {"t": "K", "q": "kg kg-1", "u": "m s-1", "v": "m s-1", "z": "m"}
    dims = "time", "lat", "lon"
    return xr.Dataset(
        {k: (dims, np.float32(one), {"units": units[k[0]]}) for k, one in made.items()},
        {"time": times(first, days), "lon": lon, "lat": lat},
    )


def target(first, days, side=32, seed=1):
    """Rain and maximum temperature on 0.11 degree, at noon."""
    random = np.random.default_rng(seed)
    lat, lon = -43 + 0.11 * np.arange(side), 171 + 0.11 * np.arange(side)
    shape = days, side, side
    rain = {"standard_name": "precipitation_flux", "units": "mm day-1"}
    warm = {"standard_name": "air_temperature", "units": "K", "cell_methods": "time: maximum"}
    dims = "time", "lat", "lon"
    return xr.Dataset(
        {
            "pr": (dims, np.float32(random.gamma(0.5, 4, shape)), rain),
            "tasmax": (dims, np.float32(285 + random.normal(size=shape)), warm),
        },
        {"time": times(first, days), "lat": lat, "lon": lon},
    )


def write(folder, days=20):
    """Write a domain of the benchmark; returns its folder."""
    domain = folder / "NZ" / "NZ_domain"
    train = domain / "train" / "ESD_pseudo_reality"
    for name in ("predictors", "target"):
        (train / name).mkdir(parents=True)
    fine = target(1961, days)
    predictors(1961, days).to_netcdf(train / "predictors" / f"{GCM}_1961-1980.nc")
    fine.to_netcdf(train / "target" / f"pr_tasmax_{GCM}_1961-1980.nc")
    height = np.random.default_rng(2).uniform(0, 2000, (fine.lat.size, fine.lon.size))
    orog = xr.Dataset(
        {"orog": (("lat", "lon"), height, {"units": "m"})}, fine[["lat", "lon"]].coords
    )
    orog.to_netcdf(train / "predictors" / "Static_fields.nc")
    for number, (period, (condition, years)) in enumerate(TESTS.items()):
        place = domain / "test" / period / "predictors" / condition
        place.mkdir(parents=True)
        predictors(years[:4], 2, seed=3 + number).to_netcdf(place / f"{GCM}_{years}.nc")
    return domain


def check(submission, domain):
    """Check a submission against the published rules; returns its files."""
    inputs = sorted((domain / "test").rglob("*.nc"))
    found = sorted(submission.rglob("*.nc"))
    assert len(found) == len(inputs), "predictions for all predictors"
    for path in inputs:
        period, _, condition = path.relative_to(domain / "test").parts[:3]
        name = domain.name.removesuffix("_domain")
        assert period in PERIODS
        (own,) = [one for one in found if one.parts[-3:-1] == (period, condition)]
        assert own.parts[-5] == f"{name}_Domain"
        assert own.parts[-4] in EXPERIMENTS
        gcm, years = NAME.fullmatch(own.name).groups()
        assert f"{gcm}_{years}.nc" == path.name
        check_file(own, path, domain, name)
    return found


def check_file(path, given, domain, name):
    """Check one file against the template: the grid and attributes of the target for training."""
    (template,) = sorted((domain / "train").glob("*/target/*.nc"))
    with (
        xr.open_dataset(path) as ds,
        xr.open_dataset(template) as like,
        xr.open_dataset(given) as x,
    ):
        assert {"pr", "tasmax"} <= set(ds.data_vars)
        assert ds.sizes["member"] == 10
        np.testing.assert_array_equal(ds["time"], x["time"])
        for variable in ("pr", "tasmax"):
            assert set(ds[variable].dims) == {"member", "time", *SPATIAL[name]}
            assert ds[variable].dtype == np.float32
            assert ds[variable].attrs == like[variable].attrs
            assert np.isfinite(ds[variable]).all()
        for dim in SPATIAL[name]:
            np.testing.assert_array_equal(ds[dim], like[dim])
        assert (ds["pr"] >= 0).all()
        assert ds.attrs["activity_id"] == "ML-Benchmark"
        assert ds.attrs["stochastic_output"] == "yes"
