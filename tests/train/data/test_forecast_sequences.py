"""What forecasts are learnt from."""

import numpy as np
import pytest
import torch
import xarray as xr

from flexclim.errors import FlexclimError, RecipeError
from flexclim.grids.operators import ALL
from flexclim.sampling.labels import label_values
from flexclim.sampling.network_inputs import forecast_inputs, physical
from flexclim.sampling.statics import static_channels
from flexclim.train.data.forecast_sequences import runs
from flexclim.train.data.training_data import open_training_data
from flexclim.train.loop.losses import rolled

FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
    "data.forecast.leads={6h: 1, 12h: 1}",
)
BOTH = (*FORECAST[1:], "data.tasks={superres: 1, forecast: 3}", "data.points=1")


@pytest.mark.parametrize("kind", ["dates", "cftime", "counts"])
def test_runs_are_found_by_time(kind):
    hours = np.array([12, 0, 6, 9, 24, 18, 33])
    stamps = hours
    if kind == "dates":
        stamps = np.datetime64("2018-12-31") + hours.astype("timedelta64[h]")
    if kind == "cftime":
        start = xr.date_range(
            "2018-12-30", periods=40, freq="h", calendar="360_day", use_cftime=True
        )
        stamps = np.array([start[hour] for hour in hours])
    found = [[hours[index].item() for index in row] for row in runs(stamps, 6, 2)]
    assert sorted(found) == [[0, 6, 12], [6, 12, 18], [12, 18, 24]]
    assert [list(hours[row]) for row in runs(stamps, 9, 3)] == []
    assert sorted(list(hours[row]) for row in runs(stamps, 9, 1)) == [[0, 9], [9, 18], [24, 33]]


def test_what_is_learned_is_what_a_forecast_adds(forecast_data, folder):
    made, settings = forecast_data.train, forecast_data.settings
    truth = xr.open_dataset(folder / "wind.nc")
    for position in range(6):
        drawn = made.draw(0, position)
        patch = made.patch(0, position)
        inputs, residual, label = patch.inputs, patch.residual, patch.label
        assert inputs.shape == (4, 32, 32)
        assert label[0] == np.float32(np.log2(drawn.lead / 6))
        later = drawn.time + np.timedelta64(int(drawn.lead), "h")
        assert later in truth.time
        scaled = forecast_inputs(drawn.fields[:-1], drawn.lead, settings)(ALL)
        fine = physical(scaled, residual.astype(float), settings.targets)
        np.testing.assert_allclose(fine, drawn.fields[-1], atol=1e-4)
        plane = truth.sel(time=later).u10.values
        assert np.isin(drawn.fields[-1, 0].astype("float32"), plane).all()


def test_changes_have_unit_size_at_each_lead(forecast_data):
    batch = forecast_data.train.batch(0, 48)
    assert batch.task == "forecast"
    for lead in (0.0, 1.0):
        own = batch.residual[batch.label[:, 0] == lead]
        assert own.std() == pytest.approx(1, abs=0.3)


def test_a_roll_out_learns_from_what_follows_steps_later(folder, read):
    recipe = read(folder, *FORECAST, "data.forecast.leads={6h: 1}", "data.forecast.rollout=2")
    data = open_training_data(recipe)
    truth = xr.open_dataset(folder / "wind.nc")
    aheads = [data.train.ahead(step) for step in range(20)]
    assert set(aheads) == {1, 2}
    drawn, settings, step = data.train.draw(0, 0), data.settings, aheads.index(2)
    patch = data.train.scaled(drawn, 2)
    scaled = forecast_inputs(drawn.fields[:2], drawn.lead, settings)(ALL)
    fine = physical(scaled, patch.later.astype(float), settings.targets)
    np.testing.assert_allclose(fine, drawn.fields[3], atol=1e-4)
    plane = truth.sel(time=drawn.time + np.timedelta64(12, "h")).u10.values
    assert np.isin(drawn.fields[3, 0].astype("float32"), plane).all()
    # One step right, the next one reads what it would have read then.
    names = "inputs", "residual", "scale"
    inputs, made, unit = (torch.from_numpy(getattr(patch, name)[None]) for name in names)
    found = rolled(inputs, made, unit, past=2)[0][0]
    wanted = forecast_inputs(drawn.fields[1:3], drawn.lead, settings)(ALL).inputs
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    batch = data.train.batch(step, 3)
    assert batch.ahead == 2
    np.testing.assert_array_equal(
        batch.later[0], data.train.scaled(data.train.draw(step, 0), 2).later
    )


