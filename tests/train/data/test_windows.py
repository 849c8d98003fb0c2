import numpy as np
import pytest
import xarray as xr


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
