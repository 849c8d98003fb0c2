"""What training tells of its data."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from flexclim.train import load_recipe
from flexclim.train.data.coverage import correlation_hours, coverage
from flexclim.train.data.model_settings import model_settings
from flexclim.train.data.normalisation import fit_normalisation
from flexclim.train.data.sources import open_sources

DAY = np.timedelta64(1, "D")


@pytest.fixture
def sources(recipe):
    return open_sources(recipe.data, "train")


def test_each_variable_is_covered_once(recipe, sources):
    settings = model_settings(recipe, fit_normalisation(sources, recipe))
    found = coverage(sources, recipe.data, settings, 0)
    assert [part.variable for part in found] == ["u10", "v10"]
    for part, source in zip(found, sources, strict=True):
        planes = np.stack([source.series[part.variable].read(int(t)) for t in source.times])
        assert part.spacing_km == pytest.approx(180 / 64 * 111.195, rel=1e-3)
        # Signs change in this recipe, and coarse values lie within the fine ones.
        highest = np.abs(planes).max()
        assert 0 < part.values[1] <= highest
        assert -highest <= part.values[0] < 0
        assert part.scale[0] < part.scale[1]
        assert 0 < part.contrast[0] < part.contrast[1]
        assert "local scale" in str(part)


def test_what_forecasts_read_is_covered_apart(folder):
    """By last snapshots on the grid of the data itself, whose range blocks do not reach."""
    overrides = (
        "data.inputs=[u10, v10]",
        "data.sources.0.variables=[]",
        "data.sources.0.signed=false",
        "data.scaling=fixed",
        "data.tasks={superres: 1, forecast: 1}",
        "data.forecast={past: 2, leads: {6h: 1}}",
    )
    recipe = load_recipe(folder / "tiny.yaml", overrides)
    (source,) = open_sources(recipe.data, "train")
    settings = model_settings(recipe, fit_normalisation([source], recipe))
    found = coverage([source], recipe.data, settings, 0)
    assert [(part.task, part.variable) for part in found] == [
        (task, name) for task in ("superres", "forecast") for name in ("u10", "v10")
    ]
    coarse, past = found[0], found[2]
    planes = np.stack([source.series["u10"].read(int(time)) for time in source.times])
    assert past.values == pytest.approx((planes.min(), planes.max()), rel=1e-3)
    assert np.ptp(coarse.values) < np.ptp(past.values)
    assert 0 < past.scale[0] < past.scale[1]
    assert past.hours == {}
    assert str(past).startswith("u10, to forecast at 313 km: ")
    late = replace(source, stamps=source.stamps + np.arange(8) * DAY)
    assert {part.task for part in coverage([late], recipe.data, settings, 0)} == {"superres"}


def test_correlation_times_are_measured_by_factor(folder, recipe):
    """An AR(1) process in time of 8 h, white in space: so are its residuals at any factor."""
    random = np.random.default_rng(0)
    ds = xr.load_dataset(folder / "wind.nc")
    ds.close()
    hours = np.arange(0, 48, 2)
    state = random.normal(size=(65, 128))
    values = []
    kept = np.exp(-2 / 8)
    for _ in hours:
        state = kept * state + np.sqrt(1 - kept**2) * random.normal(size=state.shape)
        values.append(state)
    times = np.datetime64("2018-10-01", "ns") + hours * np.timedelta64(1, "h")
    wind = (("time", "latitude", "longitude"), np.array(values, "float32"))
    made = xr.Dataset(
        {"u10": wind, "v10": wind},
        {"time": times, "latitude": ds.latitude, "longitude": ds.longitude},
    )
    made.to_netcdf(folder / "wind.nc")
    data = recipe.data.model_copy(
        update={"sources": (recipe.data.sources[0].model_copy(update={"validate_": None}),)}
    )
    (source, _) = open_sources(data, "train")
    found = correlation_hours(source, "u10", [2, 4])
    assert set(found) == {2, 4}
    assert found[4] == pytest.approx(8, rel=0.15)


def test_too_few_times_tell_nothing(sources):
    """Eight times of a random walk on two days: six is the least."""
    few = sources[0].__class__(**(vars(sources[0]) | {"stamps": sources[0].stamps[:5]}))
    assert correlation_hours(few, "u10", [2]) == {}
    counted = sources[0].__class__(**(vars(sources[0]) | {"stamps": np.arange(8)}))
    assert correlation_hours(counted, "u10", [2]) == {}


def test_times_of_a_simulation_are_no_hours(folder):
    turbulence = "{turbulence: {size: 32, runs: 2, snapshots: 8}"
    flow = f"data.sources=[{turbulence}, variables: [u], train: ['0', '15'], licence: none}}]"
    recipe = load_recipe(folder / "tiny.yaml", [flow])
    (source,) = open_sources(recipe.data, "train")
    assert source.stamps.dtype.kind == "M"
    assert correlation_hours(source, "u", [4]) == {}
