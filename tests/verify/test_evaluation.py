from collections import Counter

import files_as_found
import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, FlexclimWarning, verify
from flexclim.verify.core import alignment
from flexclim.verify.core.alignment import Pair
from flexclim.verify.evaluation import gather
from flexclim.verify.metrics import spectra
from flexclim.verify.metrics.events import event_threshold


def test_names_candidates_and_times(scores):
    assert list(scores["candidate"].values) == [
        "forecast",
        "bilinear",
        "bicubic",
        "bicubic + residuals",
    ]
    crps = scores["crps.u10"]
    assert crps.dims == ("candidate", "time")
    assert crps.attrs["units"] == "m s-1"
    assert crps.attrs["ensemble_size"] == 5
    assert crps.attrs["estimator"] == "fair"
    assert all("units" in v.attrs and "long_name" in v.attrs for v in scores.data_vars.values())
    assert not any("standard_name" in v.attrs for v in scores.data_vars.values())
    assert scores["crps_map.u10"].dims == ("candidate", "lat", "lon")


def test_scores_are_those_of_the_functions(scores, fields):
    forecast, truth, _ = (f["u10"] for f in fields)
    space = ["lat", "lon"]
    own = scores.sel(candidate="forecast")
    for name in ("crps", "mae", "rmse", "bias", "spread", "energy_score", "rank_histogram"):
        expected = getattr(verify, name)(forecast, truth, dim=space)
        np.testing.assert_allclose(own[f"{name}.u10"], expected, rtol=1e-12)
    distance = verify.log_spectral_distance(forecast, truth, dim=())
    np.testing.assert_allclose(own["log_spectral_distance.u10"], distance, rtol=1e-10)
    for candidate in ("truth", "forecast"):
        power = verify.spectrum(truth if candidate == "truth" else forecast)
        found = scores["spectrum.u10"].sel(source=candidate)
        np.testing.assert_allclose(found, power, rtol=1e-10)


