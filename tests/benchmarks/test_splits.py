"""Splits of real data stay as docs/reference/data.md has them; no test field is learned from."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.skill import fields, wind_fields

# What is scored: first and last time, and how many fields; what rivals learn from: the same.
FROZEN = {
    wind_fields.gfs_2018: ("2018-09-01", "2018-09-30", 8, "2018-10-01", "2018-10-13T23"),
    wind_fields.gfs_2026: ("2026-08-07", "2026-08-11T18", 8, "2026-07-06", "2026-08-02T23"),
    wind_fields.gfs_2014: ("2014-01-20", "2015-05-02T12", 10, "2016-04-06", "2019-12-31"),
    wind_fields.gfs_quarter: ("2025-12-11T12", "2025-12-11T12", 4, "2025-12-09", "2025-12-10T06"),
    wind_fields.gfs_japan: ("2026-08-07", "2026-08-08T06", 6, "2026-07-07", "2026-08-02T23"),
    wind_fields.hrrr: ("2026-08-10", "2026-08-11T23", 8, "2026-08-04", "2026-08-06T23"),
    wind_fields.arome: ("2015-11-01", "2015-11-30", 12, "2016-02-01", "2016-02-29"),
    fields.era5: ("2026-03-27T10", "2026-03-27T17", 2, "2026-03-25", "2026-03-26T12"),
}


def span(parts):
    times = np.concatenate([np.atleast_1d(part.time.values) for part in parts])
    return pd.Timestamp(times.min()), pd.Timestamp(times.max())


@pytest.mark.slow
@pytest.mark.parametrize("load", FROZEN, ids=lambda load: load.__name__)
def test_fields_to_score_are_those_of_the_test_split(data_dir, load):
    first, last, count, begin, end = FROZEN[load]
    split = load(data_dir)
    low, high = span(split.test)
    assert pd.Timestamp(first) <= low <= high <= pd.Timestamp(last)
    assert len(split.test) == count
    for parts in (split.train, *split.same_place):
        low, high = span(parts)
        assert pd.Timestamp(begin) <= low <= high <= pd.Timestamp(end)
    assert {field.sizes["time"] for field in split.test} == {1}
    assert not any(bool(field.to_dataarray().isnull().any()) for field in split.test)


SPLITS = {
    "gfs_wind_1deg_2014_2026.nc": {
        "train": [
            *(("2016-01-01", "2019-12-31"), ("2026-03-29", "2026-04-30")),
            *(("2026-03-24", "2026-03-24T23"), ("2026-07-06", "2026-08-02T23")),
        ],
        "validate": [("2026-05-02", "2026-05-06T23"), ("2026-08-04", "2026-08-05T23")],
        "test": [("2014-01-01", "2015-12-31"), ("2026-08-07", "2026-08-11T23")],
    },
    "gfs_wind_0p25_202512.nc": {
        "train": [("2025-12-09", "2025-12-10T06")],
        "test": [("2025-12-11T12", "2025-12-11T12")],
    },
    "gfs_wind_0p25_japan_2026.nc": {
        "train": [("2026-07-07", "2026-08-02T23")],
        "validate": [("2026-08-04", "2026-08-05T23")],
        "test": [("2026-08-07", "2026-08-08T23")],
    },
    "hrrr_wind_6km_202608.nc": {
        "train": [("2026-08-04", "2026-08-06T23")],
        "test": [("2026-08-10", "2026-08-11T23")],
    },
}
COUNTS = {
    "gfs_wind_1deg_2014_2026.nc": {"train": 260, "validate": 27, "test": 30},
    "gfs_wind_0p25_202512.nc": {"train": 3, "test": 1},
    "gfs_wind_0p25_japan_2026.nc": {"train": 98, "validate": 8, "test": 6},
    "hrrr_wind_6km_202608.nc": {"train": 7, "test": 8},
}


@pytest.mark.parametrize("name", SPLITS)
def test_files_hold_the_times_of_each_split(data_dir, name):
    times = pd.DatetimeIndex(xr.open_dataset(data_dir / name).time.values)
    taken = {
        split: set().union(*(times[(times >= a) & (times <= b)] for a, b in periods))
        for split, periods in SPLITS[name].items()
    }
    assert {split: len(some) for split, some in taken.items()} == COUNTS[name]
    assert len(set().union(*taken.values())) == sum(map(len, taken.values()))
    # Test times are at least a day from any training time, but for the two runs of December 2025.
    apart = min(abs(a - b) for a in taken["test"] for b in taken["train"])
    assert apart >= pd.Timedelta("1D")
