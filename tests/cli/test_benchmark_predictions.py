"""A recipe trains on the layout of the CORDEX ML-Bench, and its predictions pass a checker."""

import ml_bench_store
import numpy as np
import pytest
import xarray as xr
from command_line import run

from flexclim.errors import FlexclimError, StoreError
from flexclim.models.card import ModelCard
from flexclim.stores.ml_bench import as_predictions, experiment_of, predictor_files
from flexclim.train import load_recipe
from flexclim.train.data.sources import open_sources

SMALL = (
    "network={tile: [32, 32], model_channels: [32], res_blocks: [1], depth: 1, num_heads: 2, "
    "unshuffle: 4}",
    "trainer={steps: 2, batch: 2, validation_patches: 2, score_members: 2}",
    "ensemble.steps=0",
    'data.sources.0.train=["1961-01-01", "1961-01-12"]',
    'data.sources.0.validate=["1961-01-17", "1961-01-20"]',
)


@pytest.fixture(scope="module")
def domain(tmp_path_factory):
    return ml_bench_store.write(tmp_path_factory.mktemp("bench"))


def test_the_recipe_reads_the_layout(domain):
    recipe = load_recipe("cordex_ml_bench", [f"data.folder={domain}", *SMALL])
    (source,) = open_sources(recipe.data, "train")
    assert len(source.inputs) == 15
    assert source.domain.shape == (4, 4)  # 32 x 32 cells; 16 x 16 of the benchmark's 128 x 128
    assert source.stamps.size == 12


@pytest.mark.slow
def test_a_trained_model_writes_predictions_that_pass(domain, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("flexclim.train.data.normalisation.BATCHES", 2)
    monkeypatch.setattr("flexclim.train.data.coverage.PATCHES", 4)
    monkeypatch.setattr("flexclim.train.loop.finished_model.HALO_PATCHES", 4)
    given = [f"data.folder={domain}", f"output={tmp_path / 'run'}", *SMALL]
    assert run("train", "cordex_ml_bench", *given) == 0
    submission = tmp_path / "mine"
    command = ["downscale", domain, submission, "--layout", "cordex-ml-bench"]
    command += ["-m", tmp_path / "run" / "model", "--steps", 1]
    capsys.readouterr()
    assert run(*command) == 0
    found = ml_bench_store.check(submission, domain)
    assert capsys.readouterr().out.split() == [str(one) for one in found]
    # Finished files are kept by the next call.
    found[0].unlink()
    before = found[1].stat().st_mtime_ns
    assert run(*command) == 0
    assert capsys.readouterr().out.split() == [str(found[0])]
    assert found[1].stat().st_mtime_ns == before


def test_one_file_may_be_named(domain):
    (path,) = (domain / "test" / "historical").rglob("*.nc")
    (found,) = predictor_files(path)
    assert (found.domain, found.period, found.condition) == ("NZ", "historical", "perfect")
    assert found.folder == domain


def card(path):
    return ModelCard(name="toy", recipe={"data": {"sources": [{"path": path}]}})


def test_the_experiment_is_that_of_the_training_files():
    assert experiment_of(card("train/ESD_pseudo-reality/target/a.nc")) == "ESD_pseudo_reality"
    assert experiment_of(card("train/Emulator_hist_future/target/a.nc")) == "Emulator_hist_future"
    with pytest.raises(FlexclimError, match=r"has none of the experiments.*ESD_pseudo_reality or"):
        experiment_of(card("wind.nc"))


def ensemble(units="K", members=10):
    dims = "realization", "time", "lat", "lon"
    values = np.ones((members, 1, 2, 2))
    return xr.Dataset({"pr": (dims, values), "tasmax": (dims, values, {"units": units})})


def test_predictions_that_the_benchmark_would_refuse_are_errors():
    template = ensemble()
    assert as_predictions(ensemble(), template).sizes["member"] == 10
    with pytest.raises(StoreError, match="makes no tasmax"):
        as_predictions(ensemble().drop_vars("tasmax"), template)
    with pytest.raises(StoreError, match="10 members, not 8"):
        as_predictions(ensemble(members=8), template)
    with pytest.raises(StoreError, match="in 'degC', and in 'K' in the template"):
        as_predictions(ensemble("degC"), template)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--layout", "cordex"], 2, "cordex-ml-bench"),
        (["--layout", "cordex-ml-bench", "-f", "4"], 2, "--factor does not go with --layout"),
        (["--layout", "cordex-ml-bench"], 1, "needs a model"),
        (["--layout", "cordex-ml-bench", "-m", "flex-nano", "-n", "8"], 1, "10 members, not 8"),
        (["--layout", "cordex-ml-bench", "-m", "flex-nano"], 1, "none of the experiments"),
    ],
)
def test_bad_arguments_are_one_line(domain, tmp_path, capsys, options, code, message):
    assert run("downscale", domain, tmp_path / "mine", *options) == code
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_folder_without_predictors_is_an_error(tmp_path):
    with pytest.raises(FlexclimError, match=r"holds no predictors in the layout.*NZ_domain/test"):
        predictor_files(tmp_path)
