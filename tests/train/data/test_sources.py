import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.opening import _is_zarr, open_dataset
from flexclim.train.data.series import Difference, Joined, Memory, Plain
from flexclim.train.data.sources import apart, in_memory, open_fields, select_times
from flexclim.train.data.splits import check_sources, open_sources
from flexclim.train.recipes.data_settings import Bare, Data, Derived, Reading


def dataset(first="2018-10-01", count=4, seed=0):
    random = np.random.default_rng(seed)
    dims = ("time", "latitude", "longitude")
    return xr.Dataset(
        {name: (dims, random.normal(size=(count, 6, 8)).astype("float32")) for name in "uv"},
        coords={
            "time": pd.date_range(first, periods=count, freq="6h"),
            "latitude": np.arange(6.0)[::-1],
            "longitude": np.arange(8.0),
        },
    )


def planes(fields, name):
    return fields.series[name].read_all(np.arange(fields.times.size))


@pytest.mark.parametrize("kind", ["netcdf", "zarr", "url", "memory", "remote netcdf"])
def test_files_stores_and_urls_hold_the_same(tmp_path, kind):
    ds = dataset()
    if kind == "netcdf":
        ds.to_netcdf(tmp_path / "a.nc")
        path = "a.nc"
    elif kind == "remote netcdf":
        ds.to_netcdf(tmp_path / "a.nc")
        path = f"file://{tmp_path}/a.nc"
    else:
        path = "memory://flexclim-test/a.zarr" if kind == "memory" else f"{tmp_path}/a.zarr"
        ds.to_zarr(path, consolidated=False, mode="w")
        path = f"file://{path}" if kind == "url" else path
    fields = open_fields(Reading(path=path), str(tmp_path), ["v"])
    np.testing.assert_array_equal(planes(fields, "v"), ds.v.values)
    np.testing.assert_array_equal(fields.times, ds.time.values)
    assert fields.grid().domain.shape == (6, 8)


def test_a_folder_named_after_zarr_holds_a_file(tmp_path):
    """Only the suffix of a path or of a folder above tells of a store."""
    folder = tmp_path / "from.zarr.2018"
    folder.mkdir()
    dataset().to_netcdf(folder / "a.nc")
    assert set(open_dataset(str(folder / "a.nc"), Reading(path="a.nc")).data_vars) == {"u", "v"}
    for path in ("a.zarr/group", "gs://b/a.zarr-v3", "simplecache::s3://b/a.zarr", "a.zarr"):
        assert _is_zarr(path)
    for path in ("my.zarr.nc", "s3://zarr.org/a.nc", "x.zarrs/a.nc"):
        assert not _is_zarr(path)


@pytest.mark.parametrize("small", [True, False])
def test_a_broken_chunk_gets_one_line(tmp_path, monkeypatch, small):
    ds = dataset()
    ds.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    (chunk,) = (tmp_path / "a.zarr" / "u").glob("[0-9]*")
    chunk.write_bytes(b"broken")
    values = {
        "folder": str(tmp_path),
        "inputs": ["u"],
        "sources": [{"path": "a.zarr", "train": ["0", "2"], "validate": ["3", "3"]}],
    }
    data = Data.model_validate(values)
    if not small:
        monkeypatch.setattr("flexclim.train.data.sources.SMALL", 0)
    with pytest.raises(
        RecipeError, match=r"'u' in a.zarr can't be read: .*check the file"
    ) as caught:
        check_sources(open_sources(data, "train"), data, (4, 4))
    assert "\n" not in str(caught.value)


def test_opening_reads_no_field(tmp_path, monkeypatch):
    dataset().to_netcdf(tmp_path / "a.nc")

    def fails(*_):
        raise AssertionError("a field was read")

    monkeypatch.setattr(Plain, "read", fails)
    monkeypatch.setattr(Plain, "read_all", fails)
    open_fields(Reading(path="a.nc", derive=SPEED), str(tmp_path), ["speed", "u"])


SPEED = {"speed": Derived(wind_speed=("u", "v")), "energy": Derived(kinetic_energy=("u", "v"))}


@pytest.mark.parametrize("path", ["part*.nc", ("part2.nc", "part1.nc")])
def test_several_files_are_one_record(tmp_path, path):
    first, second = dataset(), dataset("2018-10-02", 3, seed=1)
    first.to_netcdf(tmp_path / "part1.nc")
    second.to_netcdf(tmp_path / "part2.nc")
    fields = open_fields(Reading(path=path), str(tmp_path), ["u"])
    assert isinstance(fields.series["u"], Joined)
    chosen = select_times(fields.times, fields.usable, ("2018-10-01T12", "2018-10-02T00"), "x")
    whole = xr.concat([first, second], "time").u.sel(time=fields.times[chosen])
    assert set(fields.times[chosen]) == set(
        np.array(["2018-10-01T12", "2018-10-01T18", "2018-10-02T00"], "M8[ns]")
    )
    np.testing.assert_array_equal(fields.series["u"].read_all(chosen), whole.values)


