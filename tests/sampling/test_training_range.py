"""Fields far from what a card covers are warned of, once, and never while planning."""

import warnings

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.downscaling import downscale
from flexclim.errors import FlexclimWarning, ModelError
from flexclim.forecasting import forecast
from flexclim.grids.domain import Domain
from flexclim.models.card import ModelCard, NoisePersistence
from flexclim.models.channels import Target, Variable
from flexclim.sampling.training_range import (
    describe_departures,
    field_statistics,
    summarise_coverage,
)

WIND = Variable(name="u10", vector=True)
DOMAIN = Domain(shape=(16, 16), kind="cell")


def rough(seed=0, shape=(16, 16)):
    return np.random.default_rng(seed).normal(size=shape)


def waves():
    """Return waves of 16 cells: smooth."""
    return np.sin(np.indices((16, 16)).sum(0) * np.pi / 8)


@pytest.fixture(scope="module")
def covered():
    """Return what a training on white noise covered."""
    return summarise_coverage(
        [field_statistics(rough(seed), DOMAIN, WIND) for seed in range(20)], "u10", "m s-1", 25.0
    )


@pytest.fixture(scope="module")
def any_field(make_toy, covered):
    return make_toy(card={"coverage": (covered,), "spacing_km": (20.0, 30.0)})


@pytest.fixture(scope="module")
def wind(make_toy, covered):
    """Return a model of one named variable."""
    card = {"coverage": (covered,), "variables": ("u10",), "inputs": ("u10",)}
    target = Target(name="u10", base="u10", vector=True)
    return make_toy(card=card, inputs=(WIND,), targets=(target,))


def field(values=None, spacing=1.0, chunked=True):
    values = rough(99, (2, 8, 8)) if values is None else values
    array = xr.DataArray(
        values,
        {
            "time": pd.date_range("2018-09-14", periods=2, freq="6h"),
            "lat": 40 - spacing * np.arange(values.shape[1]),
            "lon": 5 + spacing * np.arange(values.shape[2]),
        },
        ["time", "lat", "lon"],
        name="u10",
        attrs={"units": "m s-1"},
    )
    return array.chunk({"time": 1}) if chunked else array


def warned(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make()
    return made, [str(w.message) for w in caught if issubclass(w.category, FlexclimWarning)]


def test_a_plane_is_measured_by_hand():
    plane = np.where(np.indices((16, 16)).sum(0) % 2, 3.0, -1.0)
    seen = field_statistics(plane, DOMAIN, Variable(name="x"))
    assert (seen.lowest, seen.highest) == (-1, 3)
    # A chequerboard lies 2 from its mean of 1 and from its binomial mean alike, edges apart.
    np.testing.assert_allclose(seen.scale[8, 8], 2, rtol=1e-2)
    assert seen.contrast == pytest.approx(1, abs=0.1)


def test_training_fields_are_not_far(any_field, wind, covered):
    for model in (any_field, wind):
        plane = rough(3)[None]
        read = model.settings.named(vector=True).inputs
        assert describe_departures(plane, ["u10"], DOMAIN, read, model.card) == []
    assert covered.values[0] < -2
    assert covered.contrast[0] < 0.8 < covered.contrast[1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f + 20, "'u10' reaches"),
        (lambda f: f - 20, "'u10' falls to"),
        (lambda f: f / 100, "the local scale of 'u10' is up to"),
        (lambda _: waves(), "'u10' is too smooth"),
    ],
)
def test_what_is_far_is_named(wind, change, expected):
    said = describe_departures(
        change(rough(3))[None], ["u10"], DOMAIN, wind.settings.inputs, wind.card
    )
    assert any(text.startswith(expected) for text in said), said
    assert all("training had" in text for text in said)


