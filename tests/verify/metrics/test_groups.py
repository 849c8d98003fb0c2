from functools import partial

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify


@pytest.fixture
def winds():
    rng = np.random.default_rng(2)
    coords = {"time": pd.date_range("2014-11-15", periods=4, freq="90D"), "lat": [1.0, 0.0]}
    coords["lon"] = [0.0, 1.0, 2.0]
    truth = xr.DataArray(rng.normal(size=(4, 2, 3)), coords, list(coords), "u10")
    forecast = xr.DataArray(rng.normal(size=(5, 4, 2, 3)), coords, ["member", *coords], "u10")
    return forecast, truth


def test_a_season_is_scored_as_if_it_were_alone(winds):
    forecast, truth = winds
    found = verify.by_group(verify.spread_skill, forecast, truth, truth.time.dt.season)
    assert found.dims == ("season",)
    for season, times in truth.groupby("time.season"):
        alone = verify.spread_skill(forecast.sel(time=times.time), times)
        assert float(found.sel(season=season)) == pytest.approx(float(alone), rel=1e-12)


@pytest.mark.parametrize("lazy", [False, True])
def test_ranks_of_a_surface_are_those_of_its_cells(winds, lazy):
    forecast, truth = winds
    labels = np.array([["sea", "land", "sea"], [None, "sea", "land"]], dtype=object)
    surface = xr.DataArray(labels, truth[0].coords, ["lat", "lon"], "surface").drop_vars("time")
    given = [field.chunk(time=1) for field in winds] if lazy else winds
    found = verify.by_group(partial(verify.rank_histogram, weights=None), *given, surface)
    assert found.surface.values.tolist() == ["land", "sea"]
    below = (forecast < truth).sum("member").values[:, labels == "land"]
    expected = np.bincount(below.ravel(), minlength=6) / below.size
    np.testing.assert_allclose(found.sel(surface="land"), expected)


def test_groups_of_datasets_and_masks(winds):
    forecast, truth = (field.to_dataset() for field in winds)
    calm = abs(winds[1]) < 1
    found = verify.by_group(verify.pull, forecast, truth, calm.rename(None))
    assert found["ratio.u10"].dims == ("group",)
    assert found.group.values.tolist() == [False, True]


def test_groups_of_another_grid_or_without_labels_raise_an_error(winds):
    forecast, truth = winds
    with pytest.raises(AlignmentError, match="groups"):
        verify.by_group(verify.crps, forecast, truth, truth.assign_coords(lon=[5.0, 6.0, 7.0]))
    with pytest.raises(FlexclimError, match="hold no label"):
        verify.by_group(verify.crps, forecast, truth, truth * np.nan)
    with pytest.raises(FlexclimError, match="have the dimension 'level'"):
        verify.by_group(verify.crps, forecast, truth, truth.expand_dims(level=2))
    with pytest.raises(FlexclimError, match=r"score='crps' is no function. Pass one such as flex"):
        verify.by_group("crps", forecast, truth, truth)
    with pytest.raises(FlexclimError, match="groups of type list"):
        verify.by_group(verify.crps, forecast, truth, ["sea"])


def test_areas_and_static_fields_of_a_dataset_are_not_grouped(winds):
    forecast, truth = winds
    area = xr.DataArray([[1.0] * 3, [9.0] * 3], dims=["lat", "lon"])
    area = area.assign_attrs(standard_name="cell_area", units="m2")
    truth = truth.assign_attrs(cell_measures="area: areacella").to_dataset()
    truth["areacella"] = area
    truth["orog"] = area.drop_attrs()
    forecast = forecast.to_dataset().assign(orog=2 * area.drop_attrs())
    season = truth.time.dt.season
    found = verify.by_group(verify.crps, forecast.drop_vars("orog"), truth, season)
    for name in np.unique(season):
        own = [one.sel(time=season == name) for one in (forecast.drop_vars("orog"), truth)]
        xr.testing.assert_allclose(found.u10.sel(season=name, drop=True), verify.crps(*own).u10)
    mean = forecast.mean("member", keep_attrs=True)
    both = verify.by_group(verify.mae, mean, truth, season)
    np.testing.assert_allclose(both.orog, verify.mae(mean, truth).orog)
