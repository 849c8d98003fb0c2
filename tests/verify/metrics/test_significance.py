import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify


def series(steps=400, gap=0.0, seed=0, memory=0.0):
    rng = np.random.default_rng(seed)
    weather = rng.normal(2, 1, steps)
    noise = rng.normal(0, 0.3, (2, steps))
    for step in range(1, steps):
        noise[:, step] = memory * noise[:, step - 1] + (1 - memory**2) ** 0.5 * noise[:, step]
    coords = {"time": np.arange(steps)}
    return [xr.DataArray(weather + n, coords, ["time"]) for n in (noise[0] + gap, noise[1])]


def test_a_small_paired_difference_is_found_though_days_differ():
    worse, better = series(gap=0.1)
    found = verify.bootstrap(worse, better)
    assert 0 < float(found.low) < 0.1 < float(found.high) < 0.2
    assert float(found.p) < 0.01
    assert float(verify.diebold_mariano(worse, better).p) < 0.01


def test_the_interval_holds_the_truth_as_often_as_it_says():
    inside = []
    for seed in range(120):
        a, b = series(steps=120, seed=seed, memory=0.5)
        found = verify.bootstrap(a, b, block=10, resamples=400, seed=seed)
        inside.append(float(found.low) <= 0 <= float(found.high))
    assert 0.85 < np.mean(inside) < 0.99


def test_blocks_of_correlated_series_are_long_enough():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(150, 565))
    for step in range(2, 565):
        noise[:, step] += 0.5 * noise[:, step - 1] + 0.3 * noise[:, step - 2]
    series = xr.DataArray(noise[:, 200:], dims=["run", "time"])
    chosen, short = (verify.bootstrap(series, block=b, resamples=200) for b in (None, 8))
    covered, fewer = (float(((f.low <= 0) & (f.high >= 0)).mean()) for f in (chosen, short))
    assert fewer < 0.82
    assert covered > 0.85
    assert 15 < float(chosen.block.mean()) < 30
    white = verify.bootstrap(xr.DataArray(rng.normal(size=400), dims=["time"]), resamples=10)
    assert float(white.block) <= 3


def test_missing_times_are_left_out():
    gappy = xr.DataArray([1.0, 2.0, 3.0, 4.0, np.nan], dims=["time"])
    # By hand: mean 2.5, variance 1.25 + 2 (1.25) / 4, factor (4 + 1 - 4 + 2 / 4) / 4.
    expected = 2.5 / (1.875 / 4) ** 0.5 * 0.375**0.5  # 2.236
    for order in ([0, 1, 2, 3, 4], [4, 0, 1, 2, 3], [0, 4, 1, 2, 3]):
        found = verify.diebold_mariano(gappy[order], gappy[order] * 0, horizon=2)
        assert float(found.statistic) == pytest.approx(expected, rel=1e-12)
        assert float(found["mean"]) == 2.5


def test_the_same_points_may_have_other_last_digits_and_order():
    a, b = (one.expand_dims(lat=np.arange(4) / 10) for one in series(steps=30))
    other = b.assign_coords(lat=b.lat + 1e-9).isel(time=slice(None, None, -1))
    xr.testing.assert_identical(verify.bootstrap(a, other), verify.bootstrap(a, b))
    small = xr.DataArray(np.array([3, 1, 2, 1], "uint8"), dims=["time"])
    assert float(verify.bootstrap(small, small[::-1])["mean"]) == 0


def test_each_series_is_judged_by_its_own_times():
    values = np.random.default_rng(0).normal(0.3, 1, (4, 40))
    values[1, ::4], values[2, 2:], values[3] = np.nan, np.nan, np.nan
    both = xr.DataArray(values, dims=["cell", "time"])
    found = verify.bootstrap(both, resamples=50)
    alone = verify.bootstrap(both[1].dropna("time"), resamples=50)
    assert all(float(found[n][1]) == pytest.approx(float(alone[n])) for n in found)
    assert found[["mean", "low", "high", "p", "block"]].isel(cell=[2, 3]).isnull().all()
    tested = verify.diebold_mariano(both, both * 0)
    assert tested.isel(cell=[2, 3]).isnull().all()
    assert tested.isel(cell=[0, 1]).notnull().all()


@pytest.mark.filterwarnings("ignore:A least one NaN:RuntimeWarning")
@pytest.mark.parametrize("missing", [[], [3, 4, 17, 49]])
def test_diebold_mariano_equals_scores(missing):
    from scores.stats.statistical_tests import diebold_mariano

    a, b = series(steps=50, gap=0.05, memory=0.4)
    a[missing] = np.nan
    for horizon in (1, 3):
        difference = (a - b).expand_dims(lead=[horizon]).assign_coords(h=("lead", [horizon]))
        theirs = diebold_mariano(difference, "lead", "h", method="HLN", statistic_distribution="t")
        ours = verify.diebold_mariano(a, b, horizon=horizon)
        assert float(ours.statistic) == pytest.approx(
            float(theirs.timeseries_len[0] * 0 + theirs.dm_test_stat[0]), rel=1e-9
        )
        assert float(ours.p / 2) == pytest.approx(
            float(min(theirs.confidence_gt_0[0], 1 - theirs.confidence_gt_0[0])), rel=1e-9
        )


def test_other_dimensions_stay_and_lazy_scores_stay_lazy():
    a, b = series(steps=30, gap=0.1)
    both = xr.concat([a, a + 1], "variable")
    found = verify.bootstrap(both, xr.concat([b, b], "variable"))
    assert found["mean"].dims == ("variable",)
    lazy = verify.bootstrap(both.chunk(time=5), xr.concat([b, b], "variable"))
    assert lazy["mean"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), found)


def test_bad_input_is_named():
    a, b = series(steps=30)
    with pytest.raises(FlexclimError, match="no dimension 'day'"):
        verify.bootstrap(a, dim="day")
    with pytest.raises(AlignmentError, match="array of scores is of type Dataset"):
        verify.bootstrap(a.to_dataset(name="crps"))
    with pytest.raises(FlexclimError, match="2 values along 'time'"):
        verify.bootstrap(a[:2])
    with pytest.raises(AlignmentError, match="sizes"):
        verify.bootstrap(a, b[:20])
    with pytest.raises(AlignmentError, match=r"'time' differs in 30 .* in the other scores"):
        verify.diebold_mariano(a, b.assign_coords(time=b.time + 1))
    with pytest.raises(FlexclimError, match="horizon=30"):
        verify.diebold_mariano(a, b, horizon=30)
    for options in ({"block": 16}, {"block": 2.5}, {"resamples": 0}, {"level": 95}):
        with pytest.raises(FlexclimError, match=next(iter(options))):
            verify.bootstrap(a, **options)


def test_scores_in_other_units_are_converted():
    metres, others = (one.assign_attrs(units="m s-1") for one in series(60, gap=0.1))
    knots = (others / 0.514444).assign_attrs(units="knot")
    for test in (verify.bootstrap, verify.diebold_mariano):
        xr.testing.assert_allclose(test(metres, knots), test(metres, others), rtol=1e-4)
    with pytest.raises(AlignmentError, match="scores is in 'm s-1', the other scores in 'K'"):
        verify.bootstrap(metres, knots.assign_attrs(units="K"))


def test_scores_of_temperatures_are_differences():
    celsius, other = (
        one.assign_attrs(units="degC", standard_name="air_temperature") for one in series(60)
    )
    kelvin = other.assign_attrs(units="K")
    for test in (verify.bootstrap, verify.diebold_mariano):
        xr.testing.assert_allclose(test(celsius, kelvin), test(celsius, other))
