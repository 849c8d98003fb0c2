import numpy as np
import pytest
import xarray as xr
from grid_kinds import gaussian, healpix_field, regular

from flexclim.cf.regridding_weights import find_weights, read_weights, write_weights
from flexclim.errors import GridError
from flexclim.grids.regridding import methods
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.methods import weights_between
from flexclim.grids.regridding.targets import target_of


def made(method="conservative", to=20):
    source = cells_of(gaussian(6))
    target = target_of(to, source)
    return source, target, weights_between(source, target, method)


@pytest.mark.parametrize("method", ["conservative", "conservative_2nd", "bicubic"])
def test_files_keep_all_of_the_weights(tmp_path, method):
    _, _, weights = made(method)
    write_weights(tmp_path / "w.nc", weights, "these cells")
    read = read_weights(tmp_path / "w.nc", weights.matrix.shape, "these cells")
    assert (read.matrix != weights.matrix).nnz == 0
    values = np.random.default_rng(0).normal(size=(2, weights.matrix.shape[1]))
    values[0, :20] = np.nan
    for vector in (False, True):
        expected = weights.means(values, 0.5, vector=vector)
        np.testing.assert_array_equal(read.means(values, 0.5, vector=vector), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["w.nc"]


def test_the_layout_is_that_of_xesmf(tmp_path):
    """``row``, ``col`` and ``S`` count from 1, with cells in the order of (lat, lon)."""
    _, _, weights = made()
    write_weights(tmp_path / "w.nc", weights, "")
    with xr.open_dataset(tmp_path / "w.nc") as ds:
        assert ds.S.dims == ds.row.dims == ds.col.dims == ("n_s",)
        full = np.zeros(weights.matrix.shape)
        full[ds.row.values - 1, ds.col.values - 1] = ds.S.values
        np.testing.assert_array_equal(full, weights.matrix.toarray())
        assert ds.sizes["n_a"], ds.sizes["n_b"] == weights.matrix.shape[::-1]


@pytest.mark.parametrize("layout", ["xesmf", "scrip"])
def test_files_of_other_programs_are_read(tmp_path, layout):
    """A swap of two cells, as xESMF and CDO write it."""
    index, values = np.array([1, 2], "i4"), np.array([0.25, 0.75])
    if layout == "xesmf":
        content = {"row": ("n_s", index[::-1]), "col": ("n_s", index), "S": ("n_s", values)}
    else:
        content = {
            "dst_address": ("num_links", index[::-1]),
            "src_address": ("num_links", index),
            "remap_matrix": (("num_links", "num_wgts"), values[:, None]),
        }
    xr.Dataset(content).to_netcdf(tmp_path / "other.nc")
    found = read_weights(tmp_path / "other.nc", (2, 2)).matrix.toarray()
    assert found.tolist() == [[0, 0.75], [0.25, 0]]


def test_weights_are_computed_once(tmp_path, monkeypatch):
    source, target, weights = made(to=15)
    first = find_weights(source, target, "conservative", tmp_path / "w.nc")
    assert (first.matrix != weights.matrix).nnz == 0

    def refuse(*args):
        raise AssertionError

    monkeypatch.setattr("flexclim.cf.regridding_weights.weights_between", refuse)
    assert find_weights(source, target, "conservative") is first
    monkeypatch.setattr("flexclim.cf.regridding_weights._RECENT", {})
    again = find_weights(source, target, "conservative", tmp_path / "w.nc")
    assert (again.matrix != weights.matrix).nnz == 0
    assert methods.weights_between is not refuse


def test_files_of_other_cells_are_errors(tmp_path):
    source, target, weights = made()
    path = tmp_path / "w.nc"
    write_weights(path, weights, "other cells")
    with pytest.raises(GridError, match="has weights of other cells or another method"):
        find_weights(source, target, "conservative", path)
    write_weights(path, weights, "")
    with pytest.raises(GridError, match="has weights of 162 target cells; the target has 48"):
        read_weights(path, (48, 72))
    pixels = cells_of(healpix_field(2))
    with pytest.raises(GridError, match="of 72 input cells; the input has 192"):
        find_weights(pixels, target, "conservative", path)
    with xr.open_dataset(path) as ds:
        bare = ds[["row", "col", "S"]].load()
    bare.to_netcdf(tmp_path / "bare.nc")
    with pytest.raises(GridError, match="weights of target cell 162; the target has 48"):
        read_weights(tmp_path / "bare.nc", (48, 72))


def test_what_is_no_file_of_weights_is_an_error(tmp_path):
    (tmp_path / "text.nc").write_text("no NetCDF")
    with pytest.raises(GridError, match=r"text.nc is no NetCDF file of weights"):
        read_weights(tmp_path / "text.nc", (1, 1))
    regular(2).to_netcdf(tmp_path / "field.nc")
    with pytest.raises(GridError, match="has no weights: none of row, col and S"):
        read_weights(tmp_path / "field.nc", (1, 1))
