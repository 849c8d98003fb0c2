"""Every kind of grid to cells of another kind, against exact integrals."""

import numpy as np
import pytest
import xarray as xr
from grid_kinds import GLOBAL, KINDS, curvilinear, healpix_field, regular, smooth, triangles

from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.methods import AREAL, METHODS, weights_between
from flexclim.grids.regridding.targets import target_of

TARGETS = {
    "degrees": lambda: 7.5,
    "healpix": lambda: "healpix:2",
    "triangles": lambda: triangles(80),
    "cornered": lambda: curvilinear(8, corners=True),
}


def pair(kind, target, method, n=12):
    source = cells_of(KINDS[kind](n))
    found = target_of(TARGETS[target](), source)
    return source, found, weights_between(source, found, method)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["conservative", "conservative_2nd"])
def test_integrals_are_kept_and_constants_stay(kind, target, method):
    source, found, weights = pair(kind, target, method)
    values = np.random.default_rng(0).normal(size=source.size)
    share = weights.matrix.sum(axis=1)
    means = np.nan_to_num(weights.means(values, 1.0))
    scale = (source.areas * np.abs(values)).sum()
    assert abs((found.areas * share * means).sum() - source.areas @ values) < 1e-9 * scale
    ones = weights.means(np.ones(source.size), 1.0)
    np.testing.assert_allclose(ones[share > 1e-6], 1, rtol=1e-12)
    if kind in GLOBAL and kind != "curvilinear":
        np.testing.assert_allclose(share, 1, rtol=1e-7)


@pytest.mark.parametrize(("method", "ratio"), [("conservative", 1.7), ("conservative_2nd", 3.0)])
@pytest.mark.parametrize("kind", ["gaussian", "cornered", "nested", "reduced", "points"])
def test_errors_of_a_smooth_field_fall_with_the_spacing(kind, method, ratio):
    """First order where cells are constant, second with slopes, when cells halve."""
    errors = []
    for n in (18, 36):
        source = cells_of(KINDS[kind](n))
        target = target_of(5.0, source)
        means = weights_between(source, target, method).means(means_of(source), 0.5)
        exact = means_of(target)
        errors.append(np.sqrt(np.average((means - exact) ** 2, weights=target.areas)))
    assert errors[1] < errors[0] / ratio


def means_of(cells):
    """Return the values of the smooth field at centres."""
    return smooth(cells.latitude, cells.longitude)


def test_shares_are_those_of_many_points():
    """HEALPix in 20 x 20 points of each cell of a rotated grid."""
    source = cells_of(healpix_field(2))
    target = target_of(curvilinear(4, corners=True), source)
    shares = weights_between(source, target, "conservative").matrix.toarray()
    fine = cells_of(curvilinear(4 * 60))
    number = np.arange(fine.size).reshape(fine.shape)
    parent = number // fine.shape[1] // 60 * 8 + number % fine.shape[1] // 60
    from flexclim.grids.regridding.stencils import containing_cell

    pixel = containing_cell(source, fine.latitude, fine.longitude).matrix.indices
    rows = np.cos(np.deg2rad((np.arange(240) + 0.5) * 0.75 - 90)).repeat(480)
    summed = np.zeros(shares.shape)
    np.add.at(summed, (parent.ravel(), pixel), rows)
    summed /= summed.sum(axis=1, keepdims=True)
    # Cells end at great circles between their corners here, at rotated parallels there.
    assert np.abs(summed - shares)[8:24].max() < 0.03


def test_rows_and_columns_have_the_areas_of_polygons():
    source, target = cells_of(regular(7, shift=100.0)), cells_of(regular(5, shift=-3.0))
    exact = weights_between(source, target_of(regular(5, shift=-3.0), source), "conservative")
    from flexclim.grids.regridding.overlap import overlap_areas

    areas = overlap_areas(source.polygons, target.polygons).toarray()
    np.testing.assert_allclose(exact.matrix.toarray(), areas / target.areas[:, None], atol=1e-12)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in AREAL])
def test_polygons_need_areas(method):
    box = {"type": "Polygon", "coordinates": [[(0, 0), (40, 0), (40, 40), (0, 0)]]}
    source = cells_of(regular(9))
    with pytest.raises(GridError, match="gives values at points, and the target has polygons"):
        weights_between(source, target_of(box, source), method)


def test_methods_that_do_not_fit():
    station = xr.Dataset(coords={"lat": ("s", [1.0, 2]), "lon": ("s", [3.0, 4])})
    source = cells_of(regular(9))
    with pytest.raises(GridError, match="needs cells, and the target has points"):
        weights_between(source, target_of(station, source), "conservative_2nd")
    pixels = cells_of(healpix_field(1))
    with pytest.raises(GridError, match="needs rows and columns, and the input has HEALPix"):
        weights_between(pixels, target_of(10.0, pixels), "bicubic")
