import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.train.data.downscaling_patches import Patches
from flexclim.train.data.model_settings import model_settings
from flexclim.train.data.normalisation import fit_normalisation
from flexclim.train.data.sources import open_sources
from flexclim.train.data.training_data import open_training_data

FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
    "data.forecast.leads={6h: 1, 12h: 1}",
    "data.label=[lead, day_of_year]",
)
UNIT = {"residual_scale": {"2": [1.0], "4": [1.0]}}


@pytest.fixture(scope="session")
def make():
    """Return a function that opens the patches of a recipe."""

    def patches(recipe, seed=0):
        sources = open_sources(recipe.data, "train")
        fitted = fit_normalisation(sources, recipe) if recipe.data.named else UNIT
        return Patches(sources, recipe.data, model_settings(recipe, fitted), seed)

    return patches


@pytest.fixture(scope="session")
def forecast_data(finished, read):
    """Return the data of forecasts of both components, normalised on enough patches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flexclim.train.data.normalisation.BATCHES", 12)
        return open_training_data(read(finished.parent, *FORECAST))


@pytest.fixture
def patches(recipe, make):
    """Return the patches of the small recipe."""
    return make(recipe)


@pytest.fixture
def plane(folder):
    """Return a folder whose wind lies on a projected grid, wider than high."""
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds = ds.isel(latitude=slice(0, 64)).rename(latitude="y", longitude="x")
    kilometres = {"units": "km"}
    ds = ds.assign_coords(
        y=("y", np.arange(64) * 2.5, {"standard_name": "projection_y_coordinate"} | kilometres),
        x=("x", np.arange(128) * 2.5, {"standard_name": "projection_x_coordinate"} | kilometres),
    )
    ds.close()
    (folder / "wind.nc").unlink()
    ds.to_netcdf(folder / "wind.nc")
    return folder


@pytest.fixture(scope="session")
def dataset():
    """Return a function that makes two random variables on a grid of 6 x 8 points."""

    def variables(first="2018-10-01", count=4, seed=0):
        random = np.random.default_rng(seed)
        dims = ("time", "latitude", "longitude")
        return xr.Dataset(
            {name: (dims, random.normal(size=(count, 6, 8)).astype("float32")) for name in "uv"},
            coords={
                "time": pd.date_range(first, periods=count, freq="6h"),
                "latitude": np.arange(6.0)[::-1],
                "longitude": np.arange(8.0),
            },
        )

    return variables


@pytest.fixture(scope="session")
def planes():
    """Return a function that reads all planes of a variable."""
    return lambda fields, name: fields.series[name].read_all(np.arange(fields.times.size))
