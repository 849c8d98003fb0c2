"""Where torch is missing, fields and scores work, and what needs a network says so."""

import subprocess
import sys

import pytest

from flexclim.errors import FlexclimError, suggest_options

# A finder that hides the packages that an installation without torch lacks.
HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torch_ema", "einops"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""
WORKS = """
import numpy as np, xarray as xr, flexclim
from flexclim import train, verify
axes = {"lat": np.arange(50.5, 58.5), "lon": np.arange(8.0)}
fine = xr.DataArray(np.random.default_rng(0).normal(size=(8, 8)), axes, name="t2m").to_dataset()
coarse = fine.flex.coarsen(4)
repr(coarse.flex)
smooth = coarse.flex.interpolate(4)
fine.flex.regrid(2.0)
flexclim.list_models()
train.load_recipe("gfs_wind_x4")
verify.evaluate(smooth, fine, coarse=coarse)
for call in (
    lambda: coarse.flex.downscale(factor=4),
    lambda: coarse.flex.estimate(factor=4),
    lambda: flexclim.load_model("flex-nano"),
    lambda: flexclim.import_minflex("checkpoint.pt"),
    lambda: train.fit(train.load_recipe("gfs_wind_x4")),
):
    try:
        call()
    except flexclim.FlexclimError as error:
        print(error)
"""


@pytest.mark.slow
def test_fields_and_scores_work_and_the_rest_is_explained():
    code = [sys.executable, "-c", HIDDEN + WORKS]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    names = ["downscale", "estimate", "load_model", "import_minflex", "fit"]
    ends = "needs PyTorch, which is not installed. Install it: pip install torch."
    assert done.stdout.splitlines() == [f"{name}() {ends}" for name in names]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "code"), [("recipes", 0), ("demo", 1)])
def test_commands_fail_in_one_line(command, code):
    text = f"{HIDDEN}\nfrom flexclim.cli import main\nmain([{command!r}])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == code
    expected = "flexclim: this command needs PyTorch, which is not installed."
    assert done.stderr.startswith(expected if code else "")
    assert done.stderr.count("\n") == code


def test_other_missing_modules_are_named_as_they_are():
    @suggest_options
    def regrid(field):
        raise ModuleNotFoundError("No module named 'geopandas'", name="geopandas")

    @suggest_options
    def downscale(field):
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    with pytest.raises(ModuleNotFoundError, match="geopandas"):
        regrid(None)
    with pytest.raises(FlexclimError, match=r"^downscale\(\) needs PyTorch"):
        downscale(None)