def test_derived_variables(tmp_path):
    ds = dataset()
    ds.to_netcdf(tmp_path / "a.nc")
    fields = open_fields(Reading(path="a.nc", derive=SPEED), str(tmp_path), ["speed", "energy"])
    np.testing.assert_allclose(planes(fields, "speed"), np.hypot(ds.u, ds.v), rtol=1e-6)
    np.testing.assert_allclose(planes(fields, "energy"), (ds.u**2 + ds.v**2) / 2, rtol=1e-6)
    assert fields.attributes["energy"]["units"] == "m2 s-2"


def test_renamed_selected_and_limited(tmp_path):
    ds = dataset().expand_dims(level=[500, 850], axis=1)
    ds = ds * xr.DataArray([1.0, 10.0], dims="level")
    ds.to_netcdf(tmp_path / "a.nc")
    reading = Reading(path="a.nc", rename={"u": "u850"}, select={"level": 850}, largest={"u850": 5})
    fields = open_fields(reading, str(tmp_path), ["u850"])
    truth = ds.u.sel(level=850)
    np.testing.assert_allclose(planes(fields, "u850"), truth.where(truth <= 5), rtol=1e-6)
    with pytest.raises(RecipeError, match=r"has a dimension 'level' of 2; choose one value with"):
        open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
    with pytest.raises(RecipeError, match=r"has no level 700\.0; it has 500, 850"):
        open_fields(Reading(path="a.nc", select={"level": 700}), str(tmp_path), ["u"])


def test_a_bare_hdf5_file(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 2, 8, 8)).astype("float32")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["fields"] = values
    bare = Bare(channels=("u", "v"), latitude=(40, 33), longitude=(0, 7), start="2018-01-01")
    fields = open_fields(Reading(path="a.h5", bare=bare), str(tmp_path), ["v"])
    np.testing.assert_array_equal(planes(fields, "v"), values[:, 1])
    assert fields.times[1] == np.datetime64("2018-01-01T01")
    assert not fields.grid().flip_y
    # Without coordinates: a plane whose rows are stored from the top, and times that are counted.
    fields = open_fields(Reading(path="a.h5", bare=Bare(channels=("u", "v"))), str(tmp_path), ["u"])
    np.testing.assert_array_equal(planes(fields, "u"), values[:, 0])
    np.testing.assert_array_equal(fields.grid().canonical(values[0, 0]), values[0, 0])
    assert fields.times.tolist() == [0, 1, 2, 3, 4]


def test_accumulations_become_amounts():
    """By hand: 3-hourly from 00 UTC; the value at 00 UTC closes the day before."""
    times = pd.date_range("2018-05-01T03", periods=10, freq="3h").values
    rain = np.array([1, 3, 3, 4, 4, 9, 9, 10, 2, 2.5])
    series = Difference.of(Memory(rain[:, None, None].astype("float32")), times)
    amounts = series.read_all(np.arange(10))[:, 0, 0]
    np.testing.assert_allclose(amounts, [1, 2, 0, 1, 0, 5, 0, 1, 2, 0.5])
    assert series.usable.all()


def test_an_amount_without_its_time_before_is_left_out():
    times = pd.date_range("2018-05-01T06", periods=3, freq="3h").values
    series = Difference.of(Memory(np.ones((3, 1, 1), "float32")), times)
    assert series.usable.tolist() == [False, True, True]
    chosen = select_times(times, series.usable, ("2018-05-01", "2018-05-02"), "x")
    assert chosen.tolist() == [1, 2]


def test_an_amount_after_a_gap_is_left_out():
    """By hand: hourly, 03 UTC is missing, so what fell from 02 to 04 UTC is no hourly amount."""
    stamps = ["2018-05-01T01", "2018-05-01T02", "2018-05-01T04", "2018-05-01T05", "2018-05-01T05"]
    rain = np.array([1, 2, 4, 7, 7], "float32")[:, None, None]
    series = Difference.of(Memory(rain), pd.DatetimeIndex(stamps).values)
    assert series.usable[:3].tolist() == [True, True, False]
    # Of a time that is there twice, one is enough.
    assert series.usable[3:].sum() == 1
    amounts = series.read_all(np.flatnonzero(series.usable))[:, 0, 0]
    assert amounts.tolist() == [1, 1, 3]


@pytest.mark.parametrize("times", [[7, 1, 3], [5, 9, 1, 3], [3, 2, 1], [4, 4, 2], [1, 2, 3], [8]])
def test_planes_come_in_the_order_asked_for(times):
    values = np.arange(10.0)[:, None, None] * np.ones((1, 2, 2))
    planes = Plain(xr.Variable(("time", "y", "x"), values)).read_all(np.array(times))
    assert planes[:, 0, 0].tolist() == times


def test_accumulated_rain_of_arome_is_never_negative(data_dir):
    reading = Reading(path="meteonet_nw_arome_0p025.nc", accumulated=("tp",))
    fields = open_fields(reading, str(data_dir), ["tp"])
    amounts = planes(fields, "tp").astype(float)
    raw = xr.open_dataset(data_dir / "meteonet_nw_arome_0p025.nc").tp.values
    assert np.nanmin(amounts) >= 0
    # All hours add up to the last accumulation; packing may cost a little.
    np.testing.assert_allclose(amounts.sum(0), raw[-1], atol=0.05)


