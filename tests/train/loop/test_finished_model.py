"""What a trained model tells of itself."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from flexclim.models.settings import ModelSettings
from flexclim.nn.configuration import NetworkSettings
from flexclim.train import load_recipe
from flexclim.train.data.common_units import CommonUnits
from flexclim.train.data.model_settings import model_settings
from flexclim.train.data.sources import open_sources
from flexclim.train.loop.finished_model import correlation_reach, hardware, model_card, with_halo
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.snapshot import RunState


@pytest.fixture
def settings():
    sizes = NetworkSettings(
        tile=(64, 64),
        model_channels=(32, 32),
        res_blocks=(1, 1),
        depth=3,
        num_heads=2,
        unshuffle=1,
    )
    scale = {2: (0.7,), 4: (0.9,), 8: (1.0,)}
    return ModelSettings(network=sizes, halo=16, factors=(2, 4, 8), residual_scale=scale)


def test_a_card_states_the_data_and_the_recipe(settings):
    recipe = load_recipe("flex_nano", ["data.folder=/secret/place", "output=/secret/run"])
    cells = SimpleNamespace(title="icon.nc", input_grid="unstructured cells, 80 cells along x")
    rows = SimpleNamespace(title="gfs.nc", input_grid="")
    sources = [
        SimpleNamespace(
            grid=SimpleNamespace(spacing_km=km), input_fields=fields, target_fields=fields
        )
        for km, fields in ((2.5, cells), (111.19, rows))
    ]
    feed = SimpleNamespace(sources=sources, settings=settings)
    standing = RunState(step=9, best_step=8, seconds=61.04, best_scores={"crps": 0.6})
    card = model_card(recipe, feed, standing, "2 threads of a processor", 5)
    assert card.name == "flex-nano"
    assert card.factors == (2, 4, 8)
    assert card.spacing_km == (2.5, 111.2)
    assert card.data[0].source == "gfs_wind_1deg_2018.nc"
    assert card.data[0].period.startswith("2018-10-01 to 2018-10-13; validated on 2018-10-15")
    assert card.licence == recipe.licence
    assert card.scores == {"crps": 0.6}
    assert "falls to 0.1 over 5 cells. icon.nc: unstructured cells, 80 cells" in card.notes
    assert "gfs.nc" not in card.notes
    assert "61" in f"{card.seconds}"
    assert "secret" not in json.dumps(card.model_dump(mode="json"))
    for part in ("flex-nano", "2 threads", "crps 0.6", "torch"):
        assert part in str(card)


def test_a_card_states_the_units_of_named_variables(settings, folder):
    """Inputs and static fields are converted to the units of the card."""
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds["u10"].attrs["units"] = "m s-1"
    ds.to_netcdf(folder / "wind.nc")
    standing = RunState(step=9, best_step=8, seconds=61.04, best_scores={"crps": 0.6})
    single = load_recipe(folder / "tiny.yaml")
    # A model of any variable has no units.
    feed = SimpleNamespace(sources=open_sources(single.data, "train"), settings=settings)
    assert model_card(single, feed, standing, "a processor", 5).units == {}
    named = load_recipe(
        folder / "tiny.yaml",
        ["data.inputs=[u10]", "data.sources.0.variables=[]", "data.sources.0.signed=false"],
    )
    unit = {"u10": {"mean": 0.0, "std": 1.0, "vector": True}}
    fitted = {"inputs": unit, "targets": unit, "residual_scale": {"2": [1.0], "4": [1.0]}}
    units = CommonUnits()
    sources = open_sources(named.data, "train", units)
    units.note("orog", {"units": "m"}, "static.nc")
    feed = SimpleNamespace(
        sources=sources, settings=model_settings(named, fitted), units=units.known
    )
    found = model_card(named, feed, standing, "a processor", 5).units
    assert found == {"u10": "m s-1", "orog": "m"}


def test_the_reach_of_a_correlation():
    noise = np.random.default_rng(0).normal(size=(16, 2, 64, 64))
    smooth = noise.copy()
    kernel = np.ones(8) / 8
    smooth[:, 1] = np.apply_along_axis(lambda a: np.convolve(a, kernel, "same"), -1, noise[:, 1])
    assert correlation_reach(noise) == 1
    # A running mean of 8 cells has an autocorrelation of 1 - lag / 8.
    assert correlation_reach(smooth) == 8


@pytest.mark.parametrize(("reach", "halo"), [(1, 16), (16, 16), (17, 24), (31, 32), (60, 32)])
def test_a_halo_holds_the_correlation_and_a_quarter_of_a_tile(settings, reach, halo):
    assert with_halo(settings, reach).halo == halo


def test_hardware_is_named():
    assert "threads of" in hardware(Ranks(world=2, device=torch.device("cpu")))
