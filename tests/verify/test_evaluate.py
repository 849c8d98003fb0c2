import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, coarsen, verify

TIMES = np.arange("2020-01-01", "2020-01-07", dtype="datetime64[D]").astype("M8[ns]")


@pytest.fixture(scope="module")
def fields():
    """Smooth fields with detail at 24 x 48 cells, six times; a good ensemble; the coarse field."""
    rng = np.random.default_rng(0)
    coords = {
        "time": TIMES,
        "lat": ("lat", 57.5 - 5.0 * np.arange(24), {"standard_name": "latitude"}),
        "lon": ("lon", 2.5 + 7.5 * np.arange(48), {"standard_name": "longitude"}),
    }
    dims = ["time", "lat", "lon"]
    attributes = {"units": "m s-1", "standard_name": "eastward_wind"}
    shape = (6, 24, 48)
    waves = np.sin(np.arange(48) / 48 * 4 * np.pi) * np.cos(np.arange(24) / 4)[:, None]
    known = 3 * waves + rng.normal(0, 0.5, (6, 1, 1)) + rng.normal(size=shape)
    truth = xr.DataArray(known + rng.normal(size=shape), coords, dims, "u10", attributes)
    members = xr.DataArray(known + rng.normal(size=(6, *shape)), coords, ["realization", *dims])
    members = members.rename("u10").assign_attrs(attributes)
    return members.to_dataset(), truth.to_dataset(), coarsen(truth.to_dataset(), 4)


@pytest.fixture(scope="module")
def scores(fields):
    residuals = verify.residuals(fields[1], 4)
    return verify.evaluate(*fields, residuals=residuals)


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
    assert crps.attrs["ensemble_size"] == 6
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


def test_the_summary_averages_as_the_scores_do(scores, fields):
    forecast, truth, _ = (f["u10"] for f in fields)
    means = verify.summary(scores).sel(candidate="forecast")
    for name in ("crps", "rmse", "mae", "spread_skill"):
        whole = float(getattr(verify, name)(forecast, truth))
        assert float(means[f"{name}.u10"]) == pytest.approx(whole, rel=1e-9)
    text = verify.table(scores)
    assert text.splitlines()[0].split()[:3] == ["variable", "candidate", "CRPS"]
    assert len(text.splitlines()) == 5


def test_a_lazy_forecast_gives_the_same(scores, fields):
    forecast, truth, coarse = fields
    lazy = verify.evaluate(forecast.chunk(realization=1, time=2), truth.chunk(time=3), coarse)
    for name in ("crps.u10", "rmse_map.u10", "rank_histogram.u10", "quantiles_forecast.u10"):
        both = (s[name].sel(candidate="forecast") for s in (lazy, scores))
        np.testing.assert_allclose(*both, rtol=1e-11, atol=1e-12)


def test_interpolation_is_scored_as_interpolation(scores, fields):
    from flexclim import interpolate

    _, truth, coarse = fields
    fine = interpolate(coarse["u10"], 4, "bicubic")
    expected = verify.mae(fine, truth["u10"], dim=["lat", "lon"])
    found = scores["crps.u10"].sel(candidate="bicubic")
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert scores["spread.u10"].sel(candidate="bicubic").isnull().all()


def test_a_region_of_points_finds_its_factor():
    rng = np.random.default_rng(0)
    coords = {"lat": 40.0 - np.arange(17), "lon": 5.0 + np.arange(25)}
    truth = xr.DataArray(rng.normal(size=(17, 25)), coords, ["lat", "lon"], "t")
    coarse = coarsen(truth, 4, grid="point")
    found = verify.evaluate(truth + 0.1, truth, coarse)
    assert list(found["candidate"].values) == ["forecast", "bilinear", "bicubic"]


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
    assert verify.table(back) == verify.table(scores)


def test_a_single_field_without_time_or_coarse_is_enough(fields):
    forecast, truth, _ = (f["u10"].isel(time=0, drop=True) for f in fields)
    alone = verify.evaluate(forecast.isel(realization=0), truth)
    assert alone["crps.u10"].item() == alone["mae.u10"].item()
    assert "spread.u10" not in alone


def test_residuals_are_drawn_anew_for_each_member_and_again_the_same(fields):
    base, missed = fields[1]["u10"] * 0, verify.residuals(fields[1]["u10"], 4)
    drawn = verify.residual_ensemble(base, missed, members=4, seed=3)
    assert drawn.dims == ("realization", "time", "lat", "lon")
    assert float(drawn.std("realization").min("time").max()) > 0
    again = verify.residual_ensemble(base.chunk(time=2), missed.chunk(time=1), members=4, seed=3)
    np.testing.assert_allclose(again, drawn)
    pool = {tuple(plane) for plane in missed.values.reshape(6, -1)[:, :3].round(9).tolist()}
    planes = drawn.values.reshape(24, -1)[:, :3].round(9).tolist()
    assert {tuple(plane) for plane in planes} <= pool


