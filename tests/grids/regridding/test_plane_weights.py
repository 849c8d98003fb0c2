import math

import numpy as np
import pytest
import shapely
import xarray as xr
from grid_kinds import curvilinear, gaussian, projected, regular

from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.methods import weights_between
from flexclim.grids.regridding.plane_weights import plane_weights
from flexclim.grids.regridding.sparse_weights import masked_means
from flexclim.grids.regridding.targets import target_of

STATIONS = xr.Dataset(
    coords={"lat": ("station", [70.0, 78.5, 85.0]), "lon": ("station", [10.0, -150.0, 260.0])}
)
TO = {
    "degrees": 5,
    "object": gaussian(20),
    "curvilinear": curvilinear(9, corners=True),
    "healpix": "healpix:2",
    "stations": STATIONS,
    "polygons": [shapely.box(-30, 65, 30, 80), shapely.box(100, 70, 200, 85)],
}
SOURCES = {"regular": regular, "gaussian": gaussian, "projected": projected}


@pytest.mark.parametrize("to", TO)
@pytest.mark.parametrize("kind", SOURCES)
def test_sums_over_parts_are_those_over_the_plane(kind, to):
    source = cells_of(SOURCES[kind](9))
    target = target_of(TO[to], source)
    y, x = source.shape
    plane = np.random.default_rng(0).normal(size=source.shape)
    plane[: y // 2, 1] = np.nan
    parts = [(slice(a, b), slice(c, d)) for a, b in ((0, 4), (4, y)) for c, d in ((0, 7), (7, x))]
    whole = weights_between(source, target, "conservative")
    weights = plane_weights(source, target, parts)
    np.testing.assert_allclose(sum(one.covered for one in weights), whole.covered, atol=1e-12)
    found = [one.sums(plane[part]) for one, part in zip(weights, parts, strict=True)]
    total, share = (sum(each) for each in zip(*found, strict=True))
    found, expected = masked_means(total, share, 0.5), whole.means(plane.ravel(), 0.5)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isfinite(expected).any()
    some = weights[0].of(slice(1, 2)).sums(plane[parts[0]])[0]
    width = math.prod(target.shape[1:])
    np.testing.assert_allclose(some, weights[0].sums(plane[parts[0]])[0][width : 2 * width])


def test_parts_without_targets_are_empty():
    source = cells_of(regular(18))
    north, south = (slice(0, 9), slice(0, 36)), (slice(9, 18), slice(0, 36))
    for to in (STATIONS, regular(36)[:5]):
        weights = plane_weights(source, target_of(to, source), [north, south])
        assert [one.empty for one in weights] == [False, True]
