"""The Slurm script, with stand-ins for Slurm's commands."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flexclim.train.loop import checkpoint_files

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "slurm" / "train.sh"
SRUN = '#!/bin/bash\nshift\nexec "$@"\n'
TORCHRUN = f'#!/bin/bash\nexec {sys.executable} -m torch.distributed.run "$@"\n'
SCONTROL = """#!/bin/bash
case $1 in
    show) echo localhost ;;
    requeue) echo "$2" >> "$REQUEUED" ;;
esac
"""


@pytest.fixture
def environment(tmp_path):
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in (("srun", SRUN), ("torchrun", TORCHRUN), ("scontrol", SCONTROL)):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    return os.environ | {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "REQUEUED": str(tmp_path / "requeued"),
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_CPUS_PER_TASK": "2",
        "FLEXCLIM_RANKS": "2",
        "FLEXCLIM_PORT": str(20_000 + os.getpid() % 20_000),
    }


@pytest.mark.parametrize(("status", "requeued"), [(0, False), (1, True)])
def test_a_run_that_finished_is_not_queued_again(tmp_path, environment, status, requeued):
    started = tmp_path / "started"
    stand_in = f"#!/bin/bash\ntrap '' USR1\ntouch {started}\nsleep 1\nexit {status}\n"
    (tmp_path / "bin" / "torchrun").write_text(stand_in)
    job = subprocess.Popen(["bash", str(SCRIPT), "recipe"], env=environment)
    end = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(30) == 0
    assert (tmp_path / "requeued").exists() == requeued


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.ddp
def test_a_warned_job_saves_and_goes_back_into_the_queue(folder, environment):
    run = folder / "run"
    recipe = [str(folder / "tiny.yaml"), f"output={run}", "trainer.save_every=1"]
    with (folder / "log.txt").open("w") as log:
        job = subprocess.Popen(
            ["bash", str(SCRIPT), *recipe, "trainer.steps=100000", "trainer.score_every=100000"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + 200
            while not list(run.glob("checkpoint-*.sha256")):
                assert job.poll() is None, (folder / "log.txt").read_text()
                assert time.monotonic() < end
                time.sleep(0.05)
            job.send_signal(signal.SIGUSR1)  # what --signal=B:USR1 does: the script alone gets it
            assert job.wait(100) == 0
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
    assert (folder / "requeued").read_text() == "17\n"
    stopped = checkpoint_files.step_of(checkpoint_files.newest(run))
    assert f"stopped at step {stopped}" in (folder / "log.txt").read_text()
