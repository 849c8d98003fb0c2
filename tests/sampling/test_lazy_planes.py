"""Slices of large lazy fields: the values of the whole, from the windows that they depend on."""

import pickle

import dask
import numpy as np
import pytest
import xarray as xr
from regional_winds import field

import flexclim
from flexclim.execution.cropped_arrays import CroppedArray
from flexclim.models.channels import Static, Target, Variable
from flexclim.planning import block_sizes, downscaling_plan
from flexclim.sampling.tiled_sampler import TiledSampler

# 92 x 120 fine cells of global points and cells, and of a region, in tiles of 32 that overlap by 8.
POINTS = field(np.linspace(90, -90, 25), np.arange(0.0, 360, 12))
CELLS = field(np.arange(-86.25, 90, 7.5), np.arange(-180.0, 180, 12))
REGION = field(np.arange(60.0, 35, -1), np.arange(31.0, 5, -1))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Let these fields count as large."""
    monkeypatch.setattr(downscaling_plan, "FEW_WINDOWS", 8)
    monkeypatch.setattr(block_sizes, "LARGEST", 40)
    monkeypatch.setattr(block_sizes, "SMALLEST", 40)
    monkeypatch.setattr(downscaling_plan, "FEW", 16)


@pytest.fixture
def evaluated(monkeypatch):
    """Return a list that gets the number of windows of each forward pass."""
    counts, run = [], TiledSampler._denoise

    def counted(self, noisy, *others):
        counts.append(len(noisy))
        return run(self, noisy, *others)

    monkeypatch.setattr(TiledSampler, "_denoise", counted)
    return counts


@pytest.fixture
def model(make_toy):
    return make_toy(halo=8, conserve=True)


def in_memory(coarse, model, members=1, **options):
    return flexclim.downscale(coarse, 4, model=model, members=members, **options)


def lazy(coarse, model, **options):
    return in_memory(coarse.chunk(), model, **options)


@pytest.mark.parametrize("coarse", [POINTS, CELLS, REGION], ids=["points", "cells", "region"])
def test_slices_equal_the_whole(coarse, model):
    whole, fine = in_memory(coarse, model), lazy(coarse, model)
    assert max(map(len, fine.chunks[-2:])) > 1
    (height, width), scale = whole.shape[-2:], float(whole.std())
    for top, left in ((0, 0), (height - 9, width - 9), (40, 37), (height // 2, 0), (3, 60)):
        part = {"lat": slice(top, top + 9), "lon": slice(left, left + 9)}
        np.testing.assert_allclose(
            fine.isel(part).values, whole.isel(part).values, atol=1e-5 * scale, rtol=0
        )


def test_other_lazy_arrays_are_computed_with_them(model):
    fine = lazy(CELLS, model)
    assert isinstance(fine.data, CroppedArray)
    truth = xr.zeros_like(fine.isel(realization=0, drop=True), dtype="float32").chunk()
    both = xr.Dataset({"fine": fine, "truth": truth}).compute()
    error = flexclim.verify.crps(fine, truth, dim=(), estimator="ecdf")
    np.testing.assert_allclose(error, abs(both.fine[0]), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("coarse", [CELLS, REGION], ids=["cells", "region"])
def test_static_fields_and_amplitudes_of_noise_are_those_of_the_whole(coarse, make_toy):
    statics = Static(name="latitude"), Static(name="solar_time")
    model = make_toy(read=4, halo=8, statics=statics, noise_amplitude=0.5)
    whole, fine = in_memory(coarse, model), lazy(coarse, model)
    scale = float(whole.std())
    for top, left in ((40, 56), (30, 0), (60, 30)):
        part = np.s_[..., top : top + 9, left : left + 9]
        found = fine.data[part].compute()
        np.testing.assert_allclose(found, whole.values[part], atol=1e-5 * scale, rtol=0)


def test_whole_planes_take_no_more_passes(model, evaluated):
    whole = in_memory(POINTS, model)
    count = sum(evaluated)
    evaluated.clear()
    np.testing.assert_array_equal(lazy(POINTS, model).values, whole.values)
    assert sum(evaluated) == count


@pytest.mark.parametrize(("top", "left"), [(45, 50), (45, 0), (45, 111), (0, 50), (88, 115)])
def test_few_cells_take_few_windows(model, evaluated, top, left):
    """At most 2 x 2 windows hold them, and 4 x 4 the former: also at date line and poles."""
    part = {"lat": slice(top, top + 9), "lon": slice(left, left + 9)}
    lazy(POINTS, model, conserve=False).isel(part).compute()
    assert sum(evaluated) <= 20


def test_chunks_are_computed_alone_where_slices_are_not_seen(model, evaluated):
    fine = lazy(CELLS, model) * 2.0
    whole = in_memory(CELLS, model).values * 2.0
    count = sum(evaluated)
    evaluated.clear()
    found = fine[..., 40:44, 40:44].values
    np.testing.assert_allclose(found, whole[..., 40:44, 40:44], atol=1e-5 * whole.std(), rtol=0)
    assert sum(evaluated) < count / 1.5


def test_slices_index_as_numpy_does(model):
    fine, whole = lazy(REGION, model, members=2), in_memory(REGION, model, members=2).values
    for index in (
        np.s_[1, :, 5, 7:9],
        np.s_[..., 40:30:-3, -2],
        np.s_[:, 0, 90:, ::30],
        np.s_[0, 0, [3, 50], 1:3],
        np.s_[..., 3:3, :],
    ):
        np.testing.assert_allclose(fine.data[index].compute(), whole[index], atol=1e-5)
        assert fine.data[index].shape == whole[index].shape


def test_variables_of_a_network_share_its_passes(make_toy, evaluated):
    ds = xr.Dataset({"u10": REGION, "v10": REGION.rename("v10") + 1})
    model = make_toy(
        channels=2,
        read=2,
        inputs=tuple(Variable(name=name) for name in ds),
        targets=tuple(Target(name=name, base=name) for name in ds),
    )
    fine = flexclim.downscale(ds.chunk(), 4, model=model, members=1)
    part = fine.isel(lat=slice(40, 44), lon=slice(40, 44))
    part.u10.compute()
    alone = sum(evaluated)
    part.compute()
    assert sum(evaluated) == 2 * alone


def test_chunks_follow_those_of_the_input(model):
    split = POINTS.chunk(lat=(12, 13), lon=15)
    fine = flexclim.downscale(split, 4, model=model, members=1)
    assert fine.chunks[-2:] == ((48, 49), (60, 60))


def test_a_graph_is_complete_without_optimisation_and_elsewhere(model):
    fine = pickle.loads(pickle.dumps(lazy(CELLS, model)))
    with dask.config.set({"optimization.fuse.active": False}):
        found = fine.data[..., :9, :9].compute(optimize_graph=False)
    assert found.shape == (1, 1, 9, 9)
    graph = fine.data.dask.to_dict()
    assert set(fine.data.__dask_keys__()[0][0][0]) <= graph.keys()


def test_stations_need_their_own_windows(model, evaluated):
    places = {"lat": ("s", [47.0, 46.0, -3.0]), "lon": ("s", [7.5, 8.2, -62.0])}
    stations = xr.Dataset(coords=places)
    fine = in_memory(CELLS, model).sel(lat=stations.lat, lon=stations.lon, method="nearest")
    whole = sum(evaluated)
    for coarse in (CELLS, CELLS.chunk()):
        evaluated.clear()
        found = flexclim.downscale(coarse, 4, to=stations, model=model, members=1)
        np.testing.assert_allclose(found.values, fine.values, atol=1e-5)
        assert sum(evaluated) < whole


def test_chunks_share_the_windows_that_both_need(model, evaluated):
    """All chunks but one of a plane take no more windows than the whole."""
    whole, fine = in_memory(POINTS, model).values, lazy(POINTS, model).data * 1
    count = sum(evaluated)
    evaluated.clear()
    parts = fine.blocks[..., 1:, :], fine.blocks[..., 0, 1:]
    found = dask.compute(*parts)
    assert sum(evaluated) <= count
    np.testing.assert_allclose(found[0], whole[..., 36:, :], atol=1e-5)
    np.testing.assert_allclose(found[1], whole[..., :36, 40:], atol=1e-5)


@pytest.mark.slow
def test_converted_units_leave_slices_alone(make_toy, evaluated):
    model = make_toy(
        card={"variables": ("u10",), "inputs": ("u10",), "units": {"u10": "km h-1"}},
        inputs=(Variable(name="u10"),),
        targets=(Target(name="u10", base="u10"),),
    )
    part = np.s_[..., 50:54, 50:54]
    found = lazy(CELLS, model, conserve=False).data[part].compute()
    assert sum(evaluated) <= 20
    expected = in_memory(CELLS, model, conserve=False).values[part]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_chunks_are_those_asked_for(model):
    fine = lazy(CELLS, model, members=2, chunks={"lat": 50, "realization": -1})
    assert fine.chunks == ((2,), (1,), (50, 46), (40, 40, 40))
    assert isinstance(lazy(CELLS, model, chunks=30).data, CroppedArray)
    for chunks, text in (({"y": 3}, "'y'"), ({"lat": "x"}, "lat"), ({"lat": (1, 2)}, "lat")):
        with pytest.raises(flexclim.FlexclimError, match=text):
            lazy(CELLS, model, chunks=chunks)
    with pytest.raises(flexclim.FlexclimError, match="in memory"):
        in_memory(CELLS, model, chunks={"lat": 50})
