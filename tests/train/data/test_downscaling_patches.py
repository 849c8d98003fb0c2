from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.errors import FlexclimError
from flexclim.grids.operators import ALL, block_mean
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve, resolve_static
from flexclim.sampling import downscaling_graph as members
from flexclim.sampling import planes as ensemble
from flexclim.sampling.local_scaling import Scaled, scale_locally
from flexclim.sampling.network_inputs import downscaling_inputs, physical
from flexclim.sampling.plane_identity import PlaneIdentities
from flexclim.sampling.statics import static_fields
from flexclim.train import load_recipe
from flexclim.train.data.downscaling_patches import Patches
from flexclim.train.data.model_settings import model_settings
from flexclim.train.data.normalisation import fit_normalisation
from flexclim.train.data.sources import open_sources

NAMED = ("data.inputs=[u10, v10]", "data.sources.0.variables=[]", "data.sources.0.signed=false")


def test_patches_have_unit_residuals_and_both_factors(patches):
    batch = patches.batch(0, 32)
    assert batch.inputs.shape == batch.residual.shape == (32, 1, 32, 32)
    assert set(batch.label[:, 0]) == {-1.0, 0.0}  # log2(factor) - 2
    assert 0.1 < batch.residual.std() < 3


@pytest.mark.parametrize("points", [0.0, 1.0])
def test_base_and_residual_make_the_true_field(folder, points, read, make):
    """What the network learns is what downscaling adds to its interpolated input."""
    made = make(read(folder, f"data.points={points}", "data.factors={2: 1}"), seed=3)
    for step in range(4):
        window = made.draw(step, 0).window
        patch = made.patch(step, 0)
        inputs, residual = patch.inputs, patch.residual
        coarse = block_mean(window.inputs[0], window.domain, 2, window.row_sines)
        found = scale_locally(coarse, window.domain.coarsen(2), 2)(ALL)
        inner = window.inner
        assert inner[0].start % 2 == inner[1].start % 2 == 0
        base, amplitude = found.base[inner], found.amplitude[inner]
        np.testing.assert_allclose(base + amplitude * residual[0], window.truth[0], atol=1e-3)
        np.testing.assert_allclose(inputs[0], found.inputs[inner].clip(-10, 10), atol=1e-5)
        np.testing.assert_array_equal(window.truth[0], window.inputs[0][inner])


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_named_variables_come_together(folder, scaling, read, make):
    recipe = read(folder, *NAMED, f"data.scaling={scaling}")
    made = make(recipe)
    batch = made.batch(0, 24)
    assert batch.inputs.shape == batch.residual.shape == (24, 2, 32, 32)
    np.testing.assert_allclose(batch.residual.std(axis=(0, 2, 3)), 1, atol=0.5)
    if scaling == "fixed":
        assert 0.3 < batch.inputs.std() < 3
    drawn = made.draw(0, 0)
    coarse = drawn.window.domain.coarsen(drawn.factor)
    seen = downscaling_inputs(drawn.coarse, coarse, drawn.factor, made.settings)(ALL)
    inner = (slice(None), *drawn.window.inner)
    seen = Scaled(seen.base[inner], seen.inputs[inner], seen.amplitude[inner])
    again = physical(seen, batch.residual[0], made.settings.targets)
    np.testing.assert_allclose(again, drawn.window.truth, atol=2e-3)


@pytest.mark.parametrize(("where", "share"), [("plane", 0.5), ("folder", 0)])
def test_patches_are_turned_only_where_cells_are_alike(where, share, request, read, make):
    """On the sphere a cell is narrower than high."""
    where = request.getfixturevalue(where)
    turning, straight = (
        make(read(where, f"data.augment={augment}", "data.sources.0.signed=false"))
        for augment in ("[turn]", "[]")
    )
    pairs = [[made.draw(0, n).window.truth for made in (turning, straight)] for n in range(16)]
    same = [np.array_equal(one, other) for one, other in pairs]
    turned = [np.array_equal(one, other.swapaxes(1, 2)) for one, other in pairs]
    assert all(a or b for a, b in zip(same, turned, strict=True))
    assert abs(np.mean(turned) - share) < 0.3 * bool(share) + 1e-9


