import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.train import load_recipe

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
trainer: {{steps: 4, batch: 2, warmup: 2, validate_every: 2, validation_patches: 4}}
ensemble: {{steps: 2}}
output: {folder}/run
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a small global wind and a recipe that learns from it."""
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
    ds.to_netcdf(tmp_path / "wind.nc")
    (tmp_path / "tiny.yaml").write_text(RECIPE.format(folder=tmp_path))
    return tmp_path


@pytest.fixture
def recipe(folder):
    return load_recipe(folder / "tiny.yaml")


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
