import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from flexclim import load_model
from flexclim.train import fit, load_recipe

ROOT = Path(__file__).parents[2]
RECIPE = """
name: tiny
data:
  folder: {folder}
  factors: {{2: 1, 4: 3}}
  sources:
    - path: wind.nc
      variables: [u10, v10]
      train: ["2018-10-01", "2018-10-02"]
      validate: ["2018-10-03", "2018-10-03"]
      signed: true
network: {{tile: [32, 32], model_channels: [32, 32], res_blocks: [1, 1], depth: 3, num_heads: 2}}
trainer:
  {{steps: 4, batch: 2, warmup: 2, validate_every: 2, validation_patches: 2, score_members: 2}}
ensemble: {{steps: 2}}
output: {folder}/run
"""


def fewer_patches(patch):
    """Measure normalisation, coverage and halo on fewer patches: these take longest."""
    patch.setattr("flexclim.train.data.normalisation.BATCHES", 2)
    patch.setattr("flexclim.train.data.coverage.PATCHES", 8)
    patch.setattr("flexclim.train.loop.finished_model.HALO_PATCHES", 4)
    # Nor draw pictures: tests/train/loop/test_pictures.py does.
    patch.setattr("flexclim.train.loop.run.draw_samples", lambda *_: {})
    patch.setattr("flexclim.train.loop.run.draw_curves", lambda *_: {})


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Take fewer patches, except where runs in processes of their own must do the same."""
    if request.node.get_closest_marker("ddp") is None:
        fewer_patches(monkeypatch)


@pytest.fixture(scope="session")
def wind_file(tmp_path_factory):
    """Return the file of a small global wind."""
    random = np.random.default_rng(0)
    dims = ("time", "latitude", "longitude")
    values = random.normal(size=(2, 12, 65, 128)).cumsum(-1).cumsum(-2).astype("float32")
    ds = xr.Dataset(
        {name: (dims, field) for name, field in zip(("u10", "v10"), values, strict=True)},
        coords={
            "time": pd.date_range("2018-10-01", periods=12, freq="6h"),
            "latitude": np.linspace(90, -90, 65),
            "longitude": np.arange(128) * 360 / 128,
        },
    )
    path = tmp_path_factory.mktemp("wind") / "wind.nc"
    ds.to_netcdf(path)
    return path


def prepare(folder, wind_file):
    shutil.copy(wind_file, folder / "wind.nc")
    (folder / "tiny.yaml").write_text(RECIPE.format(folder=folder))
    return folder


@pytest.fixture
def folder(tmp_path, wind_file):
    """Return a folder with a small global wind and a recipe that learns from it."""
    return prepare(tmp_path, wind_file)


@pytest.fixture(scope="session")
def read():
    """Return a function that reads the small recipe of a folder with overrides."""
    return lambda folder, *overrides: load_recipe(folder / "tiny.yaml", overrides)


@pytest.fixture(scope="session")
def tiny(read):
    """Return a function that reads the small recipe for a run in a folder of its own."""
    return lambda folder, output, *overrides: read(folder, f"output={folder / output}", *overrides)


@pytest.fixture
def recipe(folder, read):
    return read(folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, wind_file, read):
    """Return the run folder of the small recipe, trained once for all tests: look, do not touch."""
    folder = prepare(tmp_path_factory.mktemp("finished"), wind_file)
    with pytest.MonkeyPatch.context() as patch:
        fewer_patches(patch)
        fit(read(folder))
    return folder / "run"


@pytest.fixture
def finished_copy(finished, folder):
    """Return a copy of the finished run, as the run of ``folder``'s recipe: resume it at will."""
    return Path(shutil.copytree(finished, folder / "run"))


@pytest.fixture(scope="session")
def weights():
    """Return a function that reads the weights of a model folder."""
    return lambda folder: load_model(folder).network.state_dict()


@pytest.fixture(scope="session")
def same():
    """Return a function that compares weights bit for bit."""
    return lambda first, second: all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def one_level():
    """Return the sizes of the smallest network that reads three channels and makes two."""
    return {
        "channels": 2,
        "conditions": {"superres": 3},
        "model_channels": (32,),
        "res_blocks": (1,),
        "depth": 1,
        "num_heads": 2,
        "unshuffle": 1,
    }


@pytest.fixture
def launch(folder):
    """Return a function that starts ``flexclim train`` on the small recipe in a process of its own.

    With ``ranks``, under torchrun. All compute with one thread, so that runs compare bit for bit.
    """
    started = []

    def start(output, *overrides, ranks=None, options=()):
        command = [sys.executable, "-m"]
        if ranks is not None:
            command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
            command += [*options, "-m"]
        command += ["flexclim", "train", str(folder / "tiny.yaml"), f"output={folder / output}"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # docs/how-to/run-on-a-cluster.md
        with (folder / f"{output}.txt").open("a") as log:
            process = subprocess.Popen(
                [*command, *overrides],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
