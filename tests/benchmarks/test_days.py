"""The synthetic temperature is what its formula says, and what is made of days keeps them."""

import numpy as np
import pytest

from benchmarks.days.scores import kept_table, score_table
from benchmarks.days.series import daily, in_days, interpolated, with_departures, with_extremes
from benchmarks.days.temperature import TEXTURE, make_world


@pytest.fixture(scope="module")
def world():
    return make_world(days=40, side=16)


def test_the_texture_is_all_that_daily_means_do_not_tell(world):
    texture = (world.truth - world.mean).tas
    assert float(texture.std()) == pytest.approx(TEXTURE, rel=1e-3)
    assert float(abs(daily(world.truth - world.mean).tas).max()) < 1e-4
    # The departure from interpolation depends on the daily mean and the sun alone.
    linear = interpolated(world.truth)
    cycle = (in_days(world.mean).sel(day=linear.day) - linear).tas
    sea = world.static.lsm == 0
    assert float(abs(cycle.where(sea)).max()) < 1e-4
    warm = daily(world.truth).tas.sel(day=linear.day) - 283
    amplitude = np.sqrt(np.square(cycle).mean("hour") * 2)
    expected = (4 * (1 + np.tanh(warm / 3))).where(~sea, 0)
    np.testing.assert_allclose(amplitude, expected.transpose(*amplitude.dims), atol=1e-3)


def test_the_expectation_has_the_error_of_the_texture(world):
    linear = interpolated(world.truth)
    known = in_days(world.truth).sel(day=linear.day)
    made = {"linear": linear, "expectation": in_days(world.mean)}
    table = score_table("", made, known, "K")
    linear_error, error = (float(row[1]) for row in table.rows)
    assert error == pytest.approx(TEXTURE, rel=0.05)
    assert linear_error > 2 * error


def test_extremes_are_kept(world):
    linear = interpolated(world.truth)
    known = in_days(world.truth).sel(day=linear.day)
    made = with_extremes(linear, known)
    for statistic in ("mean", "min", "max"):
        found, wanted = (getattr(one.tas, statistic)("hour") for one in (made, known))
        np.testing.assert_allclose(found, wanted.transpose(*found.dims), atol=1e-3)


def test_departures_from_daily_values_are_found(world):
    """Members that repeat the mean depart from the extremes, and from sums."""
    truth = world.truth.isel(time=slice(24))

    repeated = daily(truth).tas.sel(day=truth.time.dt.floor("D"))
    members = repeated.drop_vars("day").to_dataset().expand_dims(realization=2)
    made = {"mean": members, "sum": members + 0.5, "extremes": members}
    rows = {row[0]: row[1:] for row in kept_table(truth, made).rows}
    assert float(rows["mean"][0]) < 1e-5
    wanted = 4 * 0.5 / (4 * daily(truth).tas.std())
    assert float(rows["sum"][1]) == pytest.approx(float(wanted), rel=0.1)
    assert float(rows["mean and min and max"][3]) > 0.1


def test_departures_of_other_days_keep_the_daily_mean(world):
    linear = interpolated(world.truth)
    made = with_departures(linear, world.truth, 3)
    assert made.sizes["realization"] == 3
    assert float(abs((made - linear).tas.mean("hour")).max()) < 1e-3
    first = in_days(world.truth).sel(day=linear.day[0]).tas
    found = made.tas.sel(realization=0, day=linear.day[0])
    np.testing.assert_allclose(found, first.transpose(*found.dims), atol=1e-3)
