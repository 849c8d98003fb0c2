"""What holds for all scores alike."""

import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify

OPTIONS = {
    "amplitude_ratio": {},
    "anomaly_correlation": {"climatology": xr.DataArray(0.0)},
    "bias": {},
    "brier": {"threshold": 0},
    "brier_decomposition": {"threshold": 0},
    "coherence": {},
    "contingency": {"threshold": 0},
    "crps": {},
    "crps_decomposition": {},
    "crps_parts": {},
    "effective_resolution": {},
    "energy_score": {"patch": 4},
    "exceedance": {},
    "frequency": {"threshold": 0},
    "fss": {"threshold": 0, "window": 3},
    "log_spectral_distance": {},
    "mae": {},
    "pull": {},
    "quantiles": {},
    "rank_histogram": {},
    "reliability": {"threshold": 0},
    "rfne": {},
    "rmse": {},
    "roc": {"threshold": 0},
    "spectral_bias": {},
    "spread": {},
    "spread_error": {},
    "spread_skill": {},
    "ssim": {},
    "threshold_weighted_crps": {"lower": 0},
    "variogram_score": {"patch": 4},
}
every_score = pytest.mark.parametrize("name", OPTIONS)


@pytest.fixture(scope="module")
def fields():
    rng = np.random.default_rng(0)
    coords = {"time": np.arange(3), "lat": np.linspace(60, -60, 12), "lon": np.arange(18) * 20.0}
    attributes = {"units": "m s-1", "standard_name": "eastward_wind", "valid_max": 99.0}
    truth = xr.DataArray(rng.normal(size=(3, 12, 18)), coords, list(coords), "u", attributes)
    forecast = xr.DataArray(
        rng.normal(size=(5, 3, 12, 18)),
        {"realization": np.arange(5), **coords},
        ["realization", *coords],
        "u",
        attributes,
    )
    return forecast, truth


def run(name, forecast, truth):
    found = getattr(verify, name)(forecast, truth, **OPTIONS[name])
    return found if isinstance(found, xr.Dataset) else found.to_dataset(name="score")


@every_score
def test_it_is_named_and_has_no_standard_name(fields, name):
    for part in run(name, *fields).data_vars.values():
        assert {"units", "long_name"} <= set(part.attrs)
        assert not {"standard_name", "valid_max"} & set(part.attrs)
    assert all("standard_name" in field.attrs for field in fields)


@every_score
def test_planning_computes_nothing(fields, name):
    def explode(block):
        raise AssertionError("computed")

    lazy = fields[0].chunk(time=1)
    lazy = lazy.copy(data=lazy.data.map_blocks(explode, dtype=float, meta=np.empty((0,) * 4)))
    assert all(part.chunks is not None for part in run(name, lazy, fields[1]).data_vars.values())


@every_score
def test_no_chunks_and_no_order_move_it(fields, name):
    forecast, truth = fields
    turned = forecast.transpose("lon", "time", "realization", "lat")
    lazy = turned.chunk(realization=2, time=2, lat=5)
    found = run(name, lazy, truth.transpose("lat", "lon", "time").chunk(lon=7)).compute()
    xr.testing.assert_allclose(found, run(name, forecast, truth), rtol=1e-12, atol=1e-14)


@every_score
def test_fields_without_a_point_are_refused(fields, name):
    forecast, truth = fields
    with pytest.raises(FlexclimError, match="no point has a truth and all members"):
        run(name, forecast.where(forecast.realization != 3), truth)
