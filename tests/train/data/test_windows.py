import numpy as np
import pytest
import xarray as xr

from flexclim.resampling import coarsen


@pytest.mark.parametrize("kind", ["cell", "point"])
def test_a_turned_patch_is_that_of_the_turned_field(plane, kind, read, make):
    made = make(read(plane, "data.augment=[turn]", f"data.points={int(kind == 'point')}"))
    window = made.sources[0].cut(np.random.default_rng(2), 4, kind, (32, 32), 3)
    turned = window.transposed()
    assert turned.domain.shape == window.domain.shape[::-1] != window.domain.shape
    assert turned.inner == window.inner[::-1]
    np.testing.assert_array_equal(turned.truth, window.truth.swapaxes(1, 2))
    np.testing.assert_allclose(turned.coarse(4), window.coarse(4).swapaxes(1, 2), rtol=1e-5)
    cut = turned.inputs[(slice(None), *turned.inner)]
    np.testing.assert_array_equal(cut, turned.truth)


def test_wrapped_windows_cross_the_date_line(folder, read, make):
    made = make(read(folder, "data.points=0"))
    source = made.sources[0]
    true = xr.open_dataset(folder / "wind.nc").u10.values
    crossed = 0
    for seed in range(30):
        window = source.cut(np.random.default_rng(seed), 2, "cell", (32, 32), 3)
        plane = true[np.flatnonzero(source.target_fields.times == window.time)[0]]
        row, column = np.argwhere(plane == window.truth[0, 0, 0])[0]
        columns = (column + np.arange(32)) % 128
        crossed += columns[0] > columns[-1]
        np.testing.assert_array_equal(window.truth[0], plane[row : row + 32][:, columns])
    assert crossed


@pytest.fixture
def curvilinear(folder):
    """Return a folder and its wind, on cells that widen eastward and have corners."""
    ds = xr.load_dataset(folder / "wind.nc").isel(latitude=slice(0, 64), longitude=slice(0, 64))
    ds = ds.drop_vars(["latitude", "longitude"]).rename(latitude="j", longitude="i")
    i, j = np.mgrid[:65, :65]
    corners = {"nav_lat": 70.0 - 0.5 * i + 0.05 * j, "nav_lon": 0.2 * j + 0.01 * j**2 + 0.1 * i}
    for name, at in corners.items():
        own = np.stack([at[:-1, :-1], at[:-1, 1:], at[1:, 1:], at[1:, :-1]], axis=-1)
        centres = "j", "i"
        ds = ds.assign_coords({name: (centres, own.mean(-1), {"bounds": f"{name}_corners"})})
        ds[f"{name}_corners"] = (*centres, "corner"), own
    (folder / "wind.nc").unlink()
    ds.to_netcdf(folder / "wind.nc")
    return folder, ds


@pytest.mark.parametrize("side", [1, 2])
def test_block_means_of_curvilinear_cells_are_weighted_by_area(curvilinear, read, make, side):
    folder, ds = curvilinear
    small = "data.points=0", "network.tile=[16, 16]", f"data.sources.0.coarsen={side}"
    source = make(read(folder, *small)).sources[0]
    window = source.cut(np.random.default_rng(1), 4, "cell", (16, 16), 1)
    fine = ds if side == 1 else coarsen(ds, side)
    fine = fine.sel(time=window.time)
    near = np.isclose(fine.u10, window.inputs[0, 0, 0], atol=1e-5)
    ((j, i),) = np.argwhere(near)
    height, width = window.inputs.shape[1:]
    part = fine.isel(j=slice(j, j + height), i=slice(i, i + width))
    np.testing.assert_allclose(window.inputs[0], part.u10, atol=1e-5)
    means = coarsen(part, 4).u10
    np.testing.assert_allclose(window.coarse(4)[0], means, rtol=1e-4, atol=1e-4)
    assert np.abs(part.u10.coarsen(j=4, i=4).mean() - means).max() > 1e-2
    mirrored, turned = window.mirrored(1).coarse(4), window.transposed().coarse(4)
    np.testing.assert_allclose(mirrored[0], means[:, ::-1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(turned[0], means.T, rtol=1e-4, atol=1e-4)
    assert source.cut(np.random.default_rng(1), 4, "point", (16, 16), 1).areas is None
