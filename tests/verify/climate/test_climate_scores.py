import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, FlexclimWarning, verify
from flexclim.verify.climate.climate_scores import is_climate

EVALUATE = verify.climate.evaluate


def test_parts_are_those_of_the_functions(climate_world):
    (simulations, truth, _), found = climate_world
    assert is_climate(found)
    assert found.source.values.tolist() == ["truth", "GCM", "adjusted"]
    cycle = verify.climate.seasonal_cycle(truth.tasmax)
    area = np.cos(np.deg2rad(truth.lat))
    np.testing.assert_allclose(
        found["seasonal_cycle.tasmax"].sel(source="truth"),
        cycle.weighted(area).mean(["lat", "lon"]),
        rtol=1e-6,
    )
    raw = verify.climate.climatology(simulations["GCM"].tasmax, [0.99])
    mean = float(found["mean.tasmax"].sel(source="GCM", season="JJA"))
    # Both grids cover the same area.
    expected = raw["mean"].sel(season="JJA").weighted(np.cos(np.deg2rad(raw.lat))).mean()
    assert mean == pytest.approx(float(expected), abs=1e-4)
    rain = verify.climate.indices(truth.pr, ["cdd"]).cdd.mean("year").weighted(area).mean()
    assert float(found["cdd.pr"].sel(source="truth")) == pytest.approx(float(rain), rel=1e-4)
    assert "diurnal_cycle.pr" not in found


def test_a_shift_is_bias_and_wasserstein_distance(daily_field):
    truth = daily_field(2)
    moved = (truth + 2).isel(lat=[2, 1, 0]).rename(time="valid_time")
    found = EVALUATE({"warm": moved.chunk(valid_time=100), "half": truth - truth.lat + 50}, truth)
    assert found["bias.tas"].sel(source="warm").values == pytest.approx(2)
    assert float(found["wasserstein.tas"].sel(source="warm")) == pytest.approx(2)
    area = np.cos(np.deg2rad(truth.lat))
    one = float(((truth.lat - 50) * area).sum() / area.sum())
    assert float(found["absolute_bias.tas"].sel(source="half")) == pytest.approx(one, rel=1e-4)
    assert np.isnan(found["bias.tas"].sel(source="truth")).all()
    assert found["bias.tas"].attrs["units_metadata"] == "temperature: difference"
    assert "return_level.tas" not in found


def test_other_years_than_those_of_the_truth_are_said(daily_field):
    later = daily_field(first=2051)
    said = "'GCM' covers 2051 to 2052, the truth 2001 to 2002: biases include the change"
    with pytest.warns(FlexclimWarning, match=said):
        EVALUATE({"GCM": later}, daily_field())


def test_the_signal_is_that_of_the_sources_with_a_future(climate_world):
    (simulations, _, future), found = climate_world
    pairs = {name: (simulations[name].tasmax, later.tasmax) for name, later in future.items()}
    expected = verify.climate.change_signal(pairs)
    xr.testing.assert_allclose(
        found["kept.tasmax"].sel(source=list(pairs)), expected.kept, rtol=1e-12
    )
    assert np.isnan(found["kept.tasmax"].sel(source="truth")).all()


def test_the_result_can_be_stored(climate_world, tmp_path):
    found = climate_world[1]
    found.to_netcdf(tmp_path / "climate.nc")
    xr.testing.assert_allclose(xr.load_dataset(tmp_path / "climate.nc"), found)


def test_sources_must_fit(daily_field):
    field = daily_field(1)
    with pytest.raises(FlexclimError, match="can't be called 'truth'"):
        EVALUATE({"truth": field}, field)
    with pytest.raises(FlexclimError, match="simulations is of type DataArray"):
        EVALUATE(field, field)
    with pytest.raises(FlexclimError, match="no 'RCM' among the simulations"):
        EVALUATE({"GCM": field}, future={"RCM": field})
