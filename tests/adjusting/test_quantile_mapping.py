"""Quantile delta mapping on arrays: worked by hand, in closed form, against numpy."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.adjusting.quantile_mapping import (
    Treatment,
    adjust_series,
    fit_quantiles,
    nodes,
    periods,
    without_traces,
)
from flexclim.adjusting.seasons import Seasons, Window

MONTH = Window(parts=12, days=1)
ADD, TIMES = Treatment(kind="additive"), Treatment(kind="multiplicative")
RANDOM = np.random.default_rng(0)


def januaries(years=10):
    """Return the days of as many Januaries."""
    days = [np.arange(f"{y}-01-01", f"{y}-02-01", dtype="M8[D]") for y in range(2001, 2001 + years)]
    times = xr.DataArray(np.concatenate(days).astype("M8[ns]"), dims="time")
    return Seasons.of(times, MONTH)


def adjusted(series, reference, historical, treatment, count=20, seasons=None, period=30):
    seasons = seasons or januaries(series.shape[1] // 31)
    tables = [
        fit_quantiles(one, januaries(one.shape[1] // 31), MONTH, count)
        for one in (reference, historical)
    ]
    return adjust_series(series, *tables, seasons, MONTH, treatment, period)


def test_quantiles_are_those_of_numpy_without_missing_values():
    series = RANDOM.normal(size=(3, 310))
    series[0, ::7] = series[1] = np.nan
    found = fit_quantiles(series, januaries(), MONTH, 20)
    assert found.shape == (3, 12, 20)
    expected = np.nanquantile(series[[0, 2]], nodes(20), axis=1).T
    np.testing.assert_allclose(found[[0, 2], 0], expected, rtol=1e-12)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1:]).all()  # months without days


def test_a_shift_and_a_factor_are_found():
    past = RANDOM.gamma(2, 3, (2, 310))
    future = RANDOM.gamma(2, 4, (2, 310)) + 1
    np.testing.assert_allclose(adjusted(future, past - 2, past, ADD), future - 2, rtol=1e-12)
    np.testing.assert_allclose(adjusted(future, past * 0.5, past, TIMES), future / 2, rtol=1e-12)


def test_a_value_worked_by_hand():
    # Quantiles 1/4 and 3/4 of ten times 0 to 30 are 7 and 23, of twice as much 14 and 46. Mean
    # ranks of ten equal values are 4.5, 14.5, ..., 304.5, of 0 to 309.
    past = np.tile(np.arange(31.0), 10)[None]
    rank = (past[0] * 10 + 4.5) / 309
    expected = past[0] + np.interp(rank, [0.25, 0.75], [7, 23])
    found = adjusted(past, past * 2, past, ADD, count=2)
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


def test_missing_values_stay_missing_and_only_they():
    past = RANDOM.normal(size=(2, 310))
    future = past.copy()
    future[0, 5:9] = np.nan
    found = adjusted(future, past, past, ADD)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(future))
    assert np.isnan(adjusted(past, past * np.nan, past, ADD)).all()
    assert np.isnan(adjusted(past, past, past * np.nan, TIMES)).all()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 99),
    shift=st.floats(-5, 5),
    factor=st.floats(0.5, 2),
    count=st.sampled_from([5, 20]),
)
def test_the_change_of_each_fitted_quantile_is_kept(seed, shift, factor, count):
    random = np.random.default_rng(seed)
    past, reference = random.normal(size=(1, 310)), random.gamma(2, 2, (1, 310))
    future = random.normal(size=(1, 310)) * factor + shift
    now, then = (adjusted(one, reference, past, ADD, count) for one in (past, future))
    for q in nodes(count)[1:-1]:
        change, kept = (
            np.quantile(b, q) - np.quantile(a, q) for a, b in ((past, future), (now, then))
        )
        assert kept == pytest.approx(change, abs=0.02 * np.ptp(reference))


def test_beyond_the_outermost_quantiles_adjustments_are_constant():
    past = RANDOM.normal(size=(1, 310))
    future = past.copy()
    future[0, 3] = 40
    found = adjusted(future, past + past**2, past, ADD, count=10)
    most = np.quantile(past + past**2, 0.95) - np.quantile(past, 0.95)
    assert found[0, 3] == pytest.approx(40 + most)


def test_ratios_are_limited_where_the_past_has_next_to_none():
    traces = Treatment(kind="multiplicative", trace=0.05, lower=0)
    past = np.full((1, 310), 0.02) + np.linspace(0, 0.01, 310)
    future = past.copy()
    future[0, -1] = 10.0  # rains for the first time
    found = adjusted(future, past * 100, past, traces)
    assert found[0, -1] == pytest.approx(2 * np.quantile(past * 100, 0.975))
    nothing = adjusted(np.zeros((1, 310)), past, np.zeros((1, 310)), TIMES)
    np.testing.assert_allclose(nothing, np.median(past), rtol=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_zeros_beside_large_values_do_not_inflate_ratios(share):
    reference, past, future = (
        RANDOM.gamma(1, scale, (4, 620)) * (RANDOM.random((4, 620)) >= dark)
        for scale, dark in ((60, 0.4), (40, 0.5), (40, share))
    )
    now, then = (adjusted(one, reference, past, TIMES, 50) for one in (past, future))
    assert now.mean() == pytest.approx(reference.mean(), rel=0.05)
    assert then.max() < 2 * reference.max()
    assert then.mean() / now.mean() == pytest.approx(future.mean() / past.mean(), rel=0.2)


def test_years_between_two_series_are_left_out():
    past = RANDOM.normal(size=(1, 620))
    both = np.concatenate([past, past + 3], axis=1)
    days = januaries(20).days
    seasons = Seasons(
        days=np.concatenate([days, days + 32872]),
        parts=np.zeros(1240, int),
        years=np.concatenate([januaries(20).years, januaries(20).years + 90]),
    )
    found = adjusted(both, past - 2, past, ADD, seasons=seasons)
    np.testing.assert_allclose(found, both - 2, rtol=1e-9)


def test_bounds_are_kept_as_far_as_the_model_keeps_them():
    percent = Treatment(kind="additive", lower=0, upper=100)
    past = RANDOM.uniform(0, 100, (1, 310))
    past[0, 0] = 103
    found = adjusted(past, np.clip(past * 2 - 50, 0, 100), past, percent)
    assert found.min() == 0
    assert np.sort(found[0])[-2] == 100
    assert found[0, 0] <= 103


def test_traces_are_replaced_in_every_cell_alike_and_reproducibly():
    rain = np.where(RANDOM.random((2, 310)) < 0.5, 0, 1.0)
    first = without_traces(rain, 0.05, np.array([3, 4]), seed=0)
    assert ((first > 0) & ((first < 0.05) | (rain == 1))).all()
    np.testing.assert_array_equal(first[1:], without_traces(rain[1:], 0.05, np.array([4]), seed=0))
    assert (first[0] != without_traces(rain, 0.05, np.array([3, 4]), seed=1)[0]).any()
    assert without_traces(rain, 0.0, np.array([3, 4]), seed=0) is rain


def test_the_wet_days_become_those_of_the_reference():
    wet = Treatment(kind="multiplicative", trace=0.1, lower=0)
    amounts = RANDOM.gamma(1, 5, (1, 620)) + 0.2
    reference = np.where(RANDOM.random((1, 620)) < 0.3, amounts, 0)
    for share in (0.1, 0.8):
        past = np.where(RANDOM.random((1, 620)) < share, amounts / 2, 0)
        both = [
            without_traces(one, 0.1, np.array([n]), seed=0)
            for n, one in enumerate((reference, past))
        ]
        found = adjusted(both[1], *both, wet, count=50)
        assert (found >= 0.1).mean() == pytest.approx((reference > 0).mean(), abs=0.02)
        assert found.mean() == pytest.approx(reference.mean(), rel=0.1)


def test_periods_cover_each_year_once():
    for first, last in ((2001, 2010), (2015, 2100), (1950, 1994)):
        years = np.arange(first, last + 1)
        found = periods(years, 30)
        assert sum(changed.astype(int) for _, changed in found).tolist() == [1] * years.size
        assert all((ranked | ~changed).all() for ranked, changed in found)
        assert {int(ranked.sum()) for ranked, _ in found} == {min(30, years.size)}
    middle = periods(np.arange(2001, 2051), 30)[1]
    assert np.arange(2001, 2051)[middle[1]].tolist() == list(range(2021, 2031))
