import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify


def test_a_skill_score_is_the_share_of_the_way_to_perfection():
    score, reference = (xr.DataArray(values, dims=["time"]) for values in ([0.8, 1.0], [0.5, 1.0]))
    found = verify.skill_score(score, reference, perfect=1)
    assert float(found[0]) == pytest.approx(0.6)
    assert np.isnan(found[1])
    assert found.attrs["units"] == "1"
    both = verify.skill_score(score.to_dataset(name="a"), reference.to_dataset(name="a"), 1)
    xr.testing.assert_equal(both.a, found)


@pytest.mark.parametrize("chunks", [None, {"time": 1}])
def test_the_crpss_leaves_out_what_any_field_lacks(ensemble, chunks):
    forecast, truth = ensemble
    climate = forecast.isel(time=[1, 2, 0]).assign_coords(time=truth.time) * 1.5
    climate[0, 0, 0, 0], forecast[1, 1, 1, 1], truth[2, 2, 2] = np.nan, np.nan, np.nan
    lazy = forecast if chunks is None else forecast.chunk(chunks)
    found = verify.crpss(lazy, truth, climate)
    known = truth.where(forecast.notnull().all("realization"))
    known = known.where(climate.notnull().all("realization"))
    expected = 1 - verify.crps(forecast, known) / verify.crps(climate, known)
    assert float(found) == pytest.approx(float(expected), rel=1e-12)
    named = [one.to_dataset(name="u10") for one in (lazy, truth, climate)]
    assert float(verify.crpss(*named).u10) == pytest.approx(float(found))


def test_a_reference_may_be_a_single_field_in_other_units(ensemble):
    forecast, truth = ensemble
    reference = ((truth + 1) * 3.6).assign_attrs(units="km h-1")
    expected = 1 - float(verify.crps(forecast, truth)) / 1.0
    assert float(verify.crpss(forecast, truth, reference)) == pytest.approx(expected)
    assert float(verify.crpss(truth + 2, truth, reference)) == pytest.approx(-1)


def test_a_reference_must_fit(ensemble):
    forecast, truth = (one.to_dataset(name="u10") for one in ensemble)
    with pytest.raises(AlignmentError, match="the reference a DataArray"):
        verify.crpss(forecast, truth, truth.u10)
    with pytest.raises(FlexclimError, match="no 'u10' in the reference"):
        verify.crpss(forecast, truth, truth.rename(u10="v10"))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (xr.DataArray(np.ones((2, 3)), dims=["time", "x"]), r"has the dimension 'x', the score \("),
        (xr.DataArray([1.0, 1], {"time": [1, 2]}), "differ in coordinates of"),
        (xr.DataArray(np.ones(3), dims=["time"]), "differ in coordinates of"),
        (xr.Dataset({"u": 1.0}), "the score is a DataArray, the reference a Dataset"),
    ],
)
def test_scores_of_other_cases_have_no_ratio(reference, message):
    score = xr.DataArray([0.5, 0.25], {"time": [0, 1]}, ["time"])
    with pytest.raises(AlignmentError, match=message):
        verify.skill_score(score, reference)
    np.testing.assert_array_equal(verify.skill_score(score, xr.DataArray(0.5)), [0, 0.5])
    both = score.to_dataset(name="u"), score.to_dataset(name="v")
    with pytest.raises(AlignmentError, match=r"the score has \['u'\], the reference \['v'\]"):
        verify.skill_score(*both)


def test_scores_in_other_units_are_converted():
    metres = xr.DataArray([2.0, 4.0], dims=["time"], attrs={"units": "m s-1"}, name="ws")
    knots = (metres / 0.514444).assign_attrs(units="knot")
    np.testing.assert_allclose(verify.skill_score(metres, knots), 0, atol=1e-5)
    found = verify.skill_score(metres.to_dataset(), knots.to_dataset())
    np.testing.assert_allclose(found.ws, 0, atol=1e-5)
    with pytest.raises(AlignmentError, match="score is in 'm s-1', the reference in 'K'"):
        verify.skill_score(metres, knots.assign_attrs(units="K"))


def test_scores_of_temperatures_are_differences():
    celsius = xr.DataArray(1.0, attrs={"units": "degC", "standard_name": "air_temperature"})
    kelvin = (2 * celsius).assign_attrs(units="K", standard_name="air_temperature")
    assert float(verify.skill_score(celsius, kelvin)) == pytest.approx(0.5)
    for here, there in (("(degC)2", "(K)2"), ("(m s-1)2", "(m/s)2")):
        squares = (one.assign_attrs(units=u) for one, u in ((celsius, here), (kelvin, there)))
        assert float(verify.skill_score(*squares)) == pytest.approx(0.5)
