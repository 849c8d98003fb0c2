"""Training's view of a window and sampling's view of it are the same numbers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.grids.operators import ALL
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.sampling import downscaling_graph as members
from flexclim.sampling import planes as ensemble
from flexclim.sampling.network_inputs import physical
from flexclim.sampling.statics import static_fields
from flexclim.train import load_recipe
from flexclim.train.data.normalisation import fit_normalisation, model_settings
from flexclim.train.data.patches import Patches, open_sources

RECIPE = """
name: views
data:
  folder: {folder}
  factors: {{4: 1}}
  points: 0
  scaling: {scaling}
  inputs: [u10, v10, {{name: tp, transform: log1p, unit: 0.1}}]
  targets: [u10, {{name: tp, transform: log1p, unit: 0.1}}]
  statics: [orog, latitude, day_of_year, solar_time]
  static_file: static.nc
  sources:
    - {{path: fine.nc, train: ["2018-10-01", "2018-10-02"], validate: ["2018-10-03", "2018-10-03"]}}
network: {{tile: [32, 32], model_channels: [32, 32], res_blocks: [1, 1], depth: 3, num_heads: 2}}
output: {folder}/run
"""


@pytest.fixture
def fine():
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 12, 96, 192)).cumsum(-1).cumsum(-2).astype("float32")
    values[2] = np.maximum(values[2], 0)
    dims = ("time", "lat", "lon")
    return xr.Dataset(
        {name: (dims, v) for name, v in zip(("u10", "v10", "tp"), values, strict=True)},
        coords={
            "time": pd.date_range("2018-10-01", periods=12, freq="6h"),
            "lat": np.arange(96) * 0.5 + 5.25,
            "lon": np.arange(192) * 0.5 - 20.25,
        },
    )


@pytest.fixture
def static():
    lat, lon = np.arange(0, 61, 0.25), np.arange(-30, 90, 0.25)
    values = np.random.default_rng(1).normal(size=(lat.size, lon.size))
    return xr.Dataset({"orog": (("lat", "lon"), values)}, {"lat": lat, "lon": lon})


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_a_patch_is_what_sampling_sees_there(
    fine, static, tmp_path, make_toy, monkeypatch, scaling
):
    fine.to_netcdf(tmp_path / "fine.nc")
    static.to_netcdf(tmp_path / "static.nc")
    (tmp_path / "r.yaml").write_text(RECIPE.format(folder=tmp_path, scaling=scaling))
    recipe = load_recipe(tmp_path / "r.yaml", ["data.augment=[]"])
    sources = open_sources(recipe.data, "train")
    settings = model_settings(recipe, fit_normalisation(sources, recipe))
    assert settings.inputs[0].vector
    patches = Patches(sources, recipe.data, settings, 0)

    # Sampling, up to the network.
    changes = {name: value for name, value in settings if name != "network"}
    model = make_toy(2, 3 + 6, **changes)
    monkeypatch.setattr(ensemble, "sampler_of", lambda _: SimpleNamespace(encode=lambda *_: None))
    coarse = flexclim.coarsen(fine, 4)
    inputs, targets = ["u10", "v10", "tp"], ["u10", "tp"]
    plan = plan_downscaling(resolve(coarse), inputs, targets, model, DownscalingOptions(factor=4))
    predictors = static_fields(static, flexclim.find_grid(fine), settings.statics)

    compared = 0
    for number in range(60):
        window = patches.draw(0, number).window
        row = np.argmin(abs(predictors["latitude"][:, 0] - window.predictors["latitude"][0, 0]))
        column = np.argmin(abs(predictors["solar_time"][0] - window.predictors["solar_time"][0, 0]))
        if row % 4 or column % 4:
            continue  # its blocks are others than those of the whole field
        compared += 1
        patch = patches.patch(0, number)
        seen, residual = patch["inputs"], patch["residual"]
        place = (slice(None), slice(row, row + 32), slice(column, column + 32))
        planes = [coarse[name].sel(time=window.time).values for name in inputs]
        time = members.Place(when=window.time)
        prepared = members.prepare_planes(planes, predictors, plan, time)
        within = np.abs(prepared.inputs[place]) < 10  # training clips what lies beyond
        assert within.mean() > 0.99
        np.testing.assert_allclose(
            np.where(within, seen, 0), np.where(within, prepared.inputs[place], 0), atol=2e-3
        )
        # What training asks the network for makes the truth when sampling adds it.
        scaled = plan.seen(prepared.given)(ALL)
        answer = np.zeros(scaled.base.shape)
        answer[place] = residual
        made = physical(scaled, answer, settings.targets)[place]
        truth = np.stack([fine[name].sel(time=window.time).values[::-1] for name in targets])
        clipped = (np.abs(residual) >= 10) | (scaled.amplitude[place] == 0)
        assert clipped.mean() < 0.3
        difference = np.where(clipped, 0, made - truth[place])
        assert np.abs(difference).max() < 1e-3 * truth.std()
    assert compared > 1