@pytest.mark.parametrize(
    ("beyond", "said"),
    [
        (0.4, ""),  # standard deviations beyond the range of training
        (0.6, "reaches 16.2 K, a normalised anomaly of 3.1; training had 5 to 15, -2.5 to 2.5"),
        (-0.6, "falls to 3.8 K, a normalised anomaly of -3.1; training had 5 to 15, -2.5 to 2.5"),
    ],
)
def test_predictors_are_judged_by_normalised_anomalies(covered, beyond, said):
    """Other variables' limit, a quarter of the range, would let 1.2 K in 10 K pass."""
    read = [Variable(name="t@850", mean=10.0, std=2.0)]
    ranges = {"values": (5.0, 15.0), "scale": (0.0, 99.0), "contrast": (0.0, 99.0)}
    known = covered.model_copy(update={"variable": "t@850", "units": "K"} | ranges)
    card = ModelCard(name="toy", inputs=("t@850",), coverage=(known,))
    plane = np.linspace(5, 15, 256).reshape(1, 16, 16) + 2 * beyond
    found = describe_departures(plane, ["t@850"], DOMAIN, read, card, anomalies=True)
    assert found == ([f"'t@850' {said}"] if said else [])
    assert describe_departures(plane, ["t@850"], DOMAIN, read, card) == []


def test_a_model_of_any_field_knows_no_units(any_field):
    read, card = any_field.settings.named().inputs, any_field.card
    for change in (lambda f: 1000 * f, lambda f: f + 300):
        assert describe_departures(change(rough(3))[None], ["t2m"], DOMAIN, read, card) == []
    (said,) = describe_departures(waves()[None], ["t2m"], DOMAIN, read, card)
    assert said.startswith("'t2m' is too smooth")
    assert describe_departures(np.ones((1, 16, 16)), ["t2m"], DOMAIN, read, card) == []


def test_planning_computes_and_warns_of_nothing(wind):
    def never(block):
        raise AssertionError("a chunk was computed while planning")

    chunks = da.map_blocks(never, field().data, dtype=float, meta=np.empty((0, 0, 0)))
    lazy, said = warned(lambda: downscale(field().copy(data=chunks), 4, model=wind, members=1))
    assert said == []
    assert dask.is_dask_collection(lazy.data)


def test_one_warning_a_request(wind):
    far = (field() + 50).assign_attrs(units="m s-1")
    asked = {"model": wind, "members": 1, "steps": 1}
    lazy, said = warned(lambda: downscale(far, 4, **asked))
    assert said == []
    _, said = warned(lazy.compute)  # two planes
    assert len(said) == 1
    assert "'toy'" in said[0]
    assert "2018-09-14" in said[0]
    assert "\n" not in said[0]
    again = downscale(far.isel(time=[0]), 4, **asked)
    assert len(warned(again.compute)[1]) == 1


def test_a_past_is_judged_as_forecasts_of_training_were(make_forecaster, covered):
    """Once a forecast, of any of its times; what covers downscaling alone says nothing of it."""
    target = Target(name="u10", vector=True, std=2.0)
    card = {"variables": ("u10",), "inputs": ("u10",), "units": {"u10": "m s-1"}}
    near = field(rough(99, (2, 16, 16)), spacing=0.5)
    far = near.where(near.time > near.time[0], near + 50).assign_attrs(near.attrs)

    def judged(past, task):
        cards = card | {"coverage": (covered.model_copy(update={"task": task}),)}
        scale = {"forecast": 1.0, "superres": 0.9}[task]  # equal models share a card
        model = make_forecaster((target,), card=cards, noise_scale=scale)
        lazy, said = warned(lambda: forecast(past, 2, model=model, members=1, steps=1, batch=1))
        assert said == []
        return warned(lazy.compute)[1]

    (said,) = judged(far, "forecast")
    assert "far from what 'toy' was trained on (times up to 2018-09-14T06" in said
    assert "'u10' reaches" in said
    assert len(judged(far, "forecast")) == 1
    assert judged(near, "forecast") == []
    assert judged(far, "superres") == []


def test_spacing_is_judged_while_planning(any_field):
    _, said = warned(lambda: downscale(field(spacing=5.0), 4, model=any_field, members=1))
    assert len(said) == 1
    assert "spacing of 139 km; training had 20 to 30 km" in said[0]
    _, said = warned(lambda: downscale(field(), 4, model=any_field, members=1))
    assert said == []


def test_simulated_flows_have_no_spacing():
    seen = summarise_coverage([field_statistics(rough(), DOMAIN, WIND)], "u", "", np.nan)
    assert seen.spacing_km is None
    assert str(seen).startswith("u: ")


