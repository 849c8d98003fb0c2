import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify
from flexclim.verify.core.geometry import Plane
from flexclim.verify.core.transforms import coefficients, fill_gaps, make_bins


def plane(shape, step=(1e3, 1e3), seed=0):
    values = np.random.default_rng(seed).normal(5, 2, size=shape)
    y, x = (np.arange(n) * d for n, d in zip(shape[-2:], step, strict=True))
    return xr.DataArray(values, {"y": y, "x": x}, ["time", "y", "x"][-len(shape) :])


@pytest.mark.parametrize("edges", ["dct", "periodic"])
@pytest.mark.parametrize("shape", [(16, 16), (15, 22), (9, 33)])
@pytest.mark.parametrize("step", [(1e3, 1e3), (1e3, 2500.0)])
def test_powers_sum_to_the_variance(edges, shape, step):
    field = plane(shape, step)
    power = verify.spectrum(field, edges=edges)
    assert float(power.sum()) == pytest.approx(float(field.var()), rel=1e-12)
    zonal = verify.spectrum(field, "zonal", edges=edges)
    assert float(zonal.sum()) == pytest.approx(float(field.var("x").mean()), rel=1e-12)


def test_taper_keeps_the_variance_on_average():
    field = plane((200, 32, 32))
    power = verify.spectrum(field, edges="taper").sum()
    assert float(power) == pytest.approx(4, rel=0.03)


def test_the_nyquist_wave_is_counted_once():
    field = plane((8, 8)) * 0 + (-1.0) ** np.arange(8)
    for kind in ("radial", "zonal"):
        power = verify.spectrum(field, kind, edges="periodic")
        assert float(power.sum()) == pytest.approx(1, rel=1e-12)


def test_coefficients_by_hand():
    # Two waves of amplitude 1 around 5 columns and 4 rows: half of the variance each.
    y, x = np.mgrid[0:4, 0:5]
    field = 7 + np.cos(2 * np.pi * x / 5) + np.cos(np.pi * y)
    flat = Plane(y="y", x="x", step_y=1.0, step_x=1.0, wrap=True, geographic=False)
    bins = make_bins("radial", field.shape, flat, "periodic")
    power = bins.add(np.abs(coefficients(field, "radial", flat, "periodic")) ** 2)
    assert power.sum() == pytest.approx(0.5 + 1.0, rel=1e-12)
    assert power[np.argmin(np.abs(bins.wavenumber - 1 / 4))] == pytest.approx(0.5, rel=1e-12)


def test_gaps_are_filled_by_their_plane():
    field = np.array([[[1.0, np.nan], [3.0, 5.0]], [[0.0, 0.0], [0.0, np.nan]]])
    filled, empty = fill_gaps(field, "mean")
    assert (filled[0, 0, 1], filled[1, 1, 1]) == (3.0, 0.0)
    assert fill_gaps(field, None)[0] is field
    known = np.array([[[True, True], [True, False]], [[False, False], [False, True]]])
    filled, empty = fill_gaps(field, "mean", known)
    assert filled.tolist() == [[[1.0, 2.0], [3.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]]
    assert empty.tolist() == [False, True]
    with pytest.raises(FlexclimError, match="fill='zero' is unknown"):
        fill_gaps(field, "zero")
