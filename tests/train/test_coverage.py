"""What training tells of its data."""

import numpy as np
import pytest
import xarray as xr

from flexclim.train.coverage import correlation_hours, coverage
from flexclim.train.settings import fit_normalisation, model_settings
from flexclim.train.splits import open_sources


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
