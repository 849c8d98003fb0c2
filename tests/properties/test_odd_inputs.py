"""Oddities of real files, combined at random: the right answer, or one line that says why not.

Each input is a plain field of which an odd twin is made: what means the same must give the same
values, and what means nothing must be refused.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flexclim import FlexclimError, downscale
from flexclim.resampling import coarsen, interpolate

LONGEST = 600
FACTOR = 2
SAME = "same"  # the twin means the same
ANY = "any"  # right or refused
REFUSED = "refused"  # it means nothing

GRIDS = {
    "region": (np.arange(50.0, 40, -1), np.arange(5.0, 17)),
    "tiny": (np.array([50.0, 49.5]), np.array([5.0, 5.5])),
    "flat": (np.array([10.0, 9.0, 8.0]), np.arange(100.0, 117)),
    "southern": (np.arange(-30.0, -90, -7.5), np.arange(250.0, 310, 7.5)),
    "date line": (np.arange(20.0, 10, -1.5), np.arange(170.0, 190, 2.5)),
    "points": (np.linspace(90, -90, 7), np.arange(0.0, 360, 30)),
    "cells": (np.linspace(78.75, -78.75, 8), np.arange(11.25, 360, 22.5)),
    "odd columns": (np.linspace(60, -60, 4), np.arange(0.0, 360, 40)),
    "one row": (np.array([50.0]), np.arange(5.0, 17)),
    "beyond a pole": (np.array([110.0, 100.0, 90.0]), np.arange(5.0, 9)),
}
ROUND = "points", "cells", "odd columns"  # their columns go round the Earth
TIMES = {
    "none": None,
    "one": pd.date_range("2018-09-14", periods=1),
    "two": pd.date_range("1850-01-01", periods=2, freq="6h"),
    "scalar": pd.Timestamp("2018-09-14T18"),
    "twice the same": pd.DatetimeIndex(["2018-09-14", "2018-09-14"]),
    "backwards": pd.DatetimeIndex(["2018-09-15", "2018-09-14"]),
    "noleap": xr.date_range("2001-02-28", periods=2, calendar="noleap", use_cftime=True),
    "360 days": [cftime.Datetime360Day(2001, 2, 30), cftime.Datetime360Day(2001, 3, 1)],
    "julian": [cftime.DatetimeJulian(1500, 2, 29)],
    "counts": np.arange(2),
    "text": np.array(["spring", "summer"]),
}
LEVELS = {"none": (), "level": ("level",), "member": ("number",), "both": ("number", "level")}
NAMES = ("t", "precip", "a/b", "lat", "time", "realization", "", None, 3, ("a", 1))
DTYPES = ("float32", "float64", "float16", ">f4", ">f8", "int16", ">i2", "int64", "uint8")
ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {},
    {"units": "K", "standard_name": "air_temperature"},
    {"units": 1, "standard_name": "unknown", "valid_range": np.array([0, 1])},
    {"units": "", "cell_methods": "time: mean", "coordinates": "nowhere", "grid_mapping": "gone"},
    {"units": "kg m-2 s-1", "standard_name": "precipitation_flux"},
    {"standard_name": "eastward_wind", "units": "m s-1", "long_name": None},
)


@dataclass
class Case:
    """A plain field, its odd twin, and what to expect of the twin."""

    plain: xr.DataArray
    odd: Any
    expect: str
    story: list[str] = field(default_factory=list)


@st.composite
def cases(draw):
    """Draw a field and up to five oddities of it."""
    grid = draw(st.sampled_from(sorted(GRIDS)))
    lat, lon = GRIDS[grid]
    time = draw(st.sampled_from(sorted(TIMES)))
    levels = LEVELS[draw(st.sampled_from(sorted(LEVELS)))]
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stamps = TIMES[time]
    dims = ("time",) if stamps is not None and np.ndim(stamps) else ()
    coords = {} if stamps is None else {"time": (dims, stamps) if dims else stamps}
    shape = (*(np.shape(stamps) if dims else ()), *(2 for _ in levels), lat.size, lon.size)
    scale, offset = draw(st.sampled_from([(1, 0), (30, 100), (0, 7), (1e-3, 0), (1e4, 0)]))
    values = scale * random.normal(size=shape) + offset
    if dtype.kind in "iu":
        values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max)
    plain = xr.DataArray(
        values.astype(dtype),
        coords=coords | {"lat": lat, "lon": lon},
        dims=(*dims, *levels, "lat", "lon"),
        name="t",
        attrs={
            key: value
            for key, value in draw(st.sampled_from(ATTRIBUTES)).items()
            if isinstance(value, str)
        },
    )
    story = [grid, time, str(dtype), f"scale {scale}", *levels]
    case = Case(plain, plain.copy(), SAME, story)
    if dtype.kind == "f" and draw(st.booleans()):
        _with_holes(case, random)
    for oddity in draw(st.lists(st.sampled_from(ODDITIES), unique=True, max_size=5)):
        oddity(case, random, draw)
        story.append(oddity.__name__)
    lasts = draw(st.lists(st.sampled_from(LAST), unique=True, max_size=2))
    for last in sorted(lasts, key=LAST.index):
        with suppress(AttributeError, KeyError, ValueError):  # some do not go together
            last(case, random, draw)
            story.append(last.__name__)
    return case


def _with_holes(case, random):
    holes = random.random(case.plain.shape) < 0.1
    case.plain = case.plain.where(~holes).astype(case.plain.dtype)
    case.odd = case.plain.copy()
    case.story.append("holes")


def flipped_rows(case, random, draw):
    case.odd = case.odd.isel(lat=slice(None, None, -1))


def flipped_columns(case, random, draw):
    case.odd = case.odd.isel(lon=slice(None, None, -1))


def western_longitudes(case, random, draw):
    case.odd = case.odd.assign_coords(lon=(case.odd.lon + 180) % 360 - 180)
    if "date line" not in case.story:
        case.odd = case.odd.sortby("lon")


def rolled(case, random, draw):
    if case.story[0] in ROUND:
        case.odd = case.odd.roll(lon=3, roll_coords=True)


def transposed(case, random, draw):
    case.odd = case.odd.transpose(*draw(st.permutations(case.odd.dims)))


def coordinates_of_float32(case, random, draw):
    case.odd = case.odd.assign_coords({n: case.odd[n].astype("f4") for n in ("lat", "lon")})


def without_attributes(case, random, draw):
    case.plain.attrs = {}
    case.odd.attrs = {}


def lazy(case, random, draw):
    sizes = {dim: draw(st.integers(1, size)) for dim, size in case.odd.sizes.items()}
    case.odd = case.odd.chunk(sizes)


def packed(case, random, draw):
    """As a file holds it, decoded when it is read."""
    if case.odd.dtype.kind == "f" and "scale 30" in case.story:
        held = np.round(case.odd.astype(float) / 0.01).fillna(-32768).clip(-32768, 32767)
        raw = held.astype("int16").to_dataset(name="t")
        raw["t"].attrs = case.odd.attrs | {"scale_factor": 0.01, "_FillValue": np.int16(-32768)}
        case.odd = xr.decode_cf(raw, decode_times=False)["t"]
        back = np.round(case.plain.astype(float) / 0.01).clip(-32767, 32767) * 0.01
        case.plain = case.plain.copy(data=back.astype(case.odd.dtype).values)


def read_only(case, random, draw):
    values = np.asarray(case.odd.values).copy()
    values.setflags(write=False)
    case.odd = case.odd.copy(data=values)


ODDITIES = (
    flipped_rows,
    flipped_columns,
    western_longitudes,
    rolled,
    transposed,
    coordinates_of_float32,
    without_attributes,
    lazy,
    packed,
    read_only,
)


def infinite(case, random, draw):
    if case.odd.dtype.kind == "f" and case.odd.size:
        place = tuple(int(random.integers(size)) for size in case.odd.shape)
        values = np.array(case.odd.values)
        values[place] = draw(st.sampled_from([np.inf, -np.inf]))
        case.odd, case.expect = case.odd.copy(data=values), REFUSED


def filled(case, random, draw):
    if case.odd.dtype.kind == "f" and case.odd.dtype.itemsize > 2:
        values = np.array(case.odd.values)
        values[..., 0] = 9.96921e36
        case.odd, case.expect = case.odd.copy(data=values), REFUSED


def uneven(case, random, draw):
    dim = draw(st.sampled_from(("lat", "lon")))
    if dim in case.odd.dims and case.odd.sizes[dim] > 3 and case.odd[dim].ndim == 1:
        values = case.odd[dim].values.astype(float)
        values[1] += 0.3 * (values[2] - values[1])
        case.odd, case.expect = case.odd.assign_coords({dim: values}), REFUSED


def doubled(case, random, draw):
    dim = draw(st.sampled_from(("lat", "lon")))
    if dim in case.odd.dims and case.odd[dim].ndim == 1:
        case.odd, case.expect = case.odd.isel({dim: [0, *range(case.odd.sizes[dim])]}), REFUSED


def unordered(case, random, draw):
    if case.odd.sizes.get("lat", 0) > 3:
        order = [1, 0, *range(2, case.odd.sizes["lat"])]
        case.odd, case.expect = case.odd.isel(lat=order), REFUSED


def unknown_place(case, random, draw):
    if "lat" in case.odd.dims and np.ndim(case.odd.lat) == 1:
        values = case.odd.lat.values.astype(float)
        values[0] = np.nan
        case.odd, case.expect = case.odd.assign_coords(lat=values), REFUSED


def without_coordinates(case, random, draw):
    dropped = [name for name in ("lat", "lon") if name in case.odd.coords]
    if dropped:
        case.odd, case.expect = case.odd.drop_vars(dropped), REFUSED


def packed_and_not_decoded(case, random, draw):
    if case.odd.dtype.kind in "iu":
        case.odd.attrs = case.odd.attrs | {"scale_factor": 0.01, "add_offset": 5.0}
        case.expect = REFUSED


def complex_numbers(case, random, draw):
    case.odd, case.expect = case.odd.astype(complex), REFUSED


def words(case, random, draw):
    case.odd, case.expect = case.odd.astype(str), REFUSED


def no_times(case, random, draw):
    if "time" in case.odd.dims:
        case.odd, case.expect = case.odd.isel(time=slice(0, 0)), ANY


def renamed(case, random, draw):
    case.odd, case.expect = case.odd.rename(draw(st.sampled_from(NAMES))), ANY


def an_ensemble_already(case, random, draw):
    if "realization" not in case.odd.dims:
        case.odd, case.expect = case.odd.expand_dims(realization=2), ANY


def unknown_time(case, random, draw):
    if case.odd.coords.get("time", xr.DataArray(0)).dtype.kind == "M":
        case.odd, case.expect = case.odd.assign_coords(time=case.odd.time.where(False)), ANY


def positions_only(case, random, draw):
    """2-D latitude and longitude, and nothing else."""
    if case.odd.lat.ndim == 1 and case.odd.lon.ndim == 1:
        lat, lon = xr.broadcast(case.odd.lat, case.odd.lon)
        moved = case.odd.drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
        places = {"nav_lat": (("y", "x"), lat.values), "nav_lon": (("y", "x"), lon.values)}
        case.odd, case.expect = moved.assign_coords(places), ANY


def odd_attributes(case, random, draw):
    case.odd.attrs, case.expect = dict(draw(st.sampled_from(ATTRIBUTES))), ANY


def in_a_dataset(case, random, draw):
    """With strings, bounds and a grid mapping beside it."""
    case.odd = case.odd.rename("t").to_dataset()
    case.odd["note"] = "a scalar"
    case.odd["crs"] = xr.DataArray(0, attrs={"grid_mapping_name": "latitude_longitude"})
    if "lat" in case.odd.dims:
        case.odd["lat_bnds"] = (("lat", "bnds"), np.zeros((case.odd.sizes["lat"], 2)))
    case.expect = case.expect if case.expect == REFUSED else ANY


BROKEN = (
    infinite, filled, uneven, doubled, unordered, unknown_place, without_coordinates,
    packed_and_not_decoded, complex_numbers, words,
)  # fmt: skip
LAST = (
    *BROKEN, no_times, renamed, an_ensemble_already, unknown_time, positions_only,
    odd_attributes, in_a_dataset,
)  # fmt: skip


def outcome(function, obj):
    """Return (values in canonical order, None) or (None, what was said)."""
    try:
        made = function(obj)
    except FlexclimError as error:
        text = str(error)
        assert "\n" not in text, text
        assert 10 < len(text) < LONGEST, text
        return None, text
    made = made.compute()
    made = made["t"] if isinstance(made, xr.Dataset) else made
    return made, None


def canonical(made):
    """Return values by (everything else, latitude southward, longitude eastward from 0)."""
    made = made.assign_coords(lon=np.round(made.lon.astype(float) % 360, 3) % 360)
    made = made.sortby(["lon"]).sortby("lat", ascending=False)
    rest = sorted(set(map(str, made.dims)) - {"lat", "lon"})
    return made.transpose(*rest, "lat", "lon").values


def check(case, model):
    """Downscale and resample both twins and compare."""
    methods = {
        "downscale": lambda obj: downscale(obj, FACTOR, model=model, members=1, steps=1, batch=1),
        "interpolate": lambda obj: interpolate(obj, FACTOR),
        "coarsen": lambda obj: coarsen(obj, FACTOR),
    }
    for name, method in methods.items():
        found, said = outcome(lambda obj, method=method: method(obj).compute(), case.odd)
        if case.expect == REFUSED:
            assert found is None, f"{name} of {case.story} is no error"
        if case.expect != SAME or name == "coarsen":
            continue
        expected, _ = outcome(method, case.plain)
        assert (found is None) == (expected is None), f"{name} of {case.story}: {said}"
        if found is not None:
            right, mine = canonical(expected), canonical(found)
            size = np.nanstd(right) + 1e-3 * np.nanmax(np.abs(right), initial=0)
            rough = 1e-2 if case.plain.dtype.itemsize < 4 else 1e-4
            np.testing.assert_allclose(
                mine, right, atol=rough * size + 1e-30, err_msg=f"{name} of {case.story}"
            )


def odd_inputs(count):
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        print_blob=False,
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_of_half_precision_are_refused(value):
    field = xr.DataArray(
        np.array([[1, value], [2, 3]], "float16"), coords={"lat": [1.0, 0.0], "lon": [5.0, 6.0]}
    )
    for method in (coarsen, interpolate):
        with pytest.raises(FlexclimError, match="has 1 infinite or fill values"):
            method(field, 2)


def test_a_field_without_times_is_refused(toy_model):
    field = xr.DataArray(
        np.zeros((0, 2, 2)),
        coords={"lat": [1.0, 0.0], "lon": [5.0, 6.0]},
        dims=("time", "lat", "lon"),
    )
    with pytest.raises(FlexclimError, match="its dimension 'time' has size 0"):
        downscale(field, FACTOR, model=toy_model)


@odd_inputs(15)
@given(case=cases())
def test_odd_inputs(toy_model, case):
    check(case, toy_model)


@pytest.mark.slow
@odd_inputs(120)
@given(case=cases())
def test_more_odd_inputs(toy_model, case):
    check(case, toy_model)


@pytest.mark.long
@pytest.mark.timeout(3000)
@odd_inputs(1000)
@given(case=cases())
def test_a_thousand_odd_inputs(toy_model, case):
    check(case, toy_model)
