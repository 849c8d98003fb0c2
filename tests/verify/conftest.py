import numpy as np
import pytest
import xarray as xr

from flexclim import coarsen, verify

# numbagg, where it is installed, compiles for half a minute before its first minimum.
xr.set_options(use_numbagg=False)


@pytest.fixture
def ensemble():
    """Six members, three times, eight rows from pole to pole, ten columns; and their truth."""
    rng = np.random.default_rng(7)
    coords = {
        "time": np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]").astype("M8[ns]"),
        "lat": np.linspace(90, -90, 8),
        "lon": np.arange(10) * 36.0,
    }
    dims = ["time", "lat", "lon"]
    truth = xr.DataArray(rng.normal(size=(3, 8, 10)), coords, dims, "wind", {"units": "m s-1"})
    noise = rng.normal(size=(6, 3, 8, 10))
    forecast = xr.DataArray(
        noise, {"realization": np.arange(6), **coords}, ["realization", *dims], "wind"
    ).assign_attrs(units="m s-1")
    return forecast, truth


@pytest.fixture
def area(ensemble):
    """Areas of the rows by hand: differences of sines of the bounds, half cells on the poles."""
    lat = np.linspace(90, -90, 8)
    edges = np.concatenate([[90], (lat[1:] + lat[:-1]) / 2, [-90]])
    weight = -np.diff(np.sin(np.deg2rad(edges)))
    return xr.DataArray(weight, dims=["lat"])


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory):
    """A good ensemble on 16 x 32 cells at five times, its truth from a file, the coarse field."""
    rng = np.random.default_rng(0)
    coords = {
        "time": np.arange("2020-01-01", "2020-01-06", dtype="datetime64[D]").astype("M8[ns]"),
        "lat": ("lat", 56.25 - 7.5 * np.arange(16), {"standard_name": "latitude"}),
        "lon": ("lon", 5.625 + 11.25 * np.arange(32), {"standard_name": "longitude"}),
    }
    dims = ["time", "lat", "lon"]
    attributes = {"units": "m s-1", "standard_name": "eastward_wind"}
    shape = (5, 16, 32)
    waves = np.sin(np.arange(32) / 32 * 4 * np.pi) * np.cos(np.arange(16) / 3)[:, None]
    known = 3 * waves + rng.normal(0, 0.5, (5, 1, 1)) + rng.normal(size=shape)
    truth = xr.DataArray(known + rng.normal(size=shape), coords, dims, "u10", attributes)
    members = xr.DataArray(known + rng.normal(size=(5, *shape)), coords, ["realization", *dims])
    members = members.rename("u10").assign_attrs(attributes)
    path = tmp_path_factory.mktemp("fields") / "truth.nc"
    truth.to_dataset().assign_attrs(title="Made up").to_netcdf(path)
    stored = xr.load_dataset(path)
    stored.encoding["source"] = str(path)
    coarse = coarsen(stored, 4)
    forecast, residuals = members.to_dataset(), verify.residuals(stored, 4)
    scores = verify.evaluate(forecast, stored, coarse, residuals=residuals)
    return (forecast, stored, coarse), scores


@pytest.fixture
def fields(evaluated):
    """Forecast, truth and coarse field of ``scores``."""
    return tuple(ds.copy(deep=True) for ds in evaluated[0])


@pytest.fixture
def scores(evaluated):
    """Scores of an ensemble and three baselines."""
    return evaluated[1].copy(deep=True)


@pytest.fixture(scope="session")
def climate_world():
    """Rain and daily maxima of ten years: a coarse GCM, its adjustment, a fine truth; futures."""
    rng = np.random.default_rng(0)

    def world(first, shift, lat, lon, calendar="standard"):
        times = xr.date_range(
            f"{first}-01-01",
            f"{first + 9}-12-30",
            freq="D",
            calendar=calendar,
            use_cftime=calendar != "standard",
        )
        shape, dims = (times.size, len(lat), len(lon)), ["time", "lat", "lon"]
        season = 10 * np.sin(2 * np.pi * (np.asarray(times.day_of_year) - 110) / 360)
        warm = 285 + shift + season[:, None, None] + rng.normal(0, 3, shape)
        rain = np.where(rng.random(shape) < 0.4, rng.gamma(0.8, 8 + shift, shape), 0)
        return xr.Dataset(
            {"tasmax": (dims, warm, {"units": "K"}), "pr": (dims, rain, {"units": "mm d-1"})},
            {"time": times, "lat": lat, "lon": lon},
        )

    coarse, fine = ([47.0, 48], [5.0, 6]), (46.75 + np.arange(4) / 2, 4.75 + np.arange(4) / 2)
    simulations = {
        "GCM": world(1991, 2, *coarse, "360_day"),
        "adjusted": world(1991, 0, *coarse, "noleap"),
    }
    future = {"GCM": world(2061, 5, *coarse), "adjusted": world(2061, 3, *coarse)}
    given = simulations, world(1991, 0, *fine), future
    return given, verify.climate.evaluate(given[0], given[1], future=future)
