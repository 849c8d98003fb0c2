"""Which fields of wind are scored, and which ones rivals may learn from.

Fields of 1 degree are 120 x 360 cells from 60 N to 59 S, 192 tiles of 64 x 64 a variable:

- GFS, September 2018: 8 times; rivals learn from October 1 to 13;
- GFS, 7 to 11 August 2026: 8 of 20 times; rivals learn from every second time from 6 July to
  2 August;
- GFS, 2014 and 2015: all ten times, of every season; rivals learn from 2016 to 2019;
- GFS at 0.25 degree, 11 December 2025: four boxes of 120 x 360 cells, each in another quarter of
  latitudes and of longitudes; rivals learn from the same boxes a day earlier (steps 0 to 2);
- GFS at 0.25 degree around Japan, 7 and 8 August 2026: 6 times of 104 x 120 cells; rivals learn
  from July and the first two days of August;
- HRRR at 6 km, 10 and 11 August 2026: 8 times, each one box of 208 x 208 cells, which are six in
  all; rivals learn from 4 to 6 August;
- AROME: 12 hours spread over November 2015, 144 x 80 cells (144 tiles of both components);
  rivals learn from February 2016 but its last 12 hours, another area.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.skill.fields import BOX, Fields, Split, spread_out, times

LATITUDES = slice(60, -59)
QUARTER = {"latitude": 120, "longitude": 360}
WIND = ["u10", "v10"]
FV3_SINCE = np.datetime64("2019-06-12T12")


@lru_cache(maxsize=1)
def gfs_2018(folder: Path) -> Split:
    """Read GFS wind of 1 degree."""
    wind = one_degree(folder / "gfs_wind_1deg_2018.nc")
    september = wind.sel(time=slice("2018-09-01", "2018-09-30"))
    train = wind.sel(time=slice("2018-10-01", "2018-10-13")).load()
    test = september.isel(time=spread_out(september.sizes["time"], 8)).load()
    return Split(times(test), [train], fixed=True)


@lru_cache(maxsize=1)
def gfs_2026(folder: Path) -> Split:
    """Read GFS wind of 1 degree of a summer eight years on."""
    wind = one_degree(folder / "gfs_wind_1deg_2014_2026.nc")
    august = wind.sel(time=slice("2026-08-07", "2026-08-11"))
    train = wind.sel(time=slice("2026-07-06", "2026-08-02")).isel(time=slice(None, None, 2))
    test = august.isel(time=spread_out(august.sizes["time"], 8))
    return Split(times(test.load()), [train.load()], fixed=True)


@lru_cache(maxsize=1)
def gfs_2014(folder: Path) -> Split:
    """Read GFS wind of 1 degree of all seasons of 2014 and 2015."""
    wind = one_degree(folder / "gfs_wind_1deg_2014_2026.nc")
    test, train = wind.sel(time=slice("2014", "2015")), wind.sel(time=slice("2016", "2019"))
    return Split(times(test.load()), [train.load()], fixed=True)


@lru_cache(maxsize=1)
def gfs_quarter(folder: Path) -> Split:
    """Read boxes of GFS wind of 0.25 degree."""
    wind = xr.open_dataset(folder / "gfs_wind_0p25_202512.nc")[WIND]
    wind = with_core(wind.sel(latitude=slice(60, -59.75)).astype(np.float32).load())
    boxes = [
        wind.isel({dim: slice(n * size, (n + 1) * size) for dim, size in QUARTER.items()})
        for n in range(4)
    ]
    train = [box.isel(time=slice(0, 3)) for box in boxes]
    same = tuple([box] for box in train)
    return Split([box.isel(time=[5]) for box in boxes], train, same_place=same)


@lru_cache(maxsize=1)
def gfs_japan(folder: Path) -> Split:
    """Read GFS wind of 0.25 degree around Japan."""
    wind = xr.open_dataset(folder / "gfs_wind_0p25_japan_2026.nc")[WIND]
    wind = wind.isel(latitude=slice(104), longitude=slice(120)).astype(np.float32)
    wind = with_core(wind.load())
    train = wind.sel(time=slice("2026-07-01", "2026-08-02"))
    return Split(times(wind.sel(time=slice("2026-08-07", "2026-08-08"))), [train], fixed=True)


@lru_cache(maxsize=1)
def hrrr(folder: Path) -> Split:
    """Read boxes of HRRR wind, of another place at each time."""
    wind = xr.open_dataset(folder / "hrrr_wind_6km_202608.nc")[WIND].astype(np.float32).load()
    rows, columns = (wind.sizes[dim] // BOX for dim in ("latitude", "longitude"))
    boxes: Fields = [
        wind.isel(
            latitude=slice(row * BOX, (row + 1) * BOX),
            longitude=slice(column * BOX, (column + 1) * BOX),
        )
        for row in range(rows)
        for column in range(columns)
    ]
    train = [box.sel(time=slice("2026-08-04", "2026-08-06")) for box in boxes]
    test = [box.sel(time=slice("2026-08-10", "2026-08-11")) for box in boxes]
    places = [number % len(boxes) for number in range(test[0].sizes["time"])]
    chosen = [test[place].isel(time=[number]) for number, place in enumerate(places)]
    return Split(chosen, train, same_place=tuple([train[place]] for place in places))


@lru_cache(maxsize=1)
def arome(folder: Path) -> Split:
    """Read AROME wind, cropped to what factors up to 8 fit."""
    test, train = (xr.open_dataset(folder / f"arome_wind_2p5km_{m}.nc") for m in (201511, 201602))
    test = test.isel(y=slice(144), x=slice(80), time=spread_out(test.sizes["time"], 12)).load()
    train = train.isel(y=slice(200), x=slice(168), time=slice(0, -12)).load()
    return Split(times(test), [train])


def one_degree(path: Path) -> xr.Dataset:
    """Open wind of 1 degree."""
    return with_core(xr.open_dataset(path)[WIND].sel(latitude=LATITUDES).astype(np.float32))


def with_core(wind: xr.Dataset) -> xr.Dataset:
    """Add which dynamical core GFS had, which flex-wind is conditioned on: 1 for FV3, 0 before."""
    return wind.assign_coords(fv3=("time", (wind.time.values >= FV3_SINCE).astype(np.float64)))
