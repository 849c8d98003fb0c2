"""What flexclim understood of a field, as text and as HTML."""

import re
import subprocess
import sys

import cftime
import dask
import numpy as np
import pytest
import xarray as xr

import flexclim  # noqa: F401  registers .flex


@pytest.fixture(params=["dataset", "array"])
def field(request):
    array = xr.DataArray(
        np.arange(64.0).reshape(8, 8),
        {"lat": np.arange(50.0, 42.0, -1), "lon": np.arange(8.0)},
        ("lat", "lon"),
        name="t2m",
    )
    return array if request.param == "array" else array.to_dataset()


def test_summary_of_a_dataset(field):
    times = np.array(["2020-02-28T18", "2020-02-29T00", "2020-02-29T06"], "M8[ns]")
    ds = xr.Dataset({"t2m": field if isinstance(field, xr.DataArray) else field.t2m})
    ds = ds.expand_dims(time=times, realization=[0, 1]).assign(
        u10=ds.t2m.assign_attrs(units="m s-1"), name=("lat", list("abcdefgh"))
    )
    assert repr(ds.flex).splitlines() == [
        "<flexclim on a Dataset>",
        "Grid:       regional, 8 x 8 cells of 1 x 1 degrees, lat 50 to 43, lon 0 to 7",
        "Variables:  t2m, u10 (m s-1)",
        "Time:       2020-02-28T18:00 to 2020-02-29T06:00 (3 times, every 6 h)",
        "Calendar:   proleptic_gregorian",
        "Members:    2 along realization",
        "Model x4:   flex-nano for t2m, u10: serves any field; flex-t2m reads t2m in K, "
        "not in no units; flex-wind reads v10 too",
    ]


def test_summary_of_uneven_times_of_another_calendar(field):
    days = [cftime.DatetimeNoLeap(2000, month, 1) for month in (1, 2, 3)]
    text = repr(field.expand_dims(time=days).flex)
    assert "2000-01-01T00:00 to 2000-03-01T00:00 (3 times, 28 days to 31 days apart)" in text
    assert "Calendar:   noleap" in text
    scalar = repr(field.assign_coords(time=np.datetime64("2020-01-01T00", "ns")).flex)
    assert "Time:       2020-01-01T00:00\n" in scalar


@pytest.mark.parametrize("calendar", ["standard", "360_day"])
def test_summary_of_several_forecasts(field, calendar):
    other = calendar != "standard"
    starts = xr.date_range("2000-01-01", periods=2, calendar=calendar, use_cftime=other)
    steps = np.array([0, 12, 24], "timedelta64[h]")
    text = repr(field.expand_dims(time=starts, step=steps).flex)
    assert "Time:       2000-01-01T00:00 to 2000-01-03T00:00 (5 times, every 12 h)" in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda field: field.drop_vars("lon"), "Grid:       not found: "),
        (lambda field: field.astype("int16").assign_attrs(scale_factor=2), "Variables:  can't be"),
        (lambda field: field.rename("lat"), "Variables:  can't be used: the array has"),
        (lambda field: field.astype(str), "Variables:  none with numbers along lat and lon"),
    ],
)
def test_summary_says_why_a_field_can_not_be_used(field, change, reason):
    array = field if isinstance(field, xr.DataArray) else field.t2m
    title, *_, last = repr(change(array).flex).splitlines()
    assert title == "<flexclim on a DataArray>"
    assert last.startswith(reason)


def test_summary_as_html_takes_the_colours_of_its_page(field):
    unsafe = (field if isinstance(field, xr.DataArray) else field.t2m).rename("<b>")
    html = unsafe.flex._repr_html_()
    for line in repr(unsafe.flex).splitlines()[1:]:
        assert line.split(": ", 1)[0] in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "currentColor" in html
    assert "background" not in html
    assert not re.search(r"#[0-9a-f]{3}|rgb", html)


def test_summary_computes_nothing(field):
    def refuse(*_, **__):
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=refuse):
        assert "t2m" in repr(field.chunk().flex)
        assert "t2m" in field.chunk().flex._repr_html_()


@pytest.mark.slow
def test_summary_loads_no_torch():
    code = (
        "import sys, xarray as xr, flexclim; "
        "repr(xr.DataArray([[0., 1.]] * 2, {'lat': [1, 0], 'lon': [0, 1]}).flex); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_summary_of_pixels_computes_nothing():
    def never(block):
        raise AssertionError

    pixels = xr.DataArray(dask.array.zeros((3, 48), chunks=-1), dims=("member", "cell"), name="t2m")
    lazy = pixels.copy(data=pixels.data.map_blocks(never, meta=np.zeros((0, 0))))
    mapping = {"grid_mapping_name": "healpix", "refinement_level": 1}
    text = repr(lazy.assign_coords(crs=((), 0, mapping)).flex).splitlines()
    assert text[1:] == [
        "Grid:       HEALPix level 1, nested, 48 cells along cell, regridded conservatively to "
        "6 x 12 cells of 30 degrees",
        "Variables:  t2m",
        "Members:    3 along realization",
        "Model x4:   flex-nano for t2m: serves any field; flex-t2m reads t2m in K, not in no units",
    ]


def test_summary_says_what_better_models_need(field):
    kelvin = xr.Dataset({"t2m": field if isinstance(field, xr.DataArray) else field.t2m})
    kelvin.t2m.attrs["units"] = "K"
    assert repr(kelvin.flex).endswith(
        "Model x4:   flex-nano for t2m: serves any field; flex-t2m needs static orog, lsm "
        "(bundled ones are too coarse: pass static=)"
    )
    wide = kelvin.assign_coords(lat=np.linspace(60, -60, 8), lon=4.0 * np.arange(8))
    assert "flex-t2m is for " in repr(wide.flex)
    coarse = kelvin.assign_coords(lat=60 - 4.0 * np.arange(8), lon=4.0 * np.arange(8))
    assert "Model x4:   flex-t2m for t2m: made for t2m at this spacing" in repr(coarse.flex)