def test_periods_are_dates_or_counts():
    times = pd.date_range("2018-10-01", periods=8, freq="6h").values
    usable = np.ones(8, bool)
    assert select_times(times, usable, ("2018-10-02", "2018-10-02"), "x").tolist() == [4, 5, 6, 7]
    assert select_times(times, usable, ("1", "3"), "x").tolist() == [1, 2, 3]
    assert select_times(times, usable, ("5", "-1"), "x").tolist() == [5, 6, 7]
    shuffled = times[[3, 0, 2, 1, 7, 6, 5, 4]]
    assert select_times(shuffled, usable, ("2018-10-02", "2018-10-02"), "x").tolist() == [
        4,
        5,
        6,
        7,
    ]
    with pytest.raises(RecipeError, match="has no time from 2019 to 2020; it runs from 2018-10-01"):
        select_times(times, usable, ("2019", "2020"), "x")


def test_counts_may_have_any_number_of_digits():
    counted, dated = np.arange(2000), pd.date_range("2018", periods=2000, freq="6h").values
    usable = np.ones(2000, bool)

    def ends(times, *period):
        return select_times(times, usable, period, "x")[[0, -1]].tolist()

    for times in (counted, dated):
        assert ends(times, "0", "1500") == [0, 1500]
        assert ends(times, "-1500", "-1") == [500, 1999]
    assert ends(counted, "1000", "1400") == [1000, 1400]
    # Where there are dates, four digits are a year.
    assert ends(dated, "2018", "2018") == [0, 1459]
    assert ends(dated, "2018", "2018-01-02") == [0, 7]
    assert ends(dated, "01000", "1400") == [1000, 1400]
    for times, period, message in (
        (counted, ("2018-10-01", "9"), "has no times; give splits as counts"),
        (dated, ("2018-10-01", "9"), "9 is a count and the other a date"),
        (dated, ("1000", "1400"), "Four digits are a year; 01000 is a count"),
        (dated, ("1999", "2000"), "from 1999 to 2000; it runs from 2018.* 2000 times in all"),
        (counted, ("3000", "4000"), "it runs from 0 to 1999"),
    ):
        with pytest.raises(RecipeError, match=message) as caught:
            select_times(times, usable, period, "x")
        assert "\n" not in str(caught.value)


def test_training_keeps_a_gap_to_validation():
    times = pd.date_range("2018-10-01", periods=8, freq="6h").values
    every, other = np.arange(8), np.array([5, 6])
    assert apart(times, every, other, "0h").tolist() == [0, 1, 2, 3, 4, 7]
    assert apart(times, every, other, "6h").tolist() == [0, 1, 2, 3]
    assert apart(times, every, other, "12h").tolist() == [0, 1, 2]
    assert apart(np.arange(8), every, other, "0h").tolist() == [0, 1, 2, 3, 4, 7]
    with pytest.raises(RecipeError, match="'tomorrow' is no duration"):
        apart(times, every, other, "tomorrow")


def test_small_variables_are_read_once(tmp_path, monkeypatch):
    dataset().to_netcdf(tmp_path / "a.nc")
    fields = open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
    series, times = in_memory(fields, np.array([1, 3]))
    assert isinstance(series["u"], Memory)
    assert times.tolist() == [0, 1]
    np.testing.assert_array_equal(series["u"].read(1), fields.series["u"].read(3))
    monkeypatch.setattr("flexclim.train.data.sources.SMALL", 10)
    series, times = in_memory(fields, np.array([1, 3]))
    assert isinstance(series["u"], Plain)
    assert times.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("reading", "name", "message"),
    [
        ({"path": "absent.nc"}, "u", "absent.nc is not there; set data.folder"),
        ({"path": "no*.nc"}, "u", "no file matches .*no.*; set data.folder"),
        ({"path": "text.nc"}, "u", "text.nc can't be opened: "),
        ({"path": "memory://nowhere/x.zarr"}, "u", "x.zarr can't be opened: "),
        ({"path": "a.nc"}, "uu", r"a.nc has no variable 'uu'; did you mean u\?"),
        ({"path": "a.nc", "derive": SPEED}, "sped", "did you mean speed"),
        ({"path": "a.nc", "rename": {"w": "x"}}, "x", "has no variable 'w'"),
        ({"path": "bare.h5", "bare": {"channels": ["a", "b"]}}, "a", "has 1 channels; bare"),
        ({"path": "bare.h5", "bare": {"channels": ["a"], "dataset": "w"}}, "a", "has no array 'w'"),
    ],
)
def test_what_can_not_be_read_gets_one_line(tmp_path, reading, name, message):
    dataset().to_netcdf(tmp_path / "a.nc")
    (tmp_path / "text.nc").write_text("no netcdf")
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["fields"] = np.zeros((5, 8, 8), "float32")
    with pytest.raises(RecipeError, match=message) as caught:
        open_fields(Reading(**reading), str(tmp_path), [name])
    assert "\n" not in str(caught.value)