def test_each_step_of_a_roll_out_has_its_own_time(folder, read):
    """As each step of a forecast has: the sun moves on."""
    more = "data.forecast.leads={6h: 1}", "data.forecast.rollout=2", "data.statics=[solar_time]"
    label = "data.label=[lead, day_of_year]"
    made = open_training_data(read(folder, *FORECAST, *more, label)).train
    step = next(step for step in range(50) if made.ahead(step) == 2)
    drawn, batch = made.draw(step, 0), made.batch(step, 2)
    when = drawn.time + np.timedelta64(6, "h")
    wanted = static_channels(drawn.statics, made.settings.statics, (32, 32), when)
    np.testing.assert_array_equal(batch.statics_ahead[0], wanted[None])
    assert abs(wanted - batch.inputs[0, 4:]).max() > 0.5
    known = label_values(made.settings.labels, lead=6.0, when=when)
    np.testing.assert_array_equal(batch.label_ahead[0], known[None])
    single = next(step for step in range(50) if made.ahead(step) == 1)
    assert made.batch(single, 1).statics_ahead is None


def test_times_that_are_counted_have_roll_outs_too(folder, read):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds.drop_vars("time").to_netcdf(folder / "wind.nc")
    times = "data.sources.0.train=['0', '7']", "data.sources.0.validate=['8', '15']"
    hourly = "data.forecast.leads={1h: 1}", "data.forecast.rollout=2"
    made = open_training_data(read(folder, *FORECAST, *hourly, *times)).train
    step = next(step for step in range(50) if made.ahead(step) == 2)
    assert made.batch(step, 1).statics_ahead.shape == (1, 1, 0, 32, 32)


def test_rows_and_columns_may_be_turned(folder, read):
    """A mirrored patch is that of the mirrored field, whose components change sign."""
    plain, turned = (
        open_training_data(read(folder, *FORECAST, *more)).train
        for more in ([], ["data.augment=[flip_x]"])
    )
    for position in range(8):
        first, second = plain.draw(0, position).fields, turned.draw(0, position).fields
        if not np.array_equal(first, second):
            np.testing.assert_array_equal(second[:, 0], -first[:, 0, :, ::-1])
            np.testing.assert_array_equal(second[:, 1], first[:, 1, :, ::-1])
            return
    pytest.fail("no patch was turned")


def test_unknown_truth_is_not_learned(folder, read):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.u10[:, :30] = np.nan
    ds.to_netcdf(folder / "gaps.nc")
    made = open_training_data(read(folder, *FORECAST, "data.sources.0.path=gaps.nc")).train
    batch = made.batch(0, 8)
    assert np.isfinite(batch.inputs).all()
    assert np.isnan(batch.residual[:, 0]).any()
    assert np.isfinite(batch.residual[:, 1]).all()


def test_as_many_patches_hold_rain_as_are_asked_for(folder, read):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.u10[:] = -1
    ds.u10[:, :, :12] = 1
    ds.u10[0] *= 2
    ds.to_netcdf(folder / "rain.nc")
    rain = "data.sources.0.rain={wet: 0.2, above: 0, share: 0.5}"
    made = open_training_data(
        read(folder, *FORECAST, "data.sources.0.path=rain.nc", rain), None
    ).train
    drawn = [made.draw(0, position).fields[-2, 0] for position in range(100)]
    # A quarter of all patches is wet: 1/2 + 1/2 x 1/4.
    assert 0.52 < np.mean([(field > 0).mean() >= 0.2 for field in drawn]) < 0.75


def test_a_network_without_a_label_reads_a_zero(folder, read):
    data = open_training_data(read(folder, *FORECAST, "data.label=[]"), None)
    assert (data.settings.labels, data.settings.network.label_size) == ((), 1)
    np.testing.assert_array_equal(data.train.batch(0, 2).label, np.zeros((2, 1), "float32"))


