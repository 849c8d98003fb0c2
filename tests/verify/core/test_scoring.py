import inspect
import warnings

import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify

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
    "increments": {},
    "lag_correlation": {},
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
    "two_cell_noise": {},
    "variogram_score": {"patch": 4},
}


every_score = pytest.mark.parametrize("name", OPTIONS)


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    coords = {"time": np.arange(2), "lat": np.linspace(60, -60, 8), "lon": np.arange(12) * 30.0}
    attributes = {"units": "m s-1", "standard_name": "eastward_wind", "valid_max": 1e38}
    truth = xr.DataArray(rng.normal(size=(2, 8, 12)), coords, list(coords), "u", attributes)
    forecast = xr.DataArray(
        rng.normal(size=(5, 2, 8, 12)),
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
def test_scores_are_named_and_have_no_standard_name(noise, name):
    for part in run(name, *noise).data_vars.values():
        assert {"units", "long_name"} <= set(part.attrs)
        assert not {"standard_name", "valid_max"} & set(part.attrs)
    assert all("standard_name" in field.attrs for field in noise)


@every_score
def test_planning_computes_nothing(noise, name):
    def explode(block):
        raise AssertionError("computed")

    lazy = noise[0].chunk(time=1)
    lazy = lazy.copy(data=lazy.data.map_blocks(explode, dtype=float, meta=np.empty((0,) * 4)))
    assert all(part.chunks is not None for part in run(name, lazy, noise[1]).data_vars.values())


@every_score
def test_no_chunks_and_no_order_change_a_score(noise, name):
    forecast, truth = noise
    turned = forecast.transpose("lon", "time", "realization", "lat")
    lazy = turned.chunk(realization=3, time=1, lat=5)
    found = run(name, lazy, truth.transpose("lat", "lon", "time").chunk(lon=7)).compute()
    xr.testing.assert_allclose(found, run(name, forecast, truth), rtol=1e-12, atol=1e-14)


@every_score
@pytest.mark.parametrize("lazy", [False, True])
def test_a_score_over_nothing_is_nan(noise, name, lazy):
    forecast, truth = noise
    forecast = forecast.where(forecast.realization != 3)
    if lazy:
        forecast, truth = forecast.chunk(time=1), truth.chunk(time=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if name == "contingency" else "error")
        found = run(name, forecast, truth).compute()
    for part in found.drop_vars(["expected"], errors="ignore").data_vars.values():
        assert part.isnull().all(), part


TYPES = ["u1", "bool"]  # the others in test_numbers


def whole_numbers(noise, kind):
    """Return whole numbers in units of a quarter, of a type, and the same as float64."""
    fields = [(4 * field).round().clip(-99, 99) for field in noise]
    if kind == "u1":
        fields = [field + 100 for field in fields]
    if kind == "bool":
        fields = [field > 0 for field in fields]
    return [field.astype(kind) for field in fields], [field.astype(float) for field in fields]


@every_score
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_number_scores_like_float64(noise, name, kind):
    given, wide = whole_numbers(noise, kind)
    expected = run(name, *wide)
    found = run(name, given[0].chunk(time=1), given[1]).compute()
    xr.testing.assert_allclose(found, expected, rtol=2e-6 if name == "ssim" else 1e-12, atol=1e-14)


@every_score
def test_infinite_values_raise_an_error(noise, name):
    forecast, truth = noise
    with pytest.raises(FlexclimError, match="infinite or fill values"):
        run(name, forecast, truth.where(truth < 1, np.inf))
    lazy = forecast.where(forecast < 2, 9.97e36).chunk(time=1)
    with pytest.raises(FlexclimError, match="infinite or fill values"):
        run(name, lazy, truth).compute()


def test_datasets_score_each_variable(ensemble):
    forecast, truth = ensemble
    both = verify.crps(forecast.to_dataset(), truth.to_dataset().assign(other=truth))
    assert list(both.data_vars) == ["wind"]
    assert float(both.wind) == float(verify.crps(forecast, truth))


@pytest.mark.parametrize("name", sorted(set(verify.__all__) - {"climate", "plot"}))
def test_a_misspelt_option_gets_a_suggestion(name):
    with pytest.raises(FlexclimError, match=rf"{name}\(\) has no option 'sead'"):
        getattr(verify, name)(sead=1)


def test_signatures_show_the_fields_and_all_options():
    found = list(inspect.signature(verify.crps).parameters)
    assert found == ["forecast", "truth", "estimator", "weights", "dim"]
    with pytest.raises(FlexclimError, match="did you mean 'edges'"):
        verify.coherence(xr.DataArray(0.0), xr.DataArray(0.0), egdes="taper")


def test_a_dataset_and_a_dataarray_raise_an_error(ensemble):
    forecast, truth = ensemble
    with pytest.raises(AlignmentError, match="Give two DataArrays or two Datasets"):
        verify.crps(forecast.to_dataset(), truth)


def raw(field):
    """Return a field in a Dataset as archives hold it, among variables that describe it."""
    ds = field.to_dataset()
    ds["lat_bnds"] = ("lat", "bnds"), ds.lat.values[:, None] + [8.0, -8.0]
    ds["lon_bnds"] = ("lon", "bnds"), ds.lon.values[:, None] + [-15.0, 15.0]
    ds["time_bnds"] = ("time", "bnds"), ds.time.values[:, None] + [0, 1]
    ds["lat_vertices"] = ("lat", "lon", "vertex"), np.zeros((8, 12, 4))
    ds["crs"] = ("lat", "lon"), np.zeros((8, 12)), {"grid_mapping_name": "latitude_longitude"}
    ds["areacella"] = ("lat", "lon"), np.ones((8, 12)) * np.cos(np.deg2rad(ds.lat.values))[:, None]
    ds["quality"] = ds.time * 0.0
    for name in ("lat", "lon", "time"):
        ds[name].attrs["bounds"] = f"{name}_bnds"
    ds.u.attrs |= {"cell_measures": "area: areacella", "ancillary_variables": "quality"}
    return ds


@pytest.mark.parametrize("name", ["brier", "crps", "crps_parts", "fss", "rmse", "coherence"])
def test_variables_that_describe_others_are_not_scored(noise, name):
    found = getattr(verify, name)(*map(raw, noise), **OPTIONS[name])
    assert {str(one).rpartition(".")[2] for one in found} == {"u"}


def test_no_function_of_datasets_takes_bounds_for_fields(noise):
    forecast, truth = map(raw, noise)
    assert list(verify.spectrum(truth)) == ["u"]
    assert list(verify.residuals(truth, 2)) == ["u"]
    assert {str(n).partition(".")[2] for n in verify.evaluate(forecast, truth)} == {"u"}
    tiles = {"rows": [4], "columns": [6], "overlap": 2}
    assert {n.partition(".")[2] for n in verify.seam(truth, **tiles)} == {"u"}


@pytest.mark.parametrize("file", ["cmip6_awi_tas_mon", "cmip6_miroc6_tas_day", "geocat_ctorca"])
def test_raw_files_of_models_are_scored(data_dir, file):
    with xr.open_dataset(data_dir / "found" / f"{file}.nc") as ds:
        truth = ds.load()
    name = "sosstsst" if "sosstsst" in truth else "tas"
    truth[name] = truth[name].where(truth[name] < 1e10)
    forecast = truth.copy()
    members = xr.DataArray([-1.0, 1.0, 2.0], dims=["member_id"])
    forecast[name] = (truth[name] + members).assign_attrs(truth[name].attrs)
    assert {n: round(float(v), 4) for n, v in verify.bias(forecast, truth).items()} == {
        name: 0.6667
    }
    assert list(verify.crps(forecast, truth)) == list(verify.spectrum(truth, fill="mean")) == [name]
