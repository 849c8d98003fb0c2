"""Datasets whose grids are described as in files of models and services, for tests."""

import numpy as np
import xarray as xr
from grid_fields import plane_positions

HEIGHT, WIDTH = 8, 12
VALUES = np.arange(2.0 * HEIGHT * WIDTH).reshape(2, HEIGHT, WIDTH)
Y, X = 25e3 * np.arange(HEIGHT) - 3e6, 25e3 * np.arange(WIDTH) - 1e6
LATITUDE, LONGITUDE = plane_positions(Y, X)
NORTH, EAST = {"units": "degree_north"}, {"units": "degree_east"}
TIMES = np.array(["2020-01-01T00", "2020-01-01T06"], "M8[ns]")


def dataset(dims, coords=None, data=None):
    """Return a dataset of one field with these dimensions, and further variables."""
    data = {"t2m": (dims, VALUES, {"units": "K"})} | (data or {})
    return xr.Dataset(data, {dims[0]: TIMES} | (coords or {}))


def wrf(mapping="coords"):
    """Return fields on the staggered grids of WRF, with positions at every time."""
    plane = ("Time", "south_north", "west_east")
    by_u = ("Time", "south_north", "west_east_stag")
    positions = {
        "XLAT": (plane, np.stack([LATITUDE] * 2), NORTH),
        "XLONG": (plane, np.stack([LONGITUDE] * 2), EAST),
        "XLAT_U": (by_u, np.stack([np.pad(LATITUDE, ((0, 0), (0, 1)), "edge")] * 2), NORTH),
        "XLONG_U": (by_u, np.stack([np.pad(LONGITUDE, ((0, 0), (0, 1)), "edge")] * 2), EAST),
    }
    wind = np.zeros((2, HEIGHT, WIDTH + 1))
    ds = xr.Dataset({"T2": (plane, VALUES, {"units": "K"}), "U": (by_u, wind)} | positions)
    return ds.set_coords(list(positions)) if mapping == "coords" else ds


def positions(lat, lon, dims, attrs=(None, None)):
    return {lat: (dims, LATITUDE, attrs[0] or {}), lon: (dims, LONGITUDE, attrs[1] or {})}


def files():
    """Return datasets by name, with the dimensions and the 1-D coordinates of their grids."""
    yx, ji = ("y", "x"), ("j", "i")
    uneven = {"j": 10.0 + 0.3 * np.arange(HEIGHT) ** 1.2, "i": np.arange(WIDTH) * 2.0}
    nominal = {"yh": ("yh", 50 + Y / 1e5, NORTH), "xh": ("xh", X / 1e5, EAST)}
    return {
        "wrf": (wrf()[["T2"]], "south_north", "west_east", None),
        "wrf input": (wrf("data")[["T2", "XLAT", "XLONG"]], "south_north", "west_east", None),
        "geogrid": (
            dataset(("Time", *yx), data=positions("XLAT_M", "XLONG_M", yx)),
            *yx,
            None,
        ),
        "nemo": (dataset(("time", *yx), data=positions("nav_lat", "nav_lon", yx)), *yx, None),
        "lat and lon": (dataset(("time", *ji), data=positions("lat", "lon", ji)), *ji, None),
        "north and east": (dataset(("time", "N", "E"), {"N": Y, "E": X}), "N", "E", ("N", "E")),
        "north and east beside positions": (
            dataset(("time", "N", "E"), {"N": Y, "E": X} | positions("lat", "lon", ("N", "E"))),
            *("N", "E", ("N", "E")),
        ),
        "other names beside positions": (
            dataset(("time", "a", "b"), {"a": Y, "b": X} | positions("lat", "lon", ("a", "b"))),
            *("a", "b", ("a", "b")),
        ),
        "counted cells": (
            dataset(
                ("time", *ji),
                {"j": np.arange(HEIGHT), "i": np.arange(1, WIDTH + 1)}
                | positions("latitude", "longitude", ji),
            ),
            *(*ji, None),
        ),
        "uneven labels": (
            dataset(("time", *ji), uneven | positions("lat", "lon", ji, (NORTH, EAST))),
            *(*ji, None),
        ),
        "uneven x and y": (
            dataset(
                ("time", *yx),
                {"y": uneven["j"], "x": uneven["i"]} | positions("lat", "lon", yx, (NORTH, EAST)),
            ),
            *(*yx, None),
        ),
        "nominal latitudes": (
            dataset(("time", "yh", "xh"), nominal | positions("geolat", "geolon", ("yh", "xh"))),
            *("yh", "xh", None),
        ),
        "two positions": (
            dataset(
                ("time", *ji),
                positions("TLAT", "TLONG", ji, (NORTH, EAST))
                | positions("ULAT", "ULONG", ji, (NORTH, EAST)),
                {"t2m": (("time", *ji), VALUES, {"coordinates": "TLONG TLAT time"})},
            ),
            *(*ji, None),
        ),
    }
