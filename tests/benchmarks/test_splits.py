"""Splits of real data stay as docs/reference/data.md has them; no test field is learned from."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.skill import fields, wind_fields
from flexclim.train import load_recipe
from flexclim.train.data.splits import select_times
from flexclim.train.recipes.reading import recipes_folder

# Periods of each file, as in recipes.
SPLITS = {
    "gfs_wind_1deg_2018.nc": {
        "train": [("2018-10-01", "2018-10-13")],
        "validate": [("2018-10-15", "2018-10-16")],
        "test": [("2018-09-01", "2018-09-30")],
    },
    "gfs_wind_1deg_2014_2026.nc": {
        "train": [
            *(("2016-01-01", "2019-12-31"), ("2026-03-29", "2026-04-30")),
            *(("2026-03-24", "2026-03-24"), ("2026-07-06", "2026-08-02")),
        ],
        "validate": [("2026-05-02", "2026-05-06"), ("2026-08-04", "2026-08-05")],
        "test": [("2014-01-01", "2015-12-31"), ("2026-08-07", "2026-08-11")],
    },
    "gfs_wind_0p25_202512.nc": {"train": [("0", "2")], "validate": [], "test": [("5", "5")]},
    "gfs_wind_0p25_japan_2026.nc": {
        "train": [("2026-07-01", "2026-08-02")],
        "validate": [("2026-08-04", "2026-08-05")],
        "test": [("2026-08-07", "2026-08-08")],
    },
    "hrrr_wind_6km_202608.nc": {
        "train": [("2026-08-04", "2026-08-06")],
        "validate": [],
        "test": [("2026-08-10", "2026-08-11")],
    },
    "arome_wind_2p5km_201602.nc": {
        "train": [("0", "48")],
        "validate": [("37", "48")],
        "test": [],
    },
    "arome_wind_2p5km_201511.nc": {"train": [], "validate": [], "test": [("0", "66")]},
    "mrms_precip_1km_201609.nc": {
        "train": [("0", "47")],
        "validate": [("51", "57")],
        "test": [("60", "71")],
    },
    "era5_1deg_t2m_msl_tp.nc": {
        "train": [("0", "5")],
        "validate": [("7", "7")],
        "test": [("8", "9")],
    },
}
# Times of training, validation and test of the newer files, and hours from training to test.
COUNTS = {
    "gfs_wind_1deg_2014_2026.nc": (263, 27, 30, 102),
    "gfs_wind_0p25_202512.nc": (3, 0, 1, 30),
    "gfs_wind_0p25_japan_2026.nc": (98, 8, 6, 102),
    "hrrr_wind_6km_202608.nc": (7, 0, 8, 87),
}
RECIPES = sorted(file.stem for file in recipes_folder().glob("*.yaml"))


def chosen(times, periods):
    """Return the indices of the times of some periods."""
    usable = np.ones(times.size, bool)
    found = [select_times(times, usable, period, "file") for period in periods]
    return np.unique(np.concatenate([*found, np.empty(0, int)]).astype(int))


@pytest.fixture(scope="module")
def times(data_dir):
    return {name: xr.open_dataset(data_dir / name).time.values for name in SPLITS}


@pytest.mark.parametrize("name", COUNTS)
def test_periods_hold_the_times_that_they_held(times, name):
    train, validate, test = (
        chosen(times[name], SPLITS[name][split]) for split in ("train", "validate", "test")
    )
    hours = abs(np.subtract.outer(times[name][test], times[name][train])).min()
    found = (train.size, validate.size, test.size, hours / np.timedelta64(1, "h"))
    assert found == COUNTS[name]
    assert np.unique(np.concatenate([train, validate, test])).size == sum(found[:3])


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_learn_from_no_other_times(times, recipe):
    for source in load_recipe(recipe).data.sources:
        name = str(source.path).rpartition("/")[2]
        if name not in SPLITS:
            continue
        allowed = {split: chosen(times[name], SPLITS[name][split]) for split in SPLITS[name]}
        assert np.isin(chosen(times[name], [source.train]), allowed["train"]).all()
        if source.validate_ is not None:
            watched = np.concatenate([allowed["train"], allowed["validate"]])
            assert np.isin(chosen(times[name], [source.validate_]), watched).all()


LOADERS = {
    wind_fields.gfs_2018: ("gfs_wind_1deg_2018.nc", 8),
    wind_fields.gfs_2026: ("gfs_wind_1deg_2014_2026.nc", 8),
    wind_fields.gfs_2014: ("gfs_wind_1deg_2014_2026.nc", 10),
    wind_fields.gfs_quarter: ("gfs_wind_0p25_202512.nc", 4),
    wind_fields.gfs_japan: ("gfs_wind_0p25_japan_2026.nc", 6),
    wind_fields.hrrr: ("hrrr_wind_6km_202608.nc", 8),
    fields.era5: ("era5_1deg_t2m_msl_tp.nc", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)
def test_fields_that_are_scored_are_test_fields(data_dir, times, load):
    name, count = LOADERS[load]
    split = load(data_dir)
    allowed = {s: times[name][chosen(times[name], periods)] for s, periods in SPLITS[name].items()}
    assert len(split.test) == count
    for part in split.test:
        assert part.sizes["time"] == 1
        assert np.isin(part.time.values, allowed["test"]).all()
        assert not part.to_dataarray().isnull().any()
    for parts in (split.train, *split.same_place):
        for part in parts:
            assert np.isin(np.atleast_1d(part.time.values), allowed["train"]).all()
            assert pd.DatetimeIndex(np.atleast_1d(part.time.values)).is_unique
