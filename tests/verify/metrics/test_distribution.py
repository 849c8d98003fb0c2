import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify


def test_threshold_weighted_crps_equals_scores(ensemble):
    from scores.probability import tail_tw_crps_for_ensemble

    forecast, truth = ensemble
    theirs = tail_tw_crps_for_ensemble(
        forecast,
        truth,
        "realization",
        threshold=0.5,
        tail="upper",
        method="fair",
        preserve_dims="all",
    )
    ours = verify.threshold_weighted_crps(forecast, truth, lower=0.5, dim=())
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    whole = verify.threshold_weighted_crps(forecast, truth)
    assert float(whole) == float(verify.crps(forecast, truth))


def test_wet_days():
    truth = xr.DataArray([0.0, 2.0, np.nan, 1.0], dims=["time"])
    forecast = xr.DataArray([[0.0, 2, 9, 1], [3.0, 0, 9, 0]], dims=["member", "time"])
    found = verify.frequency(forecast, truth, threshold=1.0)
    assert float(found.truth) == pytest.approx(2 / 3)
    assert float(found.forecast) == pytest.approx(3 / 6)
    assert float(found.ratio) == pytest.approx(3 / 4)


def test_anomaly_correlation_equals_numpy(ensemble, area):
    forecast, truth = ensemble
    climate = truth.mean("time")
    left, right = forecast.mean("realization") - climate, truth - climate
    weights = area.broadcast_like(truth).values.ravel()
    found = verify.anomaly_correlation(forecast, truth, climate)
    cov = np.cov(left.values.ravel(), right.values.ravel(), aweights=weights)
    assert float(found) == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), rel=1e-12)
    raw = verify.anomaly_correlation(forecast, truth, climate, centred=False, weights=None)
    expected = (left * right).sum() / ((left**2).sum() * (right**2).sum()) ** 0.5
    assert float(raw) == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(AlignmentError, match="'lat' differs"):
        verify.anomaly_correlation(forecast, truth, climate.assign_coords(lat=climate.lat + 1))
    with pytest.raises(FlexclimError, match="dimension 'x'"):
        verify.anomaly_correlation(forecast, truth, climate.expand_dims("x"))


def test_anomalies_far_from_zero_keep_their_digits_in_any_chunks():
    rng = np.random.default_rng(0)
    near = xr.DataArray(rng.normal(size=(20, 50)), dims=["time", "x"])
    far = [2.0**20 + (field * 2**20).round() / 2**30 for field in (near + 0.1 * near[::-1], near)]
    expected = np.corrcoef(*((field - 2.0**20).values.ravel() for field in far))[0, 1]
    climate = xr.DataArray(0.0)
    for chunks in ({"time": 20}, {"time": 3, "x": 7}):
        found = verify.anomaly_correlation(*(f.chunk(chunks) for f in far), climate)
        assert float(found) == pytest.approx(expected, rel=1e-7)


def test_climatology_of_other_units_or_types_is_converted(ensemble):
    forecast, truth = ensemble
    forecast, truth = (field.assign_attrs(units="K") for field in (forecast, truth))
    climate = truth.mean("time").assign_attrs(units="degC") - 273.15
    with xr.set_options(keep_attrs=True):
        expected = verify.anomaly_correlation(forecast, truth, truth.mean("time"))
    found = verify.anomaly_correlation(forecast, truth, climate.assign_attrs(units="degC"))
    assert float(found) == pytest.approx(float(expected), rel=1e-9)
    with pytest.raises(AlignmentError, match="climatology is of type float"):
        verify.anomaly_correlation(forecast, truth, 0.0)


@pytest.mark.parametrize(
    ("score", "options", "words"),
    [
        ("threshold_weighted_crps", {"lower": 2, "upper": 1}, "lower=2 is not below upper=1"),
        ("threshold_weighted_crps", {"lower": 1, "upper": 1}, "not below"),
        ("threshold_weighted_crps", {"lower": np.nan}, "lower=nan is not a"),
        ("threshold_weighted_crps", {"lower": "a"}, "lower='a' is not a"),
        ("threshold_weighted_crps", {"lower": 0, "estimator": "fare"}, "use 'fair' or 'ecdf'"),
        ("frequency", {"threshold": np.nan}, "threshold=nan is not a finite number"),
        ("frequency", {"threshold": None}, "threshold=None"),
        ("anomaly_correlation", {"climatology": xr.DataArray(0.0), "centred": "no"}, "neither"),
    ],
)
def test_nonsense_is_named(ensemble, score, options, words):
    with pytest.raises(FlexclimError, match=words):
        getattr(verify, score)(*ensemble, **options)
