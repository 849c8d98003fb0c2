import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify

SIGNAL = verify.climate.change_signal


def test_a_shift_and_a_stretch_are_found_by_season(daily_field):
    past = daily_field(3)
    warm = (past.time.dt.season == "JJA") * 2.0 + 1
    future = (past + warm).assign_coords(time=past.time + np.timedelta64(36525, "D"))
    # 36525 days later the calendar has moved by one day.
    future = future.assign_coords(time=daily_field(3, 2101).time)
    wider = past.mean("time") + 1.5 * (past - past.mean("time"))
    wider = wider.transpose(*past.dims).assign_coords(time=future.time)
    found = SIGNAL({"GCM": (past, future), "wider": (past, wider)}, [0.1, 0.9])
    assert found.change.dims == ("source", "season", "statistic", "lat", "lon")
    assert found.statistic.values.tolist() == ["mean", "10 %", "90 %"]
    one = found.sel(source="GCM")
    np.testing.assert_allclose(one.change.sel(season="JJA"), 3)
    np.testing.assert_allclose(one.change.sel(season="DJF"), 1)
    spread = found.change.sel(source="wider", season="year")
    expected = 0.5 * (past.quantile([0.1, 0.9], "time") - past.mean("time"))
    np.testing.assert_allclose(spread[1:], expected)
    np.testing.assert_allclose(spread[0], 0, atol=1e-9)
    assert found.change.attrs["units_metadata"] == "temperature: difference"


def test_how_much_was_kept_is_weighted_by_area(daily_field):
    past, future = daily_field(1), daily_field(1, 2101)
    future = past.assign_coords(time=future.time)
    rows = xr.DataArray([1.0, 2, 4], dims=["lat"])
    found = SIGNAL({"GCM": (past, future + 2), "adjusted": (past, future + rows)})
    area = np.cos(np.deg2rad(past.lat))
    mean = float((rows * area).sum() / area.sum())
    np.testing.assert_allclose(found.mean_change.sel(source="adjusted"), mean, rtol=1e-4)
    np.testing.assert_allclose(found.kept.sel(source="adjusted"), mean / 2, rtol=1e-4)
    line = verify.climate.describe_signal(found).splitlines()
    assert line[0] == f"mean: GCM +2 K; adjusted +{mean:.3g} K ({mean / 2:.0%} kept)".replace(
        "%", " %"
    )
    assert len(line) == 4


def test_calendars_grids_units_members_and_chunks_may_differ(daily_field):
    past = daily_field(2, calendar="360_day")
    later = daily_field(2, 2101, calendar="360_day").copy(data=past + 3)
    fine = {
        "latitude": np.arange(52.25, 49.4, -0.5),
        "longitude": np.arange(4.75, 8.5, 0.5),
    }
    rng = np.random.default_rng(1)
    times = daily_field(1).time
    dims = ["number", "time", "latitude", "longitude"]
    mine = xr.DataArray(
        rng.normal(5, 2, (2, 365, 6, 8)), {"time": times, **fine}, dims, "tas", {"units": "degC"}
    )
    step = xr.DataArray(np.arange(6) % 2 + 2.0, dims=["latitude"])
    then = (mine + step).transpose(*dims).assign_coords(time=daily_field(1, 2101).time)
    then.attrs["units"] = "degC"
    found = SIGNAL({"GCM": (past, later), "fine": (mine.chunk(time=90, number=1), then)}, [0.5])
    assert found.change.chunks is not None
    assert found.change.sizes["lat"] == 3
    # Every coarse cell has a row that warms by 2 and one that warms by 3.
    change = found.change.sel(source="fine", season="year", statistic="mean")
    np.testing.assert_allclose(change, 2.5, atol=5e-3)
    np.testing.assert_allclose(
        found.kept.sel(source="fine", season="year", statistic="mean"), 2.5 / 3, rtol=2e-3
    )


def test_changes_of_precipitation_are_relative(daily_field):
    past = abs(daily_field(1, name="pr") - 280).assign_attrs(units="kg m-2 s-1")
    past[:, 0, 0] = 0.0
    future = (past * 1.2).assign_coords(time=daily_field(1, 2101).time)
    found = SIGNAL({"GCM": (past, future)}, [0.99])
    assert found.change.attrs["units"] == "%"
    assert np.isnan(found.change[..., 0, 0]).all()
    np.testing.assert_allclose(found.change[..., 1:, :], 20, rtol=1e-6)
    np.testing.assert_allclose(found.mean_change, 20, rtol=1e-6)
    assert len(verify.climate.describe_signal(SIGNAL({"GCM": (0 * past, future)})).split()) == 0
    absolute = SIGNAL({"GCM": (past, future)}, [0.99], relative=False)
    assert absolute.change.attrs["units"] == "kg m-2 s-1"
    assert (absolute.change[..., 0, 0] == 0).all()


def test_cells_that_one_source_lacks_count_for_none(daily_field):
    past = daily_field(1)
    future = (past + 2).assign_coords(time=daily_field(1, 2101).time)
    part = future.where(future.lat > 50.5) + 1
    part[:, 1, 1] = 1e3 + future[:, 1, 1]
    part[:, 1, 1] = np.nan
    found = SIGNAL({"GCM": (past, future), "part": (past, part)})
    np.testing.assert_allclose(found.mean_change.sel(source="part"), 3)
    np.testing.assert_allclose(found.mean_change.sel(source="GCM"), 2)


def test_datasets_are_compared_by_variable(daily_field):
    def both(first):
        return xr.Dataset(
            {n: daily_field(1, first, seed=i, name=n) for i, n in enumerate(("tas", "tasmax"))}
        )

    found = SIGNAL({"GCM": (both(2001), both(2101)), "other": (both(2001)[["tas"]], both(2101))})
    assert set(found.data_vars) == {"change.tas", "mean_change.tas", "kept.tas"}
    assert "mean: GCM" in verify.climate.describe_signal(found, "tas")
    with pytest.raises(FlexclimError, match="no 'mean_change' in the signal"):
        verify.climate.describe_signal(found)
    with pytest.raises(AlignmentError, match="no variable in common"):
        SIGNAL({"a": (both(2001)[["tas"]], both(2101)[["tasmax"]])})


def test_what_is_no_pair_of_periods_is_an_error(daily_field):
    past, future = daily_field(1), daily_field(1, 2101)
    with pytest.raises(FlexclimError, match="begins in 2001, its past in 2101"):
        SIGNAL({"GCM": (future, past)})
    with pytest.raises(FlexclimError, match="'GCM' has no two periods"):
        SIGNAL({"GCM": past})
    with pytest.raises(FlexclimError, match="Give a dictionary of sources"):
        SIGNAL({})
    with pytest.raises(AlignmentError, match="is a DataArray, others are Datasets"):
        SIGNAL({"GCM": (past, future.to_dataset())})
    with pytest.raises(AlignmentError, match="neither converts"):
        SIGNAL({"GCM": (past, future), "b": (past.assign_attrs(units="m"), future)})