@pytest.mark.parametrize("step", [1.0, 0.1, 0.01])
def test_float32_coordinates_lose_no_residual(step):
    axes = {"lat": 50 - step * np.arange(16), "lon": 340.3 + step * np.arange(24)}
    field = xr.DataArray(np.random.default_rng(1).normal(size=(16, 24)), axes, name="t")
    narrow = field.assign_coords({n: v.astype("float32") for n, v in axes.items()})
    expected = verify.residuals(field, 4)
    for found in (verify.residuals(narrow, 4), verify.residuals(narrow.to_dataset(), 4).t):
        np.testing.assert_allclose(found, expected, atol=1e-3)
        xr.testing.assert_identical(found.lon, narrow.lon)


def test_the_event_of_dry_fields_is_half_of_the_wet_ones(fields):
    forecast, truth, _ = fields
    dry = truth.where(truth.u10 > truth.u10.quantile(0.95), 0.0)
    found = verify.evaluate(forecast, dry)["brier.u10"].attrs["threshold"]
    wet = dry.u10.values[dry.u10.values > 0]
    assert found == pytest.approx(np.median(wet), rel=1e-2)
    usual = verify.evaluate(forecast, truth)["brier.u10"].attrs["threshold"]
    lat = np.cos(np.deg2rad(truth.lat)).broadcast_like(truth.u10)
    assert usual == pytest.approx(float(truth.u10.weighted(lat).quantile(0.9)), rel=1e-2)


def test_the_table_shows_no_rounding_and_the_report_no_machine_paths(fields, tmp_path):
    forecast, truth, coarse = fields
    truth.assign_attrs(title="Made up").to_netcdf(tmp_path / "truth.nc")
    with xr.open_dataset(tmp_path / "truth.nc") as stored:
        found = verify.evaluate(stored + 0 * forecast, stored, coarse)
    assert found.attrs["truth_from"] == "truth.nc: Made up"
    found["bias.u10"] = found["bias.u10"] * 0 + 1e-9
    row = verify.table(found).splitlines()[1].split()
    assert row[5] == "0"
    text = verify.report(found, tmp_path / "report.html").read_text()
    assert "truth.nc: Made up" in text
    assert str(tmp_path) not in text


def test_bad_input_is_named(fields):
    forecast, truth, coarse = fields
    with pytest.raises(AlignmentError, match="no whole factor"):
        verify.evaluate(forecast, truth, coarse.isel(lat=slice(0, 5)))
    with pytest.raises(FlexclimError, match="pass coarse="):
        verify.evaluate(forecast, truth, residuals=truth)
    with pytest.raises(FlexclimError, match="no 'u10' among"):
        verify.evaluate(forecast, truth, coarse.rename(u10="u"))
    with pytest.raises(FlexclimError, match="no scores among"):
        verify.report(truth, "unused.html")
    with pytest.raises(FlexclimError, match="NaN"):
        verify.evaluate(forecast * np.nan, truth)


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.images, self.open, self.text = [], 0, [], ""

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [given[k] for k in ("src", "href") if k in given]
        self.images += tag == "img"
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def written(scores, tmp_path_factory):
    return verify.report(scores, tmp_path_factory.mktemp("report") / "report.html")


def test_the_report_is_one_whole_page_without_links_outside(written, scores):
    page = Page()
    text = written.read_text()
    page.feed(text)
    assert page.open == []
    assert page.images == 17
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert "@import" not in text
    assert "url(" not in text
    for words in ("u10", "bicubic + residuals", "CRPS", "Rank histogram", "The worst case: time"):
        assert words.lower() in (page.text + text).lower()


def test_the_report_renders_in_a_browser(written, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here")
    from matplotlib.image import imread

    for width in (400, 1200):
        shot = tmp_path / f"{width}.png"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / str(width)}",
        ]
        subprocess.run(
            [
                browser,
                *flags,
                f"--screenshot={shot}",
                f"--window-size={width},3000",
                written.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        picture = imread(shot)[..., :3]
        assert picture.shape[:2] == (3000, width)
        # Text and pictures down to the bottom: no part is blank, and curves have colours.
        for part in np.array_split(picture, 6):
            assert part.std() > 0.03
        assert (picture.std(axis=2) > 0.1).any()


@pytest.mark.parametrize(
    "name",
    [
        "spectrum",
        "coherence",
        "rank_histogram",
        "reliability",
        "spread_error",
        "quantiles",
        "series",
        "score_map",
    ],
)
def test_plots_return_axes_with_titles(scores, name):
    ax = getattr(verify.plot, name)(scores, "u10")
    assert ax.get_title()
    with pytest.raises(FlexclimError, match="which have the variables"):
        getattr(verify.plot, name)(scores, "t2m")


def test_a_map_without_a_known_place_is_drawn_plainly(scores):
    bare = xr.DataArray(np.zeros((4, 5)), dims=["a", "b"])
    assert verify.plot.field_map(bare, title="bare").get_title() == "bare"
    assert len(verify.plot.worst_case(scores, "u10")) == 5
