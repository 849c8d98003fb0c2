import numpy as np
import pandas as pd
import prognosis_data as world
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.sources import open_sources
from flexclim.train.recipes.data_settings import Data

INPUTS = ("t@850", "msl", {"name": "t@500", "lags": ["0h", "48h"]})
NAMES = ("t@850", "msl", "t@500", "t@500@-48h")


def write(folder, **changes):
    made = {"levels": world.levels(), "surface": world.surface(), "target": world.target()}
    for name, ds in (made | changes).items():
        ds.to_netcdf(folder / f"{name}.nc")


def data(folder, **changes):
    source = {
        "path": "target.nc",
        "predictors": [{"path": "levels.nc"}, {"path": "surface.nc"}],
        "train": ["2001-02-20", "2001-02-28"],
        "validate": ["2001-03-01", "2001-03-03"],
    }
    values = {
        "folder": str(folder),
        "scaling": "fixed",
        "factors": {4: 1},
        "inputs": INPUTS,
        "targets": [{"name": "tasmax", "base": "t@850"}],
    }
    return Data.model_validate(
        values
        | {key: one for key, one in changes.items() if key in Data.model_fields}
        | {"sources": [source | {k: v for k, v in changes.items() if k not in Data.model_fields}]}
    )


def refused(folder, match, **changes):
    with pytest.raises(RecipeError, match=match) as error:
        open_sources(data(folder, **changes), "train")
    assert "\n" not in str(error.value)


def test_predictors_come_to_the_coarse_grid_of_the_target(tmp_path):
    """Two sources, two levels and a lag: all are linear, so that their values are known."""
    write(tmp_path)
    (source,) = open_sources(data(tmp_path), "train")
    assert source.inputs == NAMES
    # 16 x 18 cells hold 4 x 4 coarse ones of 2 degrees; the two columns that are left stay out.
    assert source.domain.shape == (4, 4)
    days = [8 - day for day in range(7)][::-1]  # without the first two, which have no lag
    assert list(pd.DatetimeIndex(source.stamps)) == [world.DAYS[day] for day in days]
    window = source.cut(np.random.default_rng(0), 4, "cell", (16, 16), 0)
    day = int(np.flatnonzero(window.time == world.DAYS)[0])
    lat, lon = 43 + 2 * np.arange(4)[::-1], 5 + 2 * np.arange(4)
    low = world.plane(lat, lon) + day
    wanted = [low, 1000 + low, low - 20, low - 22]
    np.testing.assert_allclose(window.inputs, wanted, atol=1e-3)
    truth = world.plane(world.FINE[0][::-1], world.FINE[1][:16]) + day + 8
    np.testing.assert_allclose(window.truth[0], truth, atol=1e-3)


def test_finer_predictors_are_averaged(tmp_path):
    fine = world.levels(lat=np.arange(40.0, 54, 0.5), lon=np.arange(0.0, 20, 0.5))
    noisy = fine + 3 * (-1.0) ** np.arange(fine.sizes["lon"])  # vanishes in means
    noisy["t"].attrs = fine["t"].attrs
    write(tmp_path, levels=noisy)
    (source,) = open_sources(data(tmp_path, inputs=["t@850"]), "train")
    plane = source.coarse_series["t@850"].read(0)[::-1]
    wanted = world.plane(43 + 2 * np.arange(4)[::-1], 5 + 2 * np.arange(4))
    np.testing.assert_allclose(plane[:, :4], wanted, atol=0.8)  # edges cut cells of 0.5 degree


