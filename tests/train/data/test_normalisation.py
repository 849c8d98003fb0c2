"""What is told of a model before and after its normalisation is fitted."""

import pytest
import xarray as xr

from flexclim.errors import FlexclimError, RecipeError
from flexclim.train import load_recipe
from flexclim.train.data import normalisation as module
from flexclim.train.data.feed import open_feed
from flexclim.train.data.normalisation import check_network, fit_normalisation, known_units
from flexclim.train.data.splits import open_sources

NAMED = ("data.inputs=[u10]", "data.targets=[{name: v10, base: u10}]",
         "data.sources.0.variables=[]", "data.sources.0.signed=false")  # fmt: skip


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.depth=0", "network.depth = 0 does not do: Input should be greater than"),
        ("network.model_channels=[16, 32]", "network.model_channels.0 = 16 does not do"),
        ("network.tile=[30, 30]", "does not divide by"),
        ("data.factors={3: 1}", r"tile = \[32, 32\] does not divide by data.factors 3; set "
         r"network.tile to \[24, 24\]"),
        ("data.factors={2: 1, 12: 1}", r"to \[24, 24\]"),
    ],
)  # fmt: skip
def test_a_network_that_can_not_be_is_refused_before_any_data(folder, override, message):
    with pytest.raises(FlexclimError, match=message) as caught:
        open_feed(load_recipe(folder / "tiny.yaml", [override, "data.folder=/nowhere"]), None)
    assert "\n" not in str(caught.value)


def test_the_tile_that_is_named_fits(folder):
    check_network(
        load_recipe(folder / "tiny.yaml", ["data.factors={3: 1}", "network.tile=[24, 24]"])
    )


def test_units_are_those_of_the_files(folder):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds["u10"].attrs["units"] = "m s-1"
    ds.to_netcdf(folder / "wind.nc")
    data = load_recipe(folder / "tiny.yaml", NAMED).data
    assert known_units(open_sources(data, "train")) == {"u10": "m s-1"}
    # Sources that differ tell nothing.
    ds["u10"].attrs["units"] = "knot"
    ds.to_netcdf(folder / "other.nc")
    other = load_recipe(folder / "tiny.yaml", [*NAMED, "data.sources.0.path=other.nc"]).data
    both = [*open_sources(data, "train"), *open_sources(other, "train")]
    assert known_units(both) == {}


def test_a_rare_factor_is_measured_too(folder, monkeypatch):
    monkeypatch.setattr(module, "BATCHES", 1)
    monkeypatch.setattr(module, "SIZE", 4)
    rare = load_recipe(folder / "tiny.yaml", ["data.factors={2: 0.08, 4: 1}"])
    scale = fit_normalisation(open_sources(rare.data, "train"), rare)["residual_scale"]
    assert scale["2"] != [1.0]
    never = load_recipe(folder / "tiny.yaml", ["data.factors={2: 1e-9, 4: 1}"])
    with pytest.raises(RecipeError, match="of factor 2 and held all targets; give it a larger"):
        fit_normalisation(open_sources(never.data, "train"), never)
