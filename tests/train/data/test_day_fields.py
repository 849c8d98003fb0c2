"""Days of sub-daily fields: which are whole, their channels, and a model trained on them."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.errors import RecipeError
from flexclim.models.channels import hours_of, interpolated_at, value_at
from flexclim.resampling.day_operators import day_weights
from flexclim.train import fit, load_recipe
from flexclim.train.data.day_fields import whole_days
from flexclim.train.data.sources import open_sources

RECIPE = """
name: tiny-days
data:
  folder: {folder}
  times: 4
  factors: {{1: 1}}
  points: 0
  scaling: fixed
  inputs: [{{name: u10, component: x}}, v10]
  statics: [solar_time]
  sources:
    - path: wind.nc
      train: ["2018-10-01", "2018-10-05"]
      validate: ["2018-10-06", "2018-10-08"]
network: {{tile: [16, 16], model_channels: [32, 32], res_blocks: [1, 1], depth: 3, num_heads: 2}}
trainer:
  {{steps: 4, batch: 2, warmup: 2, validate_every: 2, validation_patches: 2, score_members: 2}}
ensemble: {{steps: 2}}
output: {folder}/run
"""


@pytest.fixture(scope="module")
def wind(tmp_path_factory):
    """Return 6-hourly wind of 8 days, and a recipe that splits days into its times."""
    random = np.random.default_rng(0)
    dims, folder = ("time", "latitude", "longitude"), tmp_path_factory.mktemp("days")
    values = random.normal(size=(2, 32, 16, 32)).cumsum(1).astype("float32")
    ds = xr.Dataset(
        {
            name: (dims, field, {"units": "m s-1"})
            for name, field in zip(("u10", "v10"), values, strict=True)
        },
        {
            "time": pd.date_range("2018-10-01", periods=32, freq="6h"),
            "latitude": np.linspace(60, 30, 16),
            "longitude": np.arange(32) * 2.0,
        },
    )
    ds.to_netcdf(folder / "wind.nc")
    (folder / "tiny.yaml").write_text(RECIPE.format(folder=folder))
    return folder, ds


def test_whole_days_have_all_hours_between_whole_days():
    times = pd.date_range("2018-10-01T18:00", "2018-10-07T18:00", freq="6h").values
    starts, index = whole_days(times, 4, "a file")
    assert starts.astype("M8[h]").astype(str).tolist() == [
        f"2018-10-0{day}T00" for day in (3, 4, 5, 6)
    ]
    np.testing.assert_array_equal(index[0], np.arange(1, 13))
    lacking = np.delete(times, 12)  # within 4 October
    assert whole_days(lacking, 4, "a file")[0].astype("M8[D]").astype(str).tolist() == [
        "2018-10-06"
    ]
    with pytest.raises(RecipeError, match="no three days in a row with all of the hours 00, 06"):
        whole_days(times[:12], 4, "a file")
    with pytest.raises(RecipeError, match="has no dates"):
        whole_days(np.arange(12), 4, "a file")


def test_channels_by_hand(wind):
    folder, ds = wind
    recipe = load_recipe(folder / "tiny.yaml")
    (source,) = open_sources(recipe.data, "train")
    assert source.inputs[:2] == ("u10~00", "u10~06")
    assert source.stamps.astype("M8[D]").astype(str).tolist() == [
        f"2018-10-0{day}" for day in (2, 3, 4, 5)
    ]
    values = ds.u10.values.astype(float)
    means = values.reshape(8, 4, *values.shape[1:]).mean(1)
    for number, hour in enumerate(hours_of(4)):
        made = source.series[value_at("u10", hour)].read(1)
        np.testing.assert_allclose(made, values[8 + number], rtol=1e-6)
        expected = np.tensordot(day_weights(4)[number], means[1:4], 1)
        read = source.series[interpolated_at("u10", hour)].read(1)
        np.testing.assert_allclose(read, expected, atol=1e-5)


def test_a_resolved_recipe_is_read_again(wind):
    recipe = load_recipe(wind[0] / "tiny.yaml")
    assert [part.name for part in recipe.data.all_targets][3:5] == ["u10+18", "v10+00"]
    assert recipe.data.inputs[0].component == "x"
    again = type(recipe).model_validate(recipe.model_dump(mode="json", by_alias=True))
    assert again.data.inputs == recipe.data.inputs


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.times=5", "times 5 does not divide the 24 hours"),
        ("data.scaling=local", "times needs inputs by name and scaling: fixed"),
        ("data.factors={2: 1}", "times splits days, not cells"),
        ("data.tasks={superres: 1, forecast: 1}", "times goes without forecasts"),
    ],
)
def test_settings_that_do_not_go_with_days(wind, override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(wind[0] / "tiny.yaml", [override])


@pytest.mark.slow
def test_a_trained_model_splits_days(wind):
    folder, ds = wind
    model = flexclim.load_model(fit(load_recipe(folder / "tiny.yaml")))
    assert model.settings.times == 4
    days = ds.resample(time="1D").mean().isel(time=slice(5, 8))
    fine = flexclim.downscale(days, time_factor=4, model=model, members=2)
    assert list(fine.data_vars) == ["u10", "v10"]
    kept = fine.v10.resample(time="1D").mean()
    np.testing.assert_allclose(kept, [days.v10.values] * 2, atol=1e-4)