@pytest.mark.parametrize("factor", [3, 4])
def test_the_truth_is_used_as_it_is_for_any_factor(tmp_path, factor):
    write(tmp_path)
    changed = {"factors": {factor: 1}, "inputs": ["t@850"]}
    (source,) = open_sources(data(tmp_path, **changed), "train")
    assert source.domain.kind == "cell"
    assert source.rows.taps(0, 12)[2] is None


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_calendars_are_matched_by_date(tmp_path, calendar):
    times = xr.date_range("2001-02-18 12:00", periods=20, calendar=calendar, use_cftime=True)
    write(tmp_path, levels=world.levels(times))
    (source,) = open_sources(data(tmp_path, inputs=["t@850", "t@500@-48h"]), "train")
    window = source.cut(np.random.default_rng(0), 4, "cell", (16, 16), 0)
    day = int(np.flatnonzero([stamp == window.time for stamp in world.DAYS.values])[0])
    # Values count days of the predictors, the first of which is two days earlier.
    low = world.plane(43 + 2 * np.arange(4)[::-1], 5 + 2 * np.arange(4)) + day + 2
    np.testing.assert_allclose(window.inputs, [low, low - 22], atol=1e-3)


def test_days_stamped_at_another_hour_are_the_same_days(tmp_path):
    midnight = pd.date_range("2001-02-20", periods=12)
    write(tmp_path, levels=world.levels(midnight))
    (source,) = open_sources(data(tmp_path, inputs=["t@850"]), "train")
    assert source.stamps.size == 9


def test_levels_in_names_and_renamed_variables(tmp_path):
    named = world.levels()
    flat = xr.Dataset({f"ta_{p}": named["t"].sel(plev=100 * p, drop=True) for p in (850, 500)})
    write(tmp_path, levels=flat)
    (source,) = open_sources(
        data(
            tmp_path,
            inputs=["ta@850", "low"],
            targets=[{"name": "tasmax", "base": "low"}],
            predictors=[{"path": "levels.nc"}, {"path": "levels.nc", "rename": {"ta_850": "low"}}],
        ),
        "train",
    )
    first, second = (one.read(3) for one in source.coarse_series.values())
    np.testing.assert_array_equal(first, second)


def test_a_missing_level_or_variable_is_an_error(tmp_path):
    write(tmp_path)
    refused(tmp_path, r"levels.nc has no 't@300': 't' has the levels 85000, 50000 Pa\.",
            inputs=["t@850", "t@300"])  # fmt: skip
    refused(tmp_path, r"levels.nc has no variable 'q@850'; .*t", inputs=["t@850", "q@850"])
    refused(tmp_path, r"surface.nc has no 'msl@850': 'msl' has no levels\.",
            inputs=["t@850", "msl@850"])  # fmt: skip


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (slice(0, 7), r"levels.nc end at 2001-02-26T12.*before the target.*\(2001-02-28T12.* 2 m"),
        (slice(0, 10), r"end at 2001-03-01T12:00:00.*2001-03-03T12:00:00.*to validate"),
        (slice(3, 12), r"begin at 2001-02-23T12:00:00, after the target.*3 missing"),
    ],
)  # fmt: skip
def test_predictors_that_end_before_the_target_are_an_error(tmp_path, days, message):
    write(tmp_path, levels=world.levels().isel(time=days))
    refused(tmp_path, message)


def test_predictors_of_another_area_are_an_error(tmp_path):
    write(tmp_path, levels=world.levels(lat=np.arange(38.0, 47, 2)))
    refused(
        tmp_path,
        r"predictors in levels.nc span 37 to 47 north.*5 of 20 coarse cells.*42 to 50 north",
    )


def test_other_years_have_no_time_in_common(tmp_path):
    times = xr.date_range("2001-02-20 12:00", periods=3, freq="30D", calendar="360_day")
    write(tmp_path, levels=world.levels(times + pd.Timedelta("3600D")))
    refused(tmp_path, r"the pair has no time in common: levels.nc from 2011-02-20 12:00:00")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scaling": "local"}, "scaling: fixed"),
        ({"coarse": {"path": "levels.nc"}}, "either coarse or predictors"),
        ({"targets": []}, "targets by name"),
        ({"factors": {2: 1, 4: 1}}, "one factor"),
        ({"inputs": ["t@850@-1x"]}, "no name of a predictor"),
        ({"predictors": [], "coarse": {"path": "levels.nc"}}, "t@500@-48h has a lag, which needs"),
    ],
)
def test_settings_that_do_not_fit_are_errors(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        data(tmp_path, **changes)
