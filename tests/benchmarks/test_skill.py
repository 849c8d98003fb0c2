from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.skill import __main__ as command
from benchmarks.skill import (
    cases,
    overview,
    records,
    rivals,
    runs,
    sampling,
    store,
    summary,
    tables,
)
from benchmarks.skill.analogues import Library
from benchmarks.skill.borders import moved_tiles
from benchmarks.skill.cases import Case
from benchmarks.skill.fields import Split
from benchmarks.skill.regression import Regression, blocks, from_blocks
from benchmarks.skill.rivals import BICUBIC, KNOWN, LINEAR, SAME, Study
from benchmarks.skill.runs import Bench, Row
from flexclim import verify
from flexclim.grids.domain import Domain
from flexclim.grids.operators import block_mean
from flexclim.models.channels import Target, Variable
from flexclim.planning.tiles import plan_tiles


def smooth(seed, times=1, shape=(32, 48)):
    """Return fields with power at all scales."""
    noise = np.random.default_rng(seed).normal(size=(times, *shape))
    rows, columns = (
        np.fft.fftfreq(n)[:, None] if i == 0 else np.fft.rfftfreq(n) for i, n in enumerate(shape)
    )
    size = np.hypot(rows, columns)
    size[0, 0] = 1
    values = np.fft.irfft2(np.fft.rfft2(noise) * size**-1.5, shape)
    return xr.Dataset(
        {"u10": (("time", "lat", "lon"), values.astype("float32"), {"units": "m s-1"})},
        coords={
            "time": pd.date_range("2018-09-14", periods=times, freq="6h"),
            "lat": 50.0 - np.arange(shape[0]),
            "lon": 5.0 + np.arange(shape[1]),
        },
    )


def planes(seed, times, factor=4, shape=(32, 48)):
    """Return pairs of coarse and fine planes."""
    from flexclim.grids.domain import Domain

    fine = smooth(seed, times, shape)["u10"].values.astype(float)
    return [(block_mean(one, Domain(shape=shape), factor), one) for one in fine]


def load(folder):
    whole = smooth(1, 5)
    return Split([whole.isel(time=[i]) for i in (0, 1)], [smooth(2, 4)], fixed=True)


def make_case(**more):
    known = {"name": "gfs-wind-x4", "title": "Made", "file": "made.nc"}
    known |= {"variables": ("u10",), "factor": 4, "load": load, "steps": {1: None, 2: 1}}
    return Case(**known | more)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made.nc").write_bytes(b"made")
    return tmp_path


@pytest.fixture
def bench(folder):
    def make(**more):
        return Bench(folder, store.Store(folder / "kept"), say=lambda line: None, **more)

    return make


@pytest.fixture
def few(monkeypatch):
    """Leave two rivals, which is enough for what models do beside them."""
    monkeypatch.setattr(runs, "RIVALS", {n: rivals.RIVALS[n] for n in (BICUBIC, KNOWN)})


# Rivals


def test_regression_is_ordinary_least_squares():
    pairs = planes(0, 3)
    seen, wanted = [], []
    for coarse, fine in pairs:
        framed = np.pad(coarse + 1000, 2, mode="edge")
        for row, column in np.ndindex(coarse.shape):
            seen.append([1.0, *framed[row : row + 5, column : column + 5].ravel()])
            wanted.append(fine[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].ravel())
    weights = np.linalg.lstsq(np.array(seen), np.array(wanted), rcond=None)[0]
    first = np.array(seen)[: pairs[0][0].size] @ weights
    ours = Regression.fit([(coarse + 1000, fine) for coarse, fine in pairs], 4)
    np.testing.assert_allclose(
        blocks(ours.predict(pairs[0][0] + 1000), 4), first, atol=1e-6 * np.ptp(first)
    )


def test_regression_goes_around_the_globe():
    pairs = planes(0, 4)
    around = Regression.fit(pairs, 4, wrap=True)
    rolled = around.predict(np.roll(pairs[0][0], 3, axis=1))
    np.testing.assert_allclose(rolled, np.roll(around.predict(pairs[0][0]), 12, axis=1))


def test_blocks_and_back():
    fine = np.arange(6 * 8.0).reshape(6, 8)
    assert blocks(fine, 2)[1].tolist() == [2.0, 3.0, 10.0, 11.0]
    np.testing.assert_array_equal(from_blocks(blocks(fine, 2), (3, 4), 2), fine)


