"""Every recipe that ships runs its first steps on the data that it names."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.models.catalogue import BUNDLED
from flexclim.train import fit, load_recipe
from flexclim.train.recipes.explain import explain_recipe
from flexclim.train.recipes.reading import recipes_folder

ELSEWHERE = "era5_0p25_x4", "cordex_ml_bench"  # data of their own: each has a test of its own
RECIPES = sorted(file.stem for file in recipes_folder().glob("*.yaml"))
# Patches a step and seconds are what a test can spend; the data is the recipe's.
SHORT = (
    "trainer.steps=14",
    "ensemble.steps=6",
    "trainer.warmup=4",
    "trainer.validate_every=100",
    "trainer.score_every=100",
    "trainer.validation_patches=4",
    "trainer.score_members=2",
    "trainer.precision=float32",
    "trainer.batch=2",
)
HUGE = (
    "network.model_channels=[32, 32, 64]",
    "network.res_blocks=[1, 1, 1]",
    "network.depth=3",
    "network.num_heads=2",
    "network.unshuffle=2",
)


def check(folder):
    model = flexclim.load_model(folder)
    scores = model.card.scores
    assert scores, "a run ends with scores"
    assert all(math.isfinite(value) for value in scores.values()), scores
    return model


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_needs(name):
    file = recipes_folder() / f"{name}.yaml"
    head = [line for line in file.read_text().splitlines() if line.startswith("#")]
    for word in ("Needs:", "Takes:", "Expect:"):
        assert any(line.startswith(f"# {word}") for line in head), word
    # A time was measured where weights that ship, or a report in docs/reports, were made.
    takes = next(line for line in head if line.startswith("# Takes:"))
    recipe = load_recipe(name)
    made = name in ("flex_zero", "gfs_wind_days") or (BUNDLED / recipe.name).is_dir()
    assert made or "not measured" in takes or "not run" in takes
    assert name.startswith(recipe.name.replace("-", "_"))
    assert recipe.description in explain_recipe(recipe)
    assert all(source.licence != "unspecified" for source in recipe.data.sources)


def test_a_later_round_begins_where_an_earlier_one_ends():
    recipes = {name: load_recipe(name) for name in RECIPES}
    later = [recipe for recipe in recipes.values() if recipe.start.startswith("runs/")]
    assert later
    folders = [recipe.folder for recipe in recipes.values()]
    assert len(set(folders)) == len(folders)
    for recipe in later:
        assert Path(recipe.start).parent in folders, recipe.start


# One recipe for each kind of source and task runs in CI, all others by hand.
KINDS = "gfs_wind_x4", "meteonet_arpege_arome", "flex_forecast"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in KINDS else pytest.mark.long)
        for name in RECIPES
        if name not in ELSEWHERE
    ],
)
def test_the_first_20_steps(name, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("flexclim.train.data.normalisation.BATCHES", 4)
    size = HUGE if name.startswith("kinetic_energy") else ()
    overrides = [f"data.folder={data_dir}", f"output={tmp_path}/run", *SHORT, *size]
    if load_recipe(name).start.startswith("runs/"):  # it goes on with what another one made
        overrides += [f"start={load_recipe(name).name}"]
    recipe = load_recipe(name, overrides)
    assert recipe.trainer.steps + recipe.ensemble.steps == 20
    model = check(fit(recipe))
    if recipe.data.named:
        assert [part.name for part in model.settings.targets] == [
            part.name for part in recipe.data.all_targets
        ]


@pytest.fixture
def cloud(tmp_path):
    """Return a small store laid out as ARCO-ERA5: hourly, one time a chunk, rows on both poles."""
    random = np.random.default_rng(0)
    times = pd.date_range("1990-01-01", periods=12, freq="1h")
    latitude, longitude = np.linspace(90, -90, 73), np.arange(144) * 2.5
    shape = (times.size, latitude.size, longitude.size)
    dims = ("time", "latitude", "longitude")
    names = ("10m_u_component_of_wind", "10m_v_component_of_wind", "2m_temperature")
    fields = {
        name: (dims, random.normal(size=shape).cumsum(-1).cumsum(-2).astype("float32"))
        for name in names
    }
    levels = random.normal(size=(12, 2, 73, 144)).astype("float32")
    fields["temperature"] = (("time", "level", "latitude", "longitude"), levels)
    ds = xr.Dataset(
        fields,
        coords={"time": times, "level": [500, 850], "latitude": latitude, "longitude": longitude},
    )
    ds["temperature"].attrs = {"units": "K"}
    store = tmp_path / "full_37-1h-0p25deg-chunk-1.zarr-v3"
    ds.chunk({"time": 1, "level": 2, "latitude": -1, "longitude": -1}).to_zarr(
        store, consolidated=False
    )
    return store


@pytest.mark.slow
def test_the_first_20_steps_from_a_store_laid_out_as_arco_era5(cloud, tmp_path):
    overrides = [
        f"data.sources.0.path=file://{cloud}",
        "data.sources.0.storage={}",
        "data.sources.0.train=['1990-01-01T00', '1990-01-01T07']",
        "data.sources.0.validate=['1990-01-01T10', '1990-01-01T11']",
        "data.gap=1h",
        "data.workers=1",
        "network.tile=[64, 64]",
        f"output={tmp_path}/run",
        *SHORT,
        *HUGE,
    ]
    model = check(fit(load_recipe(ELSEWHERE[0], overrides)))
    assert [part.name for part in model.settings.inputs] == ["u10", "v10", "t2m"]
    assert [part.vector for part in model.settings.inputs] == [True, True, False]
