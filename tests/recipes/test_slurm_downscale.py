"""The Slurm script that downscales, with a stand-in for srun and real dask processes."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from flexclim.downscaling import downscale

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "slurm" / "downscale.sh"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_downscales_on_its_own_cluster(toy_model, tmp_path):
    commands = tmp_path / "bin"
    commands.mkdir()
    own = {"dask": "-m dask", "flexclim": "-m flexclim", "python": ""}
    for name, module in own.items():
        (commands / name).write_text(f'#!/bin/bash\nexec {sys.executable} {module} "$@"\n')
    (commands / "srun").write_text('#!/bin/bash\nshift\nexec "$@"\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    model = toy_model.replace()
    model.save(tmp_path / "toy")
    coarse = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 6, 6)).astype("float32"),
        coords={"realm": [0, 1], "lat": np.arange(50.0, 44, -1), "lon": np.arange(5.0, 11)},
        dims=("realm", "lat", "lon"),
        name="t",
    )
    coarse.to_netcdf(tmp_path / "coarse.nc")
    job = subprocess.Popen(
        ["bash", str(SCRIPT), "coarse.nc", "fine.zarr", "-f", "4", "-n", "2", "-m", "toy"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PATH": f"{commands}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SLURM_JOB_ID": "17",
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_CPUS_PER_TASK": "2",
            "WORKERS": "1",
        },
        start_new_session=True,
    )
    try:
        assert job.wait(500) == 0
    finally:
        with suppress(ProcessLookupError):  # all of it has ended
            os.killpg(job.pid, signal.SIGKILL)
    stored = xr.open_zarr(tmp_path / "fine.zarr")["t"]
    whole = downscale(coarse, 4, model=model, members=2)
    np.testing.assert_allclose(stored.values, whole.values, atol=1e-5)
