"""Which fields are scored, and which ones rivals may learn from.

Splits are those of docs/reference/data.md. A field is a Dataset of one time on the fine grid; its
coarse version is its block means. Fields are few enough to score a model in half an hour on two
cores. Those of wind are in `wind_fields.py`; here are

- MRMS rain: one box of 208 x 208 cells in each of the 12 test hours (192 tiles), drawn among
  boxes without gaps of which a tenth is wet; rivals learn from hours 0 to 46, two boxes every
  second hour, drawn alike, and from the test boxes' own place at every fourth hour;
- ERA5: the only 2 test times (48 tiles a variable); rivals learn from steps 0 to 5. Hourly
  precipitation is in mm and named as that of MRMS, which models were trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

Fields = list[xr.Dataset]
BOX, HOURS = 208, 72
# In these hours gauges have spread more than 20 mm, up to 3112, over 200 km of Nevada, where hours
# beside them are dry. The boxes of `mrms` lie elsewhere; others are drawn without this place.
FALSE_HOURS, FALSE_PLACE = (66, 71), {"latitude": (37.6, 41.6), "longitude": (-121.0, -116.6)}
STATICS = "static_era5_0p25.nc"
WET_SHARE, WET, LARGEST = 0.1, 0.1, 200.0  # of cells; mm; mm


@dataclass(frozen=True)
class Split:
    """Fields to score, one time each, and fields to learn from, of any number of times.

    ``fixed`` says whether all are of the same place; where they are not, ``same_place`` may hold
    fields to learn from of the place of each field to score.
    """

    test: Fields
    train: Fields
    fixed: bool = False
    same_place: tuple[Fields, ...] = ()

    def select(self, names: list[str]) -> Split:
        """Return some variables."""
        test, train, *same = (
            [field[names] for field in fields]
            for fields in (self.test, self.train, *self.same_place)
        )
        return Split(test, train, self.fixed, tuple(same))


def times(fields: xr.Dataset) -> Fields:
    """Return each time alone."""
    return [fields.isel(time=[index]) for index in range(fields.sizes["time"])]


def spread_out(count: int, wanted: int | None) -> list[int]:
    """Return ``wanted`` of ``count`` indices from the first to the last; None: all.

    >>> spread_out(21, 8)
    [0, 3, 6, 9, 11, 14, 17, 20]
    """
    if wanted is None or wanted >= count:
        return list(range(count))
    return [round(i) for i in np.linspace(0, count - 1, wanted)]


@lru_cache(maxsize=1)
def era5(folder: Path) -> Split:
    """Read ERA5 at 1 degree."""
    fields = xr.open_dataset(folder / "era5_1deg_t2m_msl_tp.nc").sel(latitude=slice(60, -59)).load()
    rain = (1000 * fields["tp"]).assign_attrs(fields["tp"].attrs, units="mm")
    fields = fields.drop_vars("tp").assign(qpe_01h=rain)
    train, test = fields.isel(time=slice(0, 6)), fields.isel(time=slice(8, 10))
    return Split(times(test), [train], fixed=True)


@lru_cache(maxsize=1)
def mrms(folder: Path) -> Split:
    """Read boxes of MRMS hourly precipitation, hour by hour."""
    rain, random = _rain(folder), np.random.default_rng(0)
    test: Fields = []
    places: list[tuple[int, int]] = []
    for hour in range(60, HOURS):
        plane = _plane(rain, hour)
        place = _wet_places(plane, random, 1, places)[0]
        places.append(place)
        test.append(_box(plane, place))
    train: Fields = []
    same: list[Fields] = [[] for _ in test]
    for hour in range(0, 48, 2):
        plane = _plane(rain, hour)
        train += [_box(plane, place) for place in _wet_places(plane, random, 2, [])]
        if hour % 4:
            continue
        for fields, place in zip(same, places, strict=True):
            box = _box(plane, place)
            if not box["qpe_01h"].isnull().any():
                fields.append(box)
    return Split(test, train, same_place=tuple(same))


def rain_boxes(folder: Path, an_hour: int) -> Fields:
    """Read so many boxes of rain in each of the test hours, drawn as those that are scored."""
    rain, random = _rain(folder), np.random.default_rng(5)
    planes = (without_false_rain(_plane(rain, hour), hour, -1) for hour in range(60, HOURS))
    return [
        _box(plane, place) for plane in planes for place in _wet_places(plane, random, an_hour, [])
    ]


def _rain(folder: Path) -> xr.Dataset:
    """Open hourly precipitation, packed as it is: an hour takes 50 MB, only boxes are unpacked."""
    rain = xr.open_dataset(folder / "mrms_precip_1km_201609.nc", mask_and_scale=False)
    return rain[["qpe_01h"]]


def _plane(rain: xr.Dataset, hour: int) -> xr.Dataset:
    return rain.isel(time=[hour]).load()


def without_false_rain(rain: xr.Dataset, hour: int, missing: float) -> xr.Dataset:
    """Set rain to ``missing`` where gauges were wrong."""
    if hour not in FALSE_HOURS:
        return rain
    (south, north), (west, east) = FALSE_PLACE.values()
    rows = (rain.latitude >= south) & (rain.latitude <= north)
    return rain.where(~(rows & (rain.longitude >= west) & (rain.longitude <= east)), missing)


def _unpacked(packed: xr.Dataset) -> xr.Dataset:
    """Return precipitation in mm, NaN where it is missing or beyond reason."""
    rain = xr.decode_cf(packed).astype(np.float32)
    return rain.where(rain <= LARGEST)


def _wet_places(
    plane: xr.Dataset, random: np.random.Generator, count: int, taken: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Draw boxes without gaps of which at least a tenth is wet."""
    values, unit = plane["qpe_01h"].values[0], plane["qpe_01h"].attrs["scale_factor"]
    rows, columns = (size // BOX for size in values.shape)
    boxes = values[: rows * BOX, : columns * BOX].reshape(rows, BOX, columns, BOX)
    whole = ((boxes >= 0) & (boxes <= round(LARGEST / unit))).all((1, 3))
    wet = (boxes >= round(WET / unit)).mean((1, 3))
    known = [tuple(map(int, place)) for place in np.argwhere(whole & (wet >= WET_SHARE))]
    left = [place for place in known if place not in taken]
    drawn = random.choice(len(left), min(count, len(left)), replace=False)
    return [left[index] for index in drawn]


def _box(plane: xr.Dataset, place: tuple[int, int]) -> xr.Dataset:
    row, column = (BOX * index for index in place)
    box = plane.isel(latitude=slice(row, row + BOX), longitude=slice(column, column + BOX))
    return _unpacked(box.copy(deep=True))
