import numpy as np
import pytest
import xarray as xr
from scipy import stats

from flexclim import FlexclimError, FlexclimWarning, verify
from flexclim.verify.climate.return_levels import gev_by_l_moments, yearly_maxima

LEVELS = verify.climate.return_levels


def yearly(values, first=1901):
    """Return a series with one value in each year."""
    times = xr.date_range(f"{first}-07-01", periods=len(values), freq="YS-JUL")
    return xr.DataArray(values, {"time": times}, ["time"], "pr", {"units": "mm d-1"})


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_the_fit_is_that_of_the_l_moments_of_the_distribution(shape):
    # Quantiles at the plotting positions of many values have nearly the moments themselves.
    values = stats.genextreme.ppf((np.arange(200_000) + 0.5) / 200_000, shape, loc=30, scale=7)
    found = gev_by_l_moments(np.random.default_rng(0).permutation(values))
    np.testing.assert_allclose(found, [30, 7, shape], atol=2e-3)


def test_l_moments_by_brute_force():
    values = np.random.default_rng(1).gumbel(size=12)
    triples = [np.sort(values[[i, j, k]]) for i in range(12) for j in range(i) for k in range(j)]
    pairs = [abs(values[i] - values[j]) / 2 for i in range(12) for j in range(i)]
    second, third = np.mean(pairs), np.mean([t[2] - 2 * t[1] + t[0] for t in triples]) / 3
    location, scale, shape = gev_by_l_moments(values)
    ratio = 2 * (1 - 3**-shape) / (1 - 2**-shape) - 3
    assert ratio == pytest.approx(third / second, rel=1e-9)
    fitted = stats.genextreme(shape, location, scale)
    assert fitted.mean() == pytest.approx(values.mean(), rel=1e-9)
    mean_difference = fitted.expect(lambda x: 2 * x * (2 * fitted.cdf(x) - 1)) / 2
    assert mean_difference == pytest.approx(second, rel=1e-6)


@pytest.mark.parametrize("chunked", [False, True])
def test_levels_are_quantiles_and_lie_in_their_interval(chunked):
    values = stats.genextreme.rvs(-0.1, 50, 10, size=(200, 3), random_state=0)
    field = xr.concat([yearly(column) for column in values.T], "place")
    found = LEVELS(field.chunk(time=50) if chunked else field, [2, 20, 100], resamples=50)
    assert (found.level.chunks is not None) is chunked
    exact = stats.genextreme.isf([1 / 2, 1 / 20, 1 / 100], -0.1, 50, 10)
    assert ((found.low < exact[:, None]) & (exact[:, None] < found.high)).mean() > 0.7
    assert ((found.low < found.level) & (found.level < found.high)).all()
    np.testing.assert_allclose(found.level.mean("place"), exact, rtol=0.12)
    alone = LEVELS(field.isel(place=1), [2, 20, 100], resamples=50)
    xr.testing.assert_allclose(found.isel(place=1).compute(), alone)


def test_minima_are_mirrored_maxima():
    field = yearly(np.random.default_rng(2).gumbel(size=40))
    highest, lowest = LEVELS(field, [10]), LEVELS(-field, [10], extreme="minimum")
    np.testing.assert_allclose(lowest.level, -highest.level)
    np.testing.assert_allclose([lowest.low, lowest.high], [-highest.high, -highest.low])


def test_members_are_further_years():
    values = np.random.default_rng(3).gumbel(size=(2, 30))
    field = xr.concat([yearly(one) for one in values], "member")
    pooled = yearly(values.reshape(-1))
    xr.testing.assert_allclose(LEVELS(field, [10]), LEVELS(pooled, [10]))


def test_coverage_of_the_interval():
    rng = np.random.default_rng(4)
    field = xr.concat([yearly(rng.gumbel(size=30)) for _ in range(150)], "place")
    found = LEVELS(field, [10], resamples=100)
    exact = -np.log(-np.log(0.9))
    assert 0.8 < float(((found.low <= exact) & (exact <= found.high)).mean()) < 0.97


def test_years_with_gaps_do_not_count(days):
    times = days(3)
    values = np.arange(float(times.size))[None, None]
    values[..., 0:19] = np.nan  # more than 5 per cent of the first year
    values[..., 400:410] = np.nan
    found = yearly_maxima(values, times.year.values)[0, 0]
    np.testing.assert_array_equal(found, [np.nan, 729, 1094])
    same = yearly(np.full(30, 5.0))
    assert np.isnan(LEVELS(same, [5]).level)
    gaps = yearly(np.r_[np.arange(9.0), [np.nan] * 9])
    assert np.isnan(LEVELS(gaps, [5]).level)


def test_options_are_checked():
    field = yearly(np.random.default_rng(5).gumbel(size=12))
    with pytest.raises(FlexclimError, match="has 9 years and 1 members, 9 yearly extremes"):
        LEVELS(field[:9])
    with pytest.raises(FlexclimError, match="periods=1 "):
        LEVELS(field, [1])
    with pytest.raises(FlexclimError, match="extreme='max' is unknown"):
        LEVELS(field, extreme="max")
    with pytest.warns(FlexclimWarning, match="50 years is far beyond the 12 yearly extremes"):
        LEVELS(field, resamples=2)