def test_the_label_of_a_component_turns_with_the_patch(plane, read, make):
    made = make(read(plane, "data.augment=[turn]", "data.label=[component]"))
    signs = {"u10": 1, "v10": -1}
    drawn = [made.draw(0, number) for number in range(16)]
    assert {one.window.turned for one in drawn} == {True, False}
    for number, one in enumerate(drawn):
        sign = signs[one.source.targets[0]] * (-1 if one.window.turned else 1)
        assert made.patch(0, number).label.tolist() == [sign]


def test_statics_are_cut_with_the_patch(folder, read, make):
    latitude, longitude = np.linspace(90, -90, 65), np.arange(128) * 360 / 128
    height = latitude[:, None] * 1000 + longitude
    xr.Dataset(
        {"orog": (("latitude", "longitude"), height)},
        coords={"latitude": latitude, "longitude": longitude},
    ).to_netcdf(folder / "static.nc")
    recipe = read(
        folder,
        *NAMED,
        "data.statics=[orog, latitude, day_of_year]",
        "data.static_file=static.nc",
        "data.points=1",
    )
    made = make(recipe)
    batch = made.batch(0, 6)
    assert batch.inputs.shape[1] == 2 + 4
    true = xr.open_dataset(folder / "wind.nc").u10.values
    moments = made.settings.statics[0]
    for number in range(6):
        window = made.draw(0, number).window
        row, column = np.argwhere((true == window.truth[0, 0, 0]).any(0))[0]
        columns = (column + np.arange(32)) % 128
        expected = (height[row : row + 32][:, columns] - moments.mean) / moments.std
        np.testing.assert_allclose(batch.inputs[number, 2], expected, atol=1e-3)
        sine = np.sin(np.deg2rad(latitude[row : row + 32]))
        np.testing.assert_allclose(batch.inputs[number, 3][:, 0], sine, atol=1e-4)
    with pytest.raises(FlexclimError, match="no static field 'orok'; did you mean orog"):
        open_sources(read(folder, *NAMED, "data.statics=[orok]", "data.static_file=static.nc").data,
                     "train")  # fmt: skip


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
    monkeypatch.setattr(
        ensemble,
        "sampler_of",
        lambda _: SimpleNamespace(encode=lambda *_: None, batch=1, pass_size=1),
    )
    coarse = flexclim.coarsen(fine, 4)
    inputs, targets = ["u10", "v10", "tp"], ["u10", "tp"]
    plan = plan_downscaling(resolve(coarse), inputs, targets, model, DownscalingOptions(factor=4))
    predictors = static_fields(
        resolve_static(static, static.data_vars), flexclim.find_grid(fine), settings.statics
    )

    compared = 0
    for number in range(60):
        window = patches.draw(0, number).window
        row = np.argmin(abs(predictors["latitude"][:, 0] - window.predictors["latitude"][0, 0]))
        column = np.argmin(abs(predictors["solar_time"][0] - window.predictors["solar_time"][0, 0]))
        if row % 4 or column % 4:
            continue  # its blocks are others than those of the whole field
        compared += 1
        patch = patches.patch(0, number)
        seen, residual = patch.inputs, patch.residual
        place = (slice(None), slice(row, row + 32), slice(column, column + 32))
        planes = [coarse[name].sel(time=window.time).values for name in inputs]
        time = PlaneIdentities(coarse[inputs[0]].sel(time=[window.time]), plan.sampling)
        prepared = members.prepare_planes(planes, predictors, None, plan, time)
        within = np.abs(prepared.inputs[0][place]) < 10  # training clips what lies beyond
        assert within.mean() > 0.99
        np.testing.assert_allclose(
            np.where(within, seen, 0), np.where(within, prepared.inputs[0][place], 0), atol=2e-3
        )
        # What training asks the network for makes the truth when sampling adds it.
        scaled = ensemble.rows_of(prepared.given, plan)(ALL)
        answer = np.zeros(scaled.base.shape[1:])
        answer[place] = residual
        made = physical(scaled, answer, settings.targets)[0][place]
        truth = np.stack([fine[name].sel(time=window.time).values[::-1] for name in targets])
        clipped = (np.abs(residual) >= 10) | (scaled.amplitude[0][place] == 0)
        assert clipped.mean() < 0.3
        difference = np.where(clipped, 0, made - truth[place])
        assert np.abs(difference).max() < 1e-3 * truth.std()
    assert compared > 1