@pytest.mark.slow
def test_a_lazy_forecast_gives_the_same(scores, fields):
    forecast, truth, _ = fields
    lazy = verify.evaluate(forecast.chunk(realization=2, time=3), truth.chunk(time=2))
    for name in ("crps.u10", "rmse_map.u10", "rank_histogram.u10", "quantiles_forecast.u10"):
        both = (s[name].sel(candidate="forecast") for s in (lazy, scores))
        np.testing.assert_allclose(*both, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("form", ["nc", "zarr"])
def test_scores_travel_through_files(scores, tmp_path, form):
    path = tmp_path / f"scores.{form}"
    if form == "nc":
        scores.to_netcdf(path)
        back = xr.open_dataset(path)
    else:
        scores.to_zarr(path, consolidated=False)
        back = xr.open_zarr(path, consolidated=False)
    xr.testing.assert_allclose(back.load(), scores)
    assert verify.table(back).equals(verify.table(scores))


def test_a_single_field_without_time_or_coarse_is_enough(fields):
    forecast, truth, _ = (f["u10"].isel(time=0, drop=True) for f in fields)
    alone = verify.evaluate(forecast.isel(realization=0), truth)
    assert alone["crps.u10"].item() == alone["mae.u10"].item()
    assert "spread.u10" not in alone


def test_the_event_of_dry_fields_is_half_of_the_wet_ones(fields, scores):
    truth = fields[1]["u10"]
    dry = truth.where(truth > truth.quantile(0.95), 0.0)
    wet = dry.values[dry.values > 0]
    assert event_threshold(dry) == pytest.approx(np.median(wet), rel=1e-2)
    usual = scores["brier.u10"].attrs["threshold"]
    lat = np.cos(np.deg2rad(truth.lat)).broadcast_like(truth)
    assert usual == pytest.approx(float(truth.weighted(lat).quantile(0.9)), rel=1e-2)


def test_thresholds_are_given_by_variable(fields):
    forecast, truth = (f.isel(time=[0]) for f in fields[:2])
    found = verify.evaluate(forecast, truth, thresholds={"u10": 1.5})
    for name in ("brier", "fss", "reliability_frequency"):
        assert found[f"{name}.u10"].attrs["threshold"] == 1.5


@pytest.mark.parametrize(
    ("units", "other", "scale", "offset", "metadata"),
    [
        ("m s-1", "km h-1", 3.6, 0.0, None),
        ("K", "degC", 1.0, -273.15, "temperature: difference"),
    ],
)
def test_all_candidates_have_the_forecasts_units(fields, units, other, scale, offset, metadata):
    forecast, truth, coarse = (f["u10"].assign_attrs(units=units) for f in fields)
    missed = verify.residuals(truth, 4)
    assert missed.attrs.get("units_metadata") == metadata
    expected = gather(Pair.align(forecast, truth), coarse, missed, 0)
    with xr.set_options(keep_attrs=True):
        truth, coarse = ((f * scale + offset).assign_attrs(units=other) for f in (truth, coarse))
        missed = (missed * scale).assign_attrs(units=other)
    own = Pair.align(forecast, truth)
    found = gather(own, coarse, missed, 0)
    for name, field in expected.items():
        xr.testing.assert_allclose(found[name], field, rtol=1e-9, atol=1e-9)
        assert found[name].attrs["units"] == units
    assert event_threshold(own.truth) == pytest.approx(event_threshold(fields[1]["u10"]), rel=1e-3)


def test_calendars_differ(fields):
    part = {"time": slice(0, 4), "lon": slice(0, 8)}
    forecast, truth, _ = (f.isel(part) for f in fields)
    days = xr.date_range("2020-02-27", periods=5)
    truth = truth.isel(time=[0, 1, 1, 2, 3]).assign_coords(time=days)
    times = xr.date_range("2020-02-27", periods=4, calendar="noleap", use_cftime=True)
    with pytest.warns(FlexclimWarning, match="2020-02-29"):
        found = verify.evaluate(forecast.assign_coords(time=times), truth)
    expected = verify.crps(forecast.u10, fields[1].u10.isel(part), dim=["lat", "lon"])
    np.testing.assert_allclose(found["crps.u10"].squeeze(), expected, rtol=1e-12)


@pytest.mark.slow
def test_each_candidate_is_aligned_once_a_variable(monkeypatch, fields):
    aligned, planes = [], []
    align, find_plane = Pair.align.__func__, alignment.find_plane

    def counted_align(cls, forecast, truth, variables=None):
        aligned.append(truth.name)
        return align(cls, forecast, truth, variables)

    def counted_plane(field):
        planes.append(field.name)
        return find_plane(field)

    monkeypatch.setattr(Pair, "align", classmethod(counted_align))
    for module in (alignment, spectra):
        monkeypatch.setattr(module, "find_plane", counted_plane)
    forecast, truth, coarse = (ds.isel(time=[0]).assign(v10=lambda ds: ds.u10 + 1) for ds in fields)
    found = verify.evaluate(forecast, truth, coarse)
    assert found.sizes["candidate"] == 3
    assert sorted(aligned) == sorted(planes) == ["u10"] * 3 + ["v10"] * 3


def test_bad_input_is_named(fields):
    forecast, truth, coarse = fields
    with pytest.raises(AlignmentError, match="no whole factor"):
        verify.evaluate(forecast, truth, coarse.isel(lat=slice(0, 3)))
    with pytest.raises(FlexclimError, match="pass coarse="):
        verify.evaluate(forecast, truth, residuals=truth)
    with pytest.raises(FlexclimError, match="no 'u10' among"):
        verify.evaluate(forecast, truth, coarse.rename(u10="u"))
    for thresholds in (1.0, {"u10": np.nan}, {"u": 1.0}, {"u10": "high"}):
        with pytest.raises(FlexclimError, match="thresholds"):
            verify.evaluate(forecast, truth, thresholds=thresholds)
    with pytest.raises(FlexclimError, match="not ndarray"):
        verify.evaluate(forecast, truth, coarse["u10"].values)
    with pytest.raises(FlexclimError, match="seed="):
        verify.evaluate(forecast, truth, seed=0.5)


@pytest.mark.slow
def test_each_chunk_of_a_lazy_forecast_is_computed_once(fields):
    part = {"time": slice(0, 3), "lat": slice(0, 8), "lon": slice(0, 9)}
    forecast, truth, _ = (ds.isel(part) for ds in fields)
    counts = Counter()

    def count(block, block_info=None):
        counts[block_info[0]["chunk-location"]] += 1
        return block

    lazy = forecast["u10"].chunk(realization=1, time=1)
    lazy = lazy.copy(data=lazy.data.map_blocks(count, dtype=float, meta=np.empty((0,) * 4)))
    both = xr.Dataset({"u10": lazy, "v10": lazy + 1})
    verify.evaluate(both, truth.assign(v10=truth.u10 + 1))
    assert len(counts) == 15
    assert set(counts.values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("lazy", [False, True])
def test_a_missing_time_and_a_forecast_without_values_are_nan(fields, lazy):
    part = {"time": slice(0, 3), "lat": slice(0, 8), "lon": slice(0, 9)}
    forecast, truth, _ = (ds.isel(part) for ds in fields)
    gaps = truth.where(truth.time != truth.time[1])
    given = (forecast, gaps)
    if lazy:
        given = (forecast.chunk(realization=3, time=1), gaps.chunk(time=2))
    found, kept = verify.evaluate(*given), {"time": [0, 2]}
    expected = verify.evaluate(forecast.isel(kept), truth.isel(kept))
    for name in ("spectrum.u10", "brier.u10", "quantiles_truth.u10", "worst_case.u10"):
        part = found[name].isel(kept) if "time" in found[name].dims else found[name]
        np.testing.assert_allclose(part, expected[name], rtol=1e-9)
    assert found["crps.u10"].isel(candidate=0).isnull().values.tolist() == [False, True, False]
    nothing = verify.evaluate(forecast * np.nan, given[1])
    for name in ("crps.u10", "fss.u10", "quantiles_forecast.u10", "coherence.u10", "ssim.u10"):
        assert nothing[name].isnull().all()
    assert np.isnan(verify.table(nothing).loc[("u10", "forecast"), "CRPS"])


@pytest.mark.parametrize("name", ["lat and lon", "uneven labels"])
def test_files_as_they_are_found(name):
    truth = files_as_found.files()[name][0].isel(time=[0])
    coarse = truth.flex.coarsen(2)
    if name == "lat and lon":
        coarse = coarse.reset_coords()  # positions as data variables, as in the truth
    forecast = coarse.flex.interpolate(2).expand_dims(realization=2)
    scores = verify.evaluate(forecast, truth, coarse=coarse)
    expected = np.sqrt(((forecast["t2m"][0].values - truth["t2m"].values) ** 2).mean())
    found = scores["rmse.t2m"].sel(candidate="forecast")
    np.testing.assert_allclose(found, [expected], rtol=0.01)  # cells differ in area
    missed = verify.baselines.residuals(truth, 2)
    assert {name: field.shape for name, field in missed.data_vars.items()} == {"t2m": (1, 8, 12)}