def test_infinite_values_are_refused(folder, read):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.where(ds.latitude < 80, np.inf).to_netcdf(folder / "bad.nc")
    with pytest.raises(FlexclimError, match=r"'u10' has 512 infinite or fill values at bad.nc"):
        open_training_data(read(folder, *FORECAST, "data.sources.0.path=bad.nc"), None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.forecast.leads={5h: 1}"], r"wind.nc has no 3 times of one split .* 5h apart"),
        (["data.forecast.past=9"], r"no 10 times of one split that are 6h apart"),
        (["data.forecast.leads={6h: 1, 1D: 1}", "data.forecast.past=2"], r"lead 24 h .* 3 times"),
        (["data.forecast.leads={soon: 1}"], r"'soon' is not a time span such as 6h"),
        (["data.forecast.leads={6: 1}"], r"'6' is not a time span such as 6h"),
        (
            ["data.inputs=[]", "data.sources.0.variables=[u10]", "data.scaling=local"],
            r"forecasts need inputs by name",
        ),
        (["data.label=[reynolds]"], r"sources.0.label does not give it"),
        (["data.targets=[u10]"], r"read what they make: input v10 is no target; leave it out"),
        (
            [
                "data.tasks={superres: 1, forecast: 1}",
                "data.targets=[u10]",
                "data.sources.0.rain={wet: 0.5, variable: v10}",
            ],
            r"sources.0.rain.variable v10 is not forecast; name one of u10",
        ),
        (
            [
                "data.sources.0.path=counts.nc",
                "data.label=[day_of_year]",
                "data.sources.0.train=['0', '7']",
                "data.sources.0.validate=['8', '11']",
            ],
            r"day_of_year needs dates, but counts.nc has none",
        ),
        (["network.tile=[128, 128]"], r"larger than the field of \(65, 128\) in wind.nc"),
    ],
)
def test_invalid_settings_are_named(folder, overrides, message, read):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.drop_vars("time").to_netcdf(folder / "counts.nc")
    with pytest.raises(RecipeError, match=message) as caught:
        open_training_data(read(folder, *FORECAST[:-1], *overrides), None)
    assert "\n" not in str(caught.value)


def test_sources_tell_numbers(folder, read):
    recipe = read(
        folder,
        *FORECAST,
        "data.label=[{name: reynolds, logarithm: true}]",
        "data.sources.0.label={reynolds: 1000}",
    )
    data = open_training_data(recipe)
    (told,) = data.settings.labels
    assert (told.name, told.mean, told.std) == ("reynolds", 3.0, 1.0)
    assert (data.train.batch(0, 2).label == 0).all()


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (("time", np.arange(12) * 6, {"units": "hours"}), None),
        (("time", np.arange(12) * 6), "neither dates nor offsets with units"),
        (("time", np.arange(12) * 3, {"units": "hours"}), None),
        (("time", np.arange(12) * 5, {"units": "hours"}), "times of one split that are 6h apart"),
    ],
)
def test_steps_without_dates_are_those_of_their_units(folder, read, times, message):
    ds = xr.load_dataset(folder / "wind.nc").assign_coords(time=times)
    ds.to_netcdf(folder / "steps.nc")
    splits = "path: steps.nc, train: ['0', '6'], validate: ['7', '11']"
    recipe = read(folder, *FORECAST, f"data.sources=[{{{splits}}}]", "data.label=[lead]",
                  "data.forecast.leads={6h: 1}")  # fmt: skip
    if message:
        with pytest.raises(RecipeError, match=message):
            open_training_data(recipe)
        return
    drawn = open_training_data(recipe).train.draw(0, 0)
    first, last = drawn.fields[0, 0], drawn.fields[-1, 0]
    steps = [n for one in (first, last) for n in range(12) if np.isin(one, ds.u10[n]).all()]
    assert (steps[1] - steps[0]) * times[1][1] == 2 * drawn.lead


def test_predictors_of_the_date_need_dates(folder, read):
    ds = xr.load_dataset(folder / "wind.nc").drop_vars("time")
    ds.to_netcdf(folder / "steps.nc")
    splits = "path: steps.nc, train: ['0', '7'], validate: ['8', '11']"
    recipe = read(folder, *FORECAST, f"data.sources=[{{{splits}}}]", "data.label=[lead]",
                  "data.statics=[solar_time]", "data.forecast.leads={1h: 1}")  # fmt: skip
    with pytest.raises(RecipeError, match=r"solar_time needs dates, but steps.nc has none"):
        open_training_data(recipe)
