"""Plain fields and odd twins of them, combined at random, for tests of odd inputs."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import cftime
import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import strategies as st

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


# What xarray raises where two oddities do not go together.
APART = AttributeError, KeyError, NotImplementedError, TypeError, ValueError


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
        with suppress(*APART):
            oddity(case, random, draw)
            story.append(oddity.__name__)
    lasts = draw(st.lists(st.sampled_from(LAST), unique=True, max_size=2))
    for last in sorted(lasts, key=LAST.index):
        with suppress(*APART):
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
    east = case.odd.lon.astype(float)  # half precision would round the sum
    case.odd = case.odd.assign_coords(lon=(east + 180) % 360 - 180)
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
    if "declared_fill_values" in case.story:
        return  # they would be undeclared
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


def times_of_other_resolution(case, random, draw):
    times = case.odd.coords.get("time")
    if times is not None and times.dtype.kind == "M" and times.chunks is None:
        unit = draw(st.sampled_from(("s", "ms", "us", "ns")))
        case.odd = case.odd.assign_coords(time=times.astype(f"M8[{unit}]"))


def times_of_cftime(case, random, draw):
    times = case.odd.coords.get("time")
    if times is not None and times.dtype.kind == "M":
        stamps = [pd.Timestamp(one) for one in np.ravel(times.values)]
        kind = draw(st.sampled_from((cftime.DatetimeGregorian, cftime.DatetimeProlepticGregorian)))
        found = np.empty(len(stamps), object)
        found[:] = [kind(t.year, t.month, t.day, t.hour) for t in stamps]
        case.odd = case.odd.assign_coords(time=(times.dims, found.reshape(times.shape)))


def lead_times(case, random, draw):
    """Hours ahead instead of times, in any resolution."""
    if "time" in case.odd.dims and case.odd.coords["time"].dtype.kind == "M":
        unit = draw(st.sampled_from(("s", "ms", "us", "ns")))
        steps = np.arange(case.odd.sizes["time"]) * np.timedelta64(6 * 3600, "s")
        case.plain, case.odd = (
            one.drop_vars("time").rename(time="step").assign_coords(step=steps.astype(f"m8[{u}]"))
            for one, u in ((case.plain, "ns"), (case.odd, unit))
        )


def numbered_levels(case, random, draw):
    if "level" in case.odd.dims:
        dtype = draw(st.sampled_from(("f4", "i2", ">f4", ">i4", "u4", "f8")))
        case.plain = case.plain.assign_coords(level=[850, 500])
        case.odd = case.odd.assign_coords(level=np.array([850, 500], dtype))


def scalar_coordinates(case, random, draw):
    dtype = draw(st.sampled_from(("f2", "f4", "i2", ">f4", "u1", "f8")))
    start = np.datetime64("2018-09-14T00", draw(st.sampled_from(("s", "ns"))))
    case.plain = case.plain.assign_coords(height=2.0, forecast_reference_time=start)
    case.odd = case.odd.assign_coords(
        height=((), np.array(2, dtype), {"units": "m", "positive": None}),
        forecast_reference_time=start.astype("M8[us]"),
    )


def notes_along_rows(case, random, draw):
    rows, columns = case.odd.sizes["lat"], case.odd.sizes["lon"]
    case.odd = case.odd.assign_coords(
        band=("lat", [f"band {row}" for row in range(rows)]),
        flag=(("lon", "lat"), np.ones((columns, rows), bool)),
        weight=("lat", np.full(rows, np.nan)),
    )


def positions_beside(case, random, draw):
    """2-D latitude and longitude beside the 1-D ones."""
    lat, lon = xr.broadcast(case.odd.lat, case.odd.lon)
    if draw(st.booleans()):
        lat, lon = lat.T, lon.T
    case.odd = case.odd.assign_coords(
        nav_lat=(lat.dims, lat.values), nav_lon=(lon.dims, lon.values)
    )


def nonsense_beside_coordinates(case, random, draw):
    for name in draw(st.lists(st.sampled_from(("lat", "lon", "time")), unique=True)):
        if name in case.odd.coords:
            known = case.odd[name].copy()
            key = draw(st.sampled_from(("bounds", "axis", "standard_name", "units", "long_name")))
            known.attrs[key] = draw(st.sampled_from(NONSENSE))
            case.odd = case.odd.assign_coords({name: known})


def nonsense_in_attributes(case, random, draw):
    keys = (
        *("units", "standard_name", "long_name", "cell_methods", "grid_mapping", "coordinates"),
        *("cell_measures", "ancillary_variables", "flag_meanings", "comment", "valid_min"),
        *("missing_value", "_FillValue", "units_metadata"),
    )
    key = draw(st.sampled_from(keys))
    case.plain = case.plain.assign_attrs()
    case.plain.attrs.pop(key, None)
    case.odd = case.odd.assign_attrs({key: draw(st.sampled_from((None, [], {"a": 1}, np.nan)))})


def units_spelled_otherwise(case, random, draw):
    spellings = {
        "K": ("kelvin", " K ", "degK", b"K", ["K"]),
        "kg m-2 s-1": ("kg m**-2 s**-1", " kg  m-2  s-1"),
        "m s-1": ("m s**-1", np.array("m s-1")),
    }
    if (units := case.plain.attrs.get("units")) in spellings and "units" in case.odd.attrs:
        case.odd = case.odd.assign_attrs(units=draw(st.sampled_from(spellings[units])))


def long_doubles(case, random, draw):
    if case.odd.dtype.kind == "f" and case.odd.dtype.itemsize > 2:
        case.odd = case.odd.astype(np.longdouble)


def other_byte_order(case, random, draw):
    case.odd = case.odd.astype(case.odd.dtype.newbyteorder())
    changed = {n: case.odd[n].astype(case.odd[n].dtype.newbyteorder()) for n in ("lat", "lon")}
    case.odd = case.odd.assign_coords(changed)


def members_of_another_name(case, random, draw):
    if "number" in case.odd.dims:
        name = draw(st.sampled_from(("member", "ens", "member_id", "ensemble", "realization")))
        case.odd = case.odd.rename(number=name)


def declared_fill_values(case, random, draw):
    if "holes" in case.story and case.plain.dtype.itemsize > 2:
        key = draw(st.sampled_from(("missing_value", "_FillValue")))
        fill = draw(st.sampled_from((-9999.0, np.float32(-9999), [-9999.0], "-9999", "-9999.f")))
        case.odd = case.odd.fillna(-9999).assign_attrs({key: fill})


def short_coordinates(case, random, draw):
    for name in ("lat", "lon"):
        dtype = draw(st.sampled_from(("f2", "i2", "f4", "i8")))
        values = case.odd[name].values
        if np.array_equal(values.astype(dtype).astype(float), values.astype(float)):
            case.odd = case.odd.assign_coords({name: values.astype(dtype)})


def a_dimension_of_size_1(case, random, draw):
    case.plain, case.odd = case.plain.expand_dims("height"), case.odd.expand_dims("height", axis=-1)


def read_only_coordinates(case, random, draw):
    for name in ("lat", "lon"):
        values = case.odd[name].values.copy()
        values.setflags(write=False)
        case.odd = case.odd.assign_coords({name: values})


NONSENSE = (None, [], ["a", "b"], {"a": 1}, np.nan, np.array([1, 2]), True, np.float32(np.nan))


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
    times_of_other_resolution,
    times_of_cftime,
    lead_times,
    numbered_levels,
    scalar_coordinates,
    notes_along_rows,
    positions_beside,
    nonsense_beside_coordinates,
    nonsense_in_attributes,
    units_spelled_otherwise,
    long_doubles,
    other_byte_order,
    members_of_another_name,
    declared_fill_values,
    short_coordinates,
    a_dimension_of_size_1,
    read_only_coordinates,
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
        case.odd = case.odd.drop_vars(dropped)
        case.expect = ANY if "nav_lat" in case.odd.coords else REFUSED


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


def no_rows(case, random, draw):
    dim = draw(st.sampled_from(("lat", "lon")))
    if dim in case.odd.dims:
        case.odd, case.expect = case.odd.isel({dim: slice(0, 0)}), REFUSED


def objects(case, random, draw):
    case.odd, case.expect = case.odd.astype(object), ANY


def truths(case, random, draw):
    case.odd, case.expect = case.odd > 0, ANY


def times_of_another_type(case, random, draw):
    along = [dim for dim in case.odd.dims if dim not in ("lat", "lon")]
    if along:
        dim = draw(st.sampled_from(along))
        values = draw(st.sampled_from(OTHER_TYPES))
        values = values[[row % 2 for row in range(case.odd.sizes[dim])]]
        name = draw(st.sampled_from((dim, "time", "valid_time", "note", "member")))
        case.odd = case.odd.drop_vars(name, errors="ignore").assign_coords({name: (dim, values)})
        case.expect = ANY


def scalars_of_another_type(case, random, draw):
    values = draw(st.sampled_from(OTHER_TYPES))
    name = draw(st.sampled_from(("number", "step", "height", "valid_time", "crs", "month")))
    case.odd, case.expect = case.odd.assign_coords({name: ((), np.asarray(values)[0])}), ANY


def stacked(case, random, draw):
    along = [dim for dim in case.odd.dims if dim not in ("lat", "lon")]
    if along:
        case.odd, case.expect = case.odd.stack(sample=along), ANY


def with_describing_variables(case, random, draw):
    """A Dataset with areas, vertices, bounds and a grid mapping on rows and columns."""
    if {"lat", "lon"} <= set(case.odd.dims) and case.odd.lat.ndim == 1:
        shape = case.odd.sizes["lat"], case.odd.sizes["lon"]
        ds = case.odd.rename("t").to_dataset()
        ds["areacella"] = (("lat", "lon"), np.ones(shape))
        ds["lat_vertices"] = (("lat", "lon", "nv"), np.zeros((*shape, 4)))
        ds["rotation"] = (("lat", "lon"), np.zeros(shape), {"grid_mapping_name": "unknown"})
        ds["t"].attrs = ds["t"].attrs | {"cell_measures": "area: areacella"}
        case.odd = ds


OTHER_TYPES = (
    np.array([np.nan, 1]),
    np.array([None, 1], object),
    np.array([True, False]),
    np.array([1j, 2]),
    np.array([b"a", b"b"]),
    np.array(["r1", "r2"]),
    np.array([0, 2**40]),
    np.array([1, 1]),
    np.array(["NaT", "2018"], "M8[s]"),
    np.array([6, 12], "m8[s]"),
    np.array([0.5, np.inf], "f2"),
    np.array([1, 2], np.longdouble),
    pd.IntervalIndex.from_breaks([0, 1, 2]),
    pd.CategoricalIndex(["a", "b"]),
    pd.period_range("2018", periods=2, freq="D"),
    pd.date_range("2018", periods=2, tz="UTC"),
)


BROKEN = (
    infinite, filled, uneven, doubled, unordered, unknown_place, without_coordinates,
    packed_and_not_decoded, complex_numbers, words, no_rows,
)  # fmt: skip
LAST = (
    *BROKEN, no_times, renamed, an_ensemble_already, unknown_time, positions_only,
    odd_attributes, in_a_dataset, objects, truths, times_of_another_type,
    scalars_of_another_type, stacked, with_describing_variables,
)  # fmt: skip
