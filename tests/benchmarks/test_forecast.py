"""Scores by lead time: fields, rivals and the table."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import flexclim
from benchmarks.forecast import cases
from benchmarks.forecast.__main__ import measured, off, table
from benchmarks.forecast.cases import CASES, _wettest, gfs, turbulence
from benchmarks.forecast.rivals import PERSISTENCE, RIVALS
from benchmarks.skill.tables import below
from flexclim.models.channels import Target

FLOW = next(case for case in CASES if case.name == "turbulence-unseen")
RAIN = next(case for case in CASES if case.name == "mrms")


@pytest.fixture
def fields():
    """Past and truth of smooth fields that drift, 6 h apart."""
    random = np.random.default_rng(0)
    start = random.normal(size=(32, 32)).cumsum(0).cumsum(1)
    values = np.stack([start + 0.5 * step for step in range(5)])[:, None].repeat(1, 1)[:, 0]
    times = np.datetime64("2000-01-01T00", "ns") + 6 * np.arange(5) * np.timedelta64(1, "h")
    field = xr.DataArray(values, {"time": times}, ["time", "y", "x"])
    flows = field.to_dataset(name="vorticity").assign_coords(y=-np.arange(32.0), x=np.arange(32.0))
    return flows.isel(time=slice(2)), flows.isel(time=slice(2, None))


def test_scores_of_persistence_are_its_distance(fields):
    past, truth = fields
    made = RIVALS[PERSISTENCE](past, truth, None, None, FLOW)
    found = measured(made, truth)
    np.testing.assert_allclose(found.crps.sel(variable="vorticity"), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(found.square[0], [0.25, 1.0, 2.25])
    assert found.variance.isnull().all()
    assert off(found.isel(lead=0)) == pytest.approx(0, abs=1e-9)  # a drift adds no wave


def test_extrapolation_moves_what_moved():
    pytest.importorskip("pysteps")
    y, x = np.mgrid[:96, :96]
    places = (20, 20), (60, 45)
    rain = [
        sum(5 * np.exp(-((y - r) ** 2 + (x - c - 3 * n) ** 2) / 40) for r, c in places)
        for n in range(4)
    ]
    times = np.datetime64("2016-09-20", "ns") + np.arange(4) * np.timedelta64(1, "h")
    field = xr.Dataset({"qpe_01h": (("time", "y", "x"), rain)}, {"time": times})
    past, truth = field.isel(time=slice(3)), field.isel(time=slice(3, None))
    error = {
        name: float(abs(RIVALS[name](past, truth, None, None, RAIN) - truth).qpe_01h.mean())
        for name in (PERSISTENCE, "extrapolation")
    }
    assert error["extrapolation"] < 0.3 * error[PERSISTENCE]


@pytest.mark.slow
def test_the_mean_network_is_one_field_that_goes_on_from_itself(fields, make_forecaster):
    past, truth = fields
    model = make_forecaster((Target(name="vorticity", std=20.0),), leads=(6.0,))
    case = replace(FLOW, variables=("vorticity",))
    made = RIVALS["mean network"](past, truth, model, None, case)
    assert made.vorticity.dims == ("time", "y", "x")
    np.testing.assert_array_equal(made.time, truth.time)
    first = flexclim.forecast(past, 1, model=model.replace(method="ddim"), steps=1)
    np.testing.assert_allclose(made.vorticity[0], first.vorticity.mean("realization")[0], rtol=1e-5)
    longer = xr.concat([past, made.isel(time=[0])], "time")
    again = RIVALS["mean network"](longer, truth.isel(time=[1]), model, None, case)
    np.testing.assert_allclose(again.vorticity[-1], made.vorticity[1], rtol=1e-4, atol=1e-4)


def test_a_table_has_a_row_for_each_method_and_lead(fields):
    past, truth = fields
    base = measured(RIVALS[PERSISTENCE](past, truth, None, None, FLOW), truth)
    noise = np.random.default_rng(1).normal(size=(4, *truth.vorticity.shape))
    members = truth + xr.DataArray(0.1 * noise, dims=["realization", "time", "y", "x"])
    own = measured(members, truth)
    assert float(own.variance.mean()) == pytest.approx(0.01, rel=0.1)
    found = {PERSISTENCE: base, "toy": own}
    toy = type("Named", (), {"name": "toy"})
    shown = table(FLOW, toy, found)
    assert [row[0] for row in shown.rows][:2] == ["1.5 h, persistence", "1.5 h, toy"]
    assert shown.rows[1][3] == below(float(own.crps[0, 0]), float(base.crps[0, 0]))
    louder = own.assign(forecast=own.forecast * 10**0.3)
    louder["forecast"].attrs = own.forecast.attrs
    assert off(louder.isel(lead=-1)) == pytest.approx(3, abs=0.2)
    last = table(FLOW, toy, {PERSISTENCE: base, "toy": louder}).rows[-1]
    assert float(last[-1]) == pytest.approx(3, abs=0.2)


def test_the_wettest_box_has_no_gap(monkeypatch):
    monkeypatch.setattr(cases, "BOX", 2)
    rain = np.zeros((1, 4, 5))
    rain[0, 0, 0], rain[0, 3, 3] = 5, 2
    field = xr.Dataset({"qpe_01h": (("time", "latitude", "longitude"), rain)})
    gaps = np.zeros((4, 5), bool)
    assert _wettest(field, gaps) == {"latitude": slice(0, 2), "longitude": slice(0, 2)}
    gaps[1, 1] = True
    assert _wettest(field, gaps) == {"latitude": slice(2, 4), "longitude": slice(2, 4)}


def test_turbulence_is_simulated_again_at_a_reynolds_number_of_its_own(monkeypatch):
    asked = []

    def simulate(settings):
        asked.append(settings)
        return flexclim.train.simulate(settings.model_copy(update={"size": 16, "first": 0.1}))

    monkeypatch.setattr(cases, "simulate", simulate)
    flows = list(turbulence(None, FLOW, 2, 1))
    assert len(flows) == cases.FLOWS
    assert all(flow.sizes["time"] == 3 for flow in flows)
    assert float(flows[0].reynolds) == pytest.approx(1200)
    trained = flexclim.train.load_recipe("flex_turbulence").data.sources
    assert asked[0].seed not in [source.turbulence.seed for source in trained]
    known = [source.turbulence.viscosity for source in trained]
    assert asked[0].viscosity not in known
    seen = next(case for case in CASES if case.name == "turbulence")
    assert any(1 / seen.reynolds == pytest.approx(one) for one in known)


def test_starts_have_all_snapshots(data_dir):
    starts = list(gfs(data_dir, next(c for c in CASES if c.name == "gfs-wind"), 2, 4))
    assert len(starts) == 16
    later = list(gfs(data_dir, next(c for c in CASES if c.name == "gfs-wind-2026"), 2, 4))
    assert all(start.time.dt.year.item(0) == 2026 for start in later)
    for start in (*starts, *later):
        assert (np.diff(start.time.values) == np.timedelta64(6, "h")).all()
