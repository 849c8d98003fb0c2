"""What is told of a model before and after its normalisation is fitted."""

import numpy as np
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train import load_recipe
from flexclim.train.data import normalisation as module
from flexclim.train.data.normalisation import fit_normalisation
from flexclim.train.data.sources import open_sources

NAMED = ("data.inputs=[u10]", "data.targets=[{name: v10, base: u10}]",
         "data.sources.0.variables=[]", "data.sources.0.signed=false")  # fmt: skip


def test_a_rare_factor_is_measured_too(folder, monkeypatch):
    monkeypatch.setattr(module, "BATCHES", 1)
    monkeypatch.setattr(module, "SIZE", 4)
    rare = load_recipe(folder / "tiny.yaml", ["data.factors={2: 0.08, 4: 1}"])
    scale = fit_normalisation(open_sources(rare.data, "train"), rare)["residual_scale"]
    assert scale["2"] != [1.0]
    never = load_recipe(folder / "tiny.yaml", ["data.factors={2: 1e-9, 4: 1}"])
    with pytest.raises(RecipeError, match="had factor 2 and values of all targets; give it"):
        fit_normalisation(open_sources(never.data, "train"), never)


def test_normalisation_sees_the_training_split_only(folder, read):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    before = fit_normalisation(
        open_sources(read(folder, *NAMED).data, "train"), read(folder, *NAMED)
    )
    outside = ds.time >= np.datetime64("2018-10-03")
    (ds + 1e4 * outside).to_netcdf(folder / "wind.nc")
    recipe = read(folder, *NAMED)
    after = fit_normalisation(open_sources(recipe.data, "train"), recipe)
    assert before == after
    assert before["inputs"]["u10"]["mean"] == 0.0, "a vector's mean is 0"
    assert before["inputs"]["u10"]["vector"]


def test_a_target_and_its_base_are_both_components(folder, read):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds.rename(u10="ux").assign(u10=ds.u10).to_netcdf(folder / "wind.nc")
    targets = "data.inputs=[u10]", "data.targets=[{name: ux, base: u10}]", "data.scaling=fixed"
    recipe = read(folder, *NAMED[1:], *targets)
    with pytest.raises(RecipeError, match="'ux' is not known to be one"):
        fit_normalisation(open_sources(recipe.data, "train"), recipe)


def test_a_variable_that_does_not_vary(folder, read):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds.assign(v10=ds.v10 * 0 + 3).to_netcdf(folder / "wind.nc")
    recipe = read(folder, *NAMED)
    with pytest.raises(RecipeError, match="'v10' is 3 in all training patches"):
        fit_normalisation(open_sources(recipe.data, "train"), recipe)