def test_a_field_of_the_library_is_its_own_best_analogue():
    pairs = planes(0, 2)
    library = Library.stock(pairs, Regression.fit(pairs, 4))
    found = library.predict(pairs[1][0], 2)
    np.testing.assert_allclose(found[0], pairs[1][1], atol=1e-5)
    assert abs(found[1] - pairs[1][1]).max() > 0.01


def test_residuals_of_the_same_point_of_the_same_field_give_it_back(folder):
    case = make_case(load=lambda _: Split([smooth(1)], [smooth(1)], fixed=True))
    study = Study(case, folder)
    members = rivals.make(study, SAME, 0, "u10")
    assert members.shape == (8, 32, 48)
    np.testing.assert_allclose(
        members, np.broadcast_to(study.truth(0)["u10"], (8, 32, 48)), atol=1e-5
    )


def test_residuals_of_another_grid_are_cut_to_size(folder):
    case = make_case(load=lambda _: Split([smooth(1)], [smooth(2, 3, (48, 64))]))
    study = Study(case, folder)
    assert rivals.make(study, SAME, 0, "u10") is None
    base = rivals.make(study, BICUBIC, 0, "u10")
    added = rivals.make(study, "bicubic + real residuals, anywhere", 0, "u10") - base
    pool = np.stack(study.residuals["u10"])
    assert added.shape == (8, 32, 48)
    cut = [pool[:, r : r + 32, c : c + 48] for r in range(0, 17, 4) for c in range(0, 17, 4)]
    for member in added:
        assert min(abs(part - member).max(axis=(1, 2)).min() for part in cut) < 1e-5


def test_rain_is_never_negative(folder):
    study = Study(make_case(wet=0.1), folder)
    for name in rivals.RIVALS:
        assert rivals.make(study, name, 0, "u10").min() >= 0


# Records


def score(forecast, truth, **more):
    coarse = block_coarse(truth)
    options = {"factor": 4, "spectrum": "zonal", "extreme": 0.5, "wet": None} | more
    return records.score(forecast, truth, coarse, **options)


def block_coarse(truth):
    import flexclim

    return flexclim.coarsen(truth, 4, grid="cell")


def test_scores_of_several_fields_are_those_of_verify():
    truth = smooth(1, 3)["u10"]
    noise = np.random.default_rng(0).normal(size=(8, *truth.shape))
    dims = ("realization", *truth.dims)
    forecast = xr.DataArray(truth.values + 0.3 * noise, dims=dims, coords=truth.coords)
    forecast = forecast.assign_attrs(truth.attrs)
    each = [score(forecast.isel(time=[i]), truth.isel(time=[i])) for i in range(3)]
    found = records.scores(each)
    assert found["crps"] == pytest.approx(float(verify.crps(forecast, truth)))
    assert found["rmse"] == pytest.approx(float(verify.rmse(forecast, truth)))
    assert found["spread_skill"] == pytest.approx(float(verify.spread_skill(forecast, truth)))
    np.testing.assert_allclose(records.ranks(each), verify.rank_histogram(forecast, truth))


@pytest.mark.parametrize("kind", ["zonal", "radial"])
def test_half_the_power_is_three_decibels_off(kind):
    truth = smooth(1, shape=(128, 32))["u10"]  # more rows than there are degrees
    forecast = truth / 2**0.5
    truth, forecast = (f.assign_coords(lat=50 - 0.01 * np.arange(128)) for f in (truth, forecast))
    found = records.scores([score(forecast, truth, spectrum=kind)])
    assert found["decibels"] == pytest.approx(3.01, abs=0.01)
    assert found["bands"] == pytest.approx(3.01, abs=0.01)


def test_the_band_is_that_of_2_to_8_grid_lengths():
    truth = smooth(1, shape=(32, 64))["u10"]
    wave = float(truth.std()) * np.cos(
        2 * np.pi * np.arange(64) / 16
    )  # longer than 8: does not count
    assert records.scores([score(truth + wave, truth)])["decibels"] < 0.5
    wave = float(truth.std()) * np.cos(2 * np.pi * np.arange(64) / 4)
    assert records.scores([score(truth + wave, truth)])["decibels"] > 2


