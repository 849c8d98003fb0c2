import dask
import numpy as np
import pytest
import xarray as xr
import xskillscore
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim import AlignmentError, FlexclimError, verify


def brute_crps(members, truth, fair):
    count = members.shape[0]
    skill = np.abs(members - truth).mean(axis=0)
    pairs = np.abs(members[:, None] - members[None]).sum(axis=(0, 1))
    return skill - pairs / (2 * count * (count - 1 if fair else count))


@pytest.mark.parametrize("estimator", ["fair", "ecdf"])
def test_crps_of_each_point_equals_the_double_sum(ensemble, estimator):
    forecast, truth = ensemble
    points = verify.crps(forecast, truth, estimator=estimator, dim=())
    expected = brute_crps(forecast.values, truth.values, estimator == "fair")
    np.testing.assert_allclose(points, expected, rtol=1e-12)
    assert points.dims == truth.dims
    assert points.attrs["units"] == "m s-1"
    assert points.attrs["estimator"] == estimator
    assert points.attrs["ensemble_size"] == 6


@pytest.mark.parametrize(("estimator", "expected"), [("fair", 1.0), ("ecdf", 1.5)])
def test_crps_by_hand(estimator, expected):
    forecast = xr.DataArray([1.0, 3.0], dims=["member"])
    assert float(verify.crps(forecast, xr.DataArray(0.0), estimator=estimator)) == expected


def test_crps_with_ties_by_hand():
    forecast = xr.DataArray([2.0, 2.0, 5.0], dims=["member"])
    # |2-2|, |2-2|, |5-2| over 3, less (0 + 3 + 3) over 3 * 2 (fair) or 3 * 3 (ecdf).
    assert float(verify.crps(forecast, xr.DataArray(2.0))) == 0.0
    found = float(verify.crps(forecast, xr.DataArray(2.0), estimator="ecdf"))
    assert found == pytest.approx(1 - 6 / 9, rel=1e-15)


def test_area_weights_count_a_pole_row_as_half_a_cell(ensemble, area):
    forecast, truth = ensemble
    points = verify.crps(forecast, truth, dim=())
    expected = points.weighted(area).mean()
    np.testing.assert_allclose(verify.crps(forecast, truth), expected, rtol=1e-12)
    np.testing.assert_allclose(verify.crps(forecast, truth, weights=None), points.mean())
    explicit = verify.crps(forecast, truth, weights=area, dim=["lat", "lon"])
    np.testing.assert_allclose(explicit, points.weighted(area).mean(["lat", "lon"]), rtol=1e-12)


def test_agrees_with_xskillscore_and_scores(ensemble):
    from scores.probability import crps_for_ensemble

    forecast, truth = ensemble
    theirs = xskillscore.crps_ensemble(truth, forecast, member_dim="realization", dim="lon")
    ours = verify.crps(forecast, truth, estimator="ecdf", weights=None, dim="lon")
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    theirs = crps_for_ensemble(forecast, truth, "realization", method="fair", preserve_dims="all")
    np.testing.assert_allclose(verify.crps(forecast, truth, dim=()), theirs, atol=1e-14)


def test_moments_equal_numpy(ensemble, area):
    forecast, truth = ensemble
    mean, weights = forecast.mean("realization"), area
    error = mean - truth

    def average(field):
        return float(field.weighted(weights).mean())

    assert float(verify.mae(forecast, truth)) == pytest.approx(average(abs(error)), rel=1e-12)
    assert float(verify.bias(forecast, truth)) == pytest.approx(average(error), rel=1e-12)
    rmse = average(error**2) ** 0.5
    assert float(verify.rmse(forecast, truth)) == pytest.approx(rmse, rel=1e-12)
    variance = average(forecast.var("realization", ddof=1))
    assert float(verify.spread(forecast, truth)) == pytest.approx(variance**0.5, rel=1e-12)
    for correction, expected in {
        None: variance**0.5 / rmse,
        "spread": (variance * 7 / 6) ** 0.5 / rmse,
        "error": (variance / (rmse**2 - variance / 6)) ** 0.5,
    }.items():
        found = verify.spread_skill(forecast, truth, correction=correction)
        assert float(found) == pytest.approx(expected, rel=1e-12)
        assert found.attrs["units"] == "1"