def test_ar1_takes_its_time_scale_from_the_card(make_toy, covered):
    known = covered.model_copy(update={"hours": {4: 6.0}})
    model = make_toy(card={"coverage": (known,)})
    lazy = downscale(field(), 4, model=model, noise="ar1", members=1)
    assert lazy.attrs["flexclim_noise_timescale_seconds"] == 6 * 3600
    asked = downscale(field(), 4, model=model, noise="ar1", noise_timescale="2h", members=1)
    assert asked.attrs["flexclim_noise_timescale_seconds"] == 2 * 3600
    mixed = NoisePersistence(hours=9.0, constant=0.2, lasting=0.4, daily=0.1)
    calibrated = make_toy(card={"coverage": (known.model_copy(update={"noise": {4: mixed}}),)})
    mixed_attributes = downscale(field(), 4, model=calibrated, noise="ar1", members=1).attrs
    assert mixed_attributes["flexclim_noise_timescale_seconds"] == 9 * 3600
    shares = [mixed_attributes[f"flexclim_noise_{one}_share"] for one in ("constant", "daily")]
    assert shares == [0.2, 0.1]
    silent = make_toy(card={"coverage": (covered,)})
    with pytest.raises(ModelError, match="holds no correlation time: give noise_timescale"):
        downscale(field(), 4, model=silent, noise="ar1", members=1)
    assert flexclim.FlexclimWarning is FlexclimWarning


@pytest.mark.slow
def test_a_worker_s_warning_reaches_the_client(wind, tmp_path):
    distributed = pytest.importorskip("distributed")
    saved = wind.save(tmp_path / "toy")
    far = (field() + 50).assign_attrs(units="m s-1").isel(time=[0])
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        pytest.warns(FlexclimWarning, match="'u10' reaches"),
    ):
        downscale(far, 4, model=str(saved), members=1, steps=1).compute()


def of_members(said):
    return [one for one in said if "depart" in one]


def test_members_of_a_field_without_structure_are_warned_of():
    """White noise in space, which no training field is; real wind is in other tests."""
    noise = field(rough(99, (2, 16, 16)))
    smooth = noise.rolling(lat=4, lon=4, center=True, min_periods=1).mean()
    asked = {"model": "flex-nano", "members": 1}
    (said,) = of_members(warned(downscale(noise, 4, **asked).compute)[1])
    assert "far from what 'flex-nano' was trained on (2018-09-14T0" in said
    assert "members of 'u10' depart 3 times as far from interpolation as there" in said
    assert not of_members(warned(downscale(smooth, 4, **asked).compute)[1])
    # Values whose local scale is next to nothing: large residuals, small departures.
    sloped = noise.copy(data=280 + np.arange(16.0)[:, None] + np.zeros((2, 16, 16)))
    assert not of_members(warned(downscale(sloped, 4, **asked).compute)[1])
    small = noise.isel(lat=slice(8), lon=slice(8))  # too few cells to tell
    assert not of_members(warned(downscale(small, 4, **asked).compute)[1])


def test_members_of_forecasts_that_depart_too_far_are_warned_of(make_forecaster, covered):
    target = Target(name="u10", vector=True, std=2.0)
    part = covered.model_copy(update={"task": "forecast"})
    card = {"variables": ("u10",), "units": {"u10": "m s-1"}, "coverage": (part,)}
    past = field(rough(99, (2, 48, 48)), spacing=0.5)

    def said(scale):
        model = make_forecaster((target,), card=card, noise_scale=scale)
        return of_members(warned(forecast(past, 2, model=model, members=2, steps=2).compute)[1])

    assert said(1.0) == []
    (one,) = said(30.0)
    assert "members of 'u10' depart" in one
    assert "times as far from the time before as there. Check" in one


def test_a_slice_of_a_globe_without_structure_is_warned_of():
    """Only the cells of the slice count, not the margins, of which some are not computed."""
    values = rough(5, (1, 91, 180))
    coords = {"lat": 90 - 2.0 * np.arange(91), "lon": 2.0 * np.arange(180)}
    globe = xr.DataArray(values, coords, ["time", "lat", "lon"], name="x")
    globe = globe.assign_coords(time=pd.date_range("2018-09-14", periods=1))
    lazy = downscale(globe.chunk(), 4, model="flex-nano", members=1, grid="point")
    part = lazy[..., 150:214, 300:364]
    assert len(of_members(warned(part.compute)[1])) == 1