def test_tails_wet_area_and_block_means():
    truth = abs(smooth(1)["u10"])
    extreme = float(np.quantile(truth, 0.99))
    found = records.scores([score(truth, truth, extreme=extreme, wet=0.1)])
    assert (found["tail"], found["wet"]) == (1.0, 1.0)
    assert found["block"] == pytest.approx(0, abs=1e-6)
    off = records.scores([score(truth + 0.5 * truth.std(), truth, extreme=extreme, wet=0.1)])
    assert off["block"] == pytest.approx(0.5, rel=0.1)
    assert off["tail"] > 1
    assert off["wet"] > 1


# Results that are kept


@pytest.mark.slow
def test_second_run_computes_nothing_and_another_model_only_its_own(bench, make_toy, few):
    model, case = make_toy(), make_case()
    first = bench()
    result = first.run(case, [model])
    again = bench()
    same = again.run(case, [model])
    assert first.kept.computed == again.kept.reused
    assert again.kept.computed == 0
    for row, known in zip(same.rows, result.rows, strict=True):
        assert row.scores() == pytest.approx(known.scores(), nan_ok=True)
    third = bench()
    other = third.run(case, [model.replace(noise_scale=0.5)])
    assert third.kept.computed == 2 + 1  # fields at 1 and 2 steps
    name = model.name
    assert (
        other.model_row(name, 2).scores()["spread_skill"]
        < (result.model_row(name, 2).scores()["spread_skill"])
    )
    assert other.row(BICUBIC).scores()["rmse"] == result.row(BICUBIC).scores()["rmse"]


def test_another_file_or_other_code_is_computed_again(bench, folder):
    def computed(**code):
        one = bench()
        one.code = one.code | code
        one._get(make_case(), "RIVALS", {"rival": BICUBIC}, lambda: 1)
        return one.kept.computed

    assert [computed(), computed(), computed(MODELS="other")] == [1, 0, 0]
    assert computed(RIVALS="other") == 1
    (folder / "made.nc").write_bytes(b"other")
    store.file_hash.cache_clear()
    assert computed() == 1


def test_comments_and_docstrings_are_no_code(tmp_path):
    path = tmp_path / "one.py"
    hashes = []
    for text in ('"""A."""\nx = 1\n', '"""B."""\nx = 1  # one\n', '"""A."""\nx = 2\n'):
        path.write_text(text)
        hashes.append(store.code_hash([path]))
    assert hashes[0] == hashes[1] != hashes[2]


def test_files_of_code_are_there():
    assert all(path.is_file() for path in (*store.RIVALS, *store.MODELS))
    packages = {path.parent.name for path in store.MODELS}
    assert packages == {"skill", "grids", "core", "metrics", "nn", "planning", "sampling"}


# Tables


@pytest.mark.slow
def test_fewer_fields_are_compared_with_bicubic_on_the_same_ones(bench, toy_model, few):
    result = bench().run(make_case(), [toy_model])
    row, base = result.model_row("toy", 2), result.row(BICUBIC)
    assert (row.indices, base.indices) == ((0,), (0, 1))
    assert base.like(row).scores()["rmse"] == pytest.approx(base.records["u10"][0]["square"] ** 0.5)
    table = tables.score_table(result)
    cell = {line[0]: line for line in table.rows}["toy, 2 steps"][2]
    assert cell == tables.below(row.scores()["rmse"], base.like(row).scores()["rmse"])
    assert "toy, 2 steps: 1" in table.note


def test_interval_holds_the_gain_and_needs_six_fields():
    base, mine = [1.0, 1.2, 0.9, 1.1, 1.3, 1.0], [0.6, 0.8, 0.7, 0.7, 0.8, 0.5]

    def row(values):
        indices = tuple(range(len(values)))
        return Row("made", indices, {"u10": [{"crps": value} for value in values]})

    low, high = tables.bounds(row(mine), row(base))
    assert low < 1 - np.mean(mine) / np.mean(base) < high < 0.6
    assert tables.interval(row(mine[:5]), row(base[:5])) == ""