@pytest.mark.parametrize("correction", ["spread", "error"])
def test_spread_skill_of_a_perfect_small_ensemble_is_one(correction):
    rng = np.random.default_rng(3)
    forecast = xr.DataArray(rng.normal(size=(5, 100_000)), dims=["member", "point"])
    truth = xr.DataArray(rng.normal(size=100_000), dims=["point"])
    found = float(verify.spread_skill(forecast, truth, correction=correction))
    assert found == pytest.approx(1, abs=0.01)


def test_a_single_field_has_errors_without_members(ensemble):
    _, truth = ensemble
    assert float(verify.mae(truth + 2, truth)) == pytest.approx(2)
    assert float(verify.rmse(truth - 2, truth)) == pytest.approx(2)


SCORES = [verify.crps, verify.rmse, verify.mae, verify.bias, verify.spread, verify.spread_skill]


@settings(max_examples=12, deadline=None)
@given(
    chunks=st.tuples(*(st.integers(1, n) for n in (6, 3, 8, 10))),
    order=st.permutations(["realization", "time", "lat", "lon"]),
    kept=st.sets(st.sampled_from(["time", "lat", "lon"])),
)
def test_no_chunking_or_order_moves_a_score(chunks, order, kept):
    rng = np.random.default_rng(11)
    dims = ["realization", "time", "lat", "lon"]
    coords = {"lat": np.linspace(-80, 70, 8), "lon": np.arange(10.0)}
    values = rng.normal(280, 2, size=(6, 3, 8, 10)).astype(np.float32)
    values[rng.random(values.shape) < 0.01] = np.nan
    forecast = xr.DataArray(values, coords, dims)
    truth = xr.DataArray(rng.normal(280, 2, size=(3, 8, 10)), coords, dims[1:])
    over = [name for name in dims[1:] if name not in kept]
    lazy = forecast.chunk(dict(zip(dims, chunks, strict=True))).transpose(*order)
    for score in SCORES:
        plain = score(forecast, truth, dim=over)
        with dask.config.set(scheduler="synchronous"):
            chunked = score(lazy, truth, dim=over)
            assert chunked.chunks is not None
            xr.testing.assert_allclose(chunked.compute(), plain, rtol=1e-12, atol=1e-13)


def test_planning_computes_nothing(ensemble):
    forecast, truth = ensemble

    def explode(block):
        raise AssertionError("computed")

    lazy = forecast.chunk(time=1)
    lazy = lazy.copy(data=lazy.data.map_blocks(explode, dtype=float, meta=np.empty((0,) * 4)))
    for score in SCORES:
        score(lazy, truth)


def test_a_point_with_any_missing_value_does_not_count(ensemble):
    forecast, truth = ensemble
    holes = forecast.copy()
    holes[2, 0, 1, 1] = np.nan
    gaps = truth.copy()
    gaps[1, 3] = np.nan
    whole = holes.notnull().all("realization") & gaps.notnull()
    for score in SCORES:
        points = score(holes, gaps, dim=())
        assert (points.isnull() == ~whole).all()
    expected = verify.crps(forecast, truth, dim=()).where(whole).mean()
    np.testing.assert_allclose(verify.crps(holes, gaps, weights=None), expected, rtol=1e-12)


def test_float32_pressure_keeps_its_digits():
    rng = np.random.default_rng(5)
    anomaly = rng.integers(-64, 64, size=(9, 500)) / 8
    wide = xr.DataArray(101325.0 + anomaly, dims=["member", "point"])
    truth = xr.DataArray(101325.0 + rng.integers(-64, 64, size=500) / 8, dims=["point"])
    exact = verify.crps(wide - 101325.0, truth - 101325.0)
    narrow = verify.crps(wide.astype(np.float32), truth.astype(np.float32))
    np.testing.assert_allclose(narrow, exact, rtol=1e-13)
    spread = verify.spread(wide.astype(np.float32), truth.astype(np.float32))
    np.testing.assert_allclose(spread, verify.spread(wide - 101325.0, truth * 0), rtol=1e-12)