@pytest.mark.slow
def test_a_gain_is_measured_on_the_same_fields(bench, toy_model, few):
    """Scores that were not computed have no figure."""
    result = bench().run(make_case(), [toy_model])
    row = result.model_row("toy", 2)
    own, base = row.scores(), result.row(BICUBIC).like(row).scores()
    value, interval = summary.gain(2, "crps", BICUBIC)(result, "toy")
    assert value == pytest.approx(1 - own["crps"] / base["crps"])
    assert interval == ""
    value, score = summary.deviation("spread_skill", 1.0)(result, "toy")
    assert value == pytest.approx(abs(own["spread_skill"] - 1))
    assert score == f"{own['spread_skill']:.3f}"
    assert np.isnan(summary.gain(4, "crps", BICUBIC)(result, "toy")[0])


def test_figures_are_of_known_cases():
    names = {case.name for case in cases.CASES}
    assert {figure.case for figure in summary.FIGURES} <= names
    assert {line.case for line in overview.LINES} <= names
    assert len(names) == len(cases.CASES)


@pytest.mark.parametrize(
    "domain",
    [
        Domain(shape=(208, 208)),
        Domain(shape=(120, 360), wrap=True),
        Domain(shape=(181, 360), wrap=True, kind="point", north="pole_row", south="pole_row"),
    ],
)
@pytest.mark.parametrize("overlap", [8, 16])
def test_borders_elsewhere_are_elsewhere(domain, overlap):
    """Along both axes, and what the windows hold still adds up."""
    plan, moved = (plan(domain, (64, 64), 4, overlap) for plan in (plan_tiles, moved_tiles))
    for axis, other in ((plan.rows, moved.rows), (plan.columns, moved.columns)):
        assert np.abs(np.subtract.outer(axis.borders, other.borders)).min() >= 6
        assert all(start % 4 == 0 for start in other.starts)
        total = np.zeros(axis.size)
        for start, weights in zip(other.starts, other.weights(), strict=True):
            places = start + np.arange(64)
            inside = (places >= 0) & (places < axis.size) | axis.wrap
            np.add.at(total, places[inside] % axis.size, weights[inside])
        np.testing.assert_allclose(total, 1)


def test_a_model_is_scored_on_what_it_makes(make_toy):
    names = "u10", "v10"
    inputs = tuple(Variable(name=name, vector=True) for name in names)
    targets = tuple(Target(name=name, base=name, vector=True) for name in names)
    wind = make_toy(channels=2, read=2, inputs=inputs, targets=targets, factors=(4,))
    served = [case.name for case in cases.CASES if sampling.made(wind, case)]
    assert served == [
        *("gfs-wind-x4", "gfs-wind-2026-x4", "gfs-wind-2014-x4"),
        *("gfs-quarter-x4", "gfs-japan-x4", "hrrr-wind-x4"),
    ]


@pytest.mark.slow
def test_the_command_prints_tables_and_writes_them(folder, make_toy, monkeypatch, capsys):
    made = make_toy().save(folder / "model")
    monkeypatch.setenv("FLEXCLIM_DATA", str(folder))
    monkeypatch.setattr(command, "CASES", [make_case(load=wide)])
    monkeypatch.setattr(
        "sys.argv",
        ["skill", "--model", str(made), "--cache", str(folder / "kept"), "--steps", "1", "2",
         "--markdown", str(folder / "scores.md")],
    )  # fmt: skip
    command.main()
    printed = capsys.readouterr().out
    text = (folder / "scores.md").read_text()
    for wanted in ("Summary of toy", LINEAR, "toy, 2 steps", "Ranks of the truth", "Seams"):
        assert wanted in printed
        assert wanted in text
    assert list(Path(folder / "kept").glob("*.json"))


def wide(folder):
    """Return fields that several tiles of 32 x 32 cover, so that there are borders."""
    shape = (32, 96)
    fields = smooth(3, 2, shape)
    return Split([fields.isel(time=[i]) for i in range(2)], [smooth(4, 2, shape)], fixed=True)


def test_models_of_one_name_are_named_by_their_paths(make_toy, tmp_path):
    folders = [str(make_toy().save(tmp_path / name)) for name in ("before", "after")]
    names = [model.name for model in command.load(folders)]
    assert [name.rpartition("-")[2] for name in names] == ["before", "after"]
    assert [model.name for model in command.load(folders[:1])] == ["toy"]