def test_datasets_score_each_variable(ensemble):
    forecast, truth = ensemble
    both = verify.crps(forecast.to_dataset(), truth.to_dataset().assign(other=truth))
    assert list(both.data_vars) == ["wind"]
    assert float(both.wind) == float(verify.crps(forecast, truth))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f, t: (f.isel(realization=0, drop=True), t), FlexclimError, "no ensemble"),
        (lambda f, t: (f.isel(realization=[0]), t), FlexclimError, "at least 2"),
        (lambda f, t: (f, t.isel(time=[0, 1])), AlignmentError, "2020-01-03.*only in the forecast"),
        (lambda f, t: (f.assign_coords(lat=f.lat + 0.1), t), AlignmentError, "'lat' differs in 8"),
        (lambda f, t: (f.isel(lat=slice(None, None, -1)), t), AlignmentError, "sortby"),
        (lambda f, t: (f, t.isel(lon=slice(0, 5))), AlignmentError, "'lon' has 10 .* but 5"),
        (lambda f, t: (f, t.mean("time")), AlignmentError, "dimensions"),
        (lambda f, t: (f * np.nan, t), FlexclimError, "each one holds a NaN"),
        (lambda f, t: (f, t.assign_attrs(units="K")), AlignmentError, "neither converts"),
        (lambda f, t: (f.isel(time=[]), t.isel(time=[])), FlexclimError, "'time' is empty"),
        (lambda f, t: (f.to_dataset(name="a"), t.to_dataset(name="b")), AlignmentError, "common"),
        (lambda f, t: (f, f), AlignmentError, "truth has an ensemble"),
    ],
)
def test_bad_input_is_named(ensemble, change, error, words):
    forecast, truth = ensemble
    with xr.set_options(keep_attrs=True):
        forecast, truth = change(forecast.assign_attrs(units="m s-1"), truth)
    with pytest.raises(error, match=words):
        verify.crps(forecast, truth)


def test_coordinates_almost_the_same_are_snapped(ensemble):
    forecast, truth = ensemble
    moved = forecast.assign_coords(lat=forecast.lat + 1e-9)
    assert float(verify.crps(moved, truth)) == float(verify.crps(forecast, truth))


def strip(step, dtype="float64"):
    """Return a column of longitudes near 360 degrees, in the type given."""
    lon = np.round(359.5 - step * np.arange(40)[::-1], 6).astype(dtype)
    return xr.DataArray(np.arange(40.0), {"lon": lon}, ["lon"], attrs={"units": "K"})


def turned(field):
    return field.assign_coords(lon=(field.lon + 180) % 360 - 180)


@pytest.mark.parametrize("step", [0.25, 0.1, 0.025, 0.01, 0.0025])
def test_float32_coordinates_of_the_same_grid_match(step):
    wide, narrow = strip(step), strip(step, "float32")
    for forecast, truth in [(wide, narrow), (narrow, wide), (turned(narrow), turned(wide))]:
        assert float(verify.mae(forecast, truth)) == 0
    # A chain of float32 sums is not rounding alone: no more than a tenth of a spacing passes.
    moved = wide.assign_coords(lon=wide.lon + 0.11 * step)
    with pytest.raises(AlignmentError, match=r"0\.11\d* of a spacing"):
        verify.mae(moved.assign_coords(lon=moved.lon.astype("float32")), wide)


@pytest.mark.parametrize(
    ("step", "dtype", "shift"),
    [(0.01, "float64", 2e-4), (1.0, "float32", 3e-4), (0.25, "float32", 1e-3)],
)
def test_rounding_opens_no_hole(step, dtype, shift):
    truth = strip(step, dtype)
    moved = (truth.lon.astype(float) + shift * step).astype(dtype)
    with pytest.raises(AlignmentError, match="'lon' differs in 40 of 40"):
        verify.mae(truth.assign_coords(lon=moved), truth)


def test_a_missing_coordinate_matches_nothing(ensemble):
    forecast, truth = ensemble
    lat = truth.lat.values.copy()
    lat[2] = np.nan
    with pytest.raises(AlignmentError, match="'lat' differs in 1 of 8"):
        verify.crps(forecast.assign_coords(lat=lat), truth)


def test_weights_are_aligned_as_strictly(ensemble, area):
    forecast, truth = ensemble
    there = area.assign_coords(lat=truth.lat + 1e-9)
    for score in (verify.crps, verify.ssim):
        expected = score(forecast, truth, weights=area)
        np.testing.assert_allclose(score(forecast, truth, weights=there), expected, rtol=1e-12)
        with pytest.raises(AlignmentError, match="in the weights"):
            score(forecast, truth, weights=area.assign_coords(lat=truth.lat + 1))


def test_units_are_converted(ensemble):
    pytest.importorskip("cf_units")
    forecast, truth = ensemble
    other = (truth * 3.6).assign_attrs(units="km h-1")
    np.testing.assert_allclose(verify.crps(forecast, other), verify.crps(forecast, truth))
    same = truth.assign_attrs(units="m s**-1")
    assert float(verify.crps(forecast, same)) == float(verify.crps(forecast, truth))
