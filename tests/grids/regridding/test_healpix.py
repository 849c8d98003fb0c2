import numpy as np
import pytest

from flexclim.errors import GridError
from flexclim.grids.regridding import healpix
from flexclim.grids.regridding.overlap import containing

# Level, number, nested, latitude and longitude by pix2ang of healpy 1.20.
HEALPY = [
    (0, 4, True, 0.0, 0.0),
    (1, 6, True, 41.81031489577859, 112.5),
    (1, 47, True, -19.47122063449069, 315.0),
    (3, 0, True, 4.780191847199163, 45.0),
    (3, 100, True, 35.68533471265204, 123.75),
    (3, 767, True, -4.780191847199163, 315.0),
    (8, 123456, True, 59.109407183843885, 115.5988023952096),
    (8, 700000, True, -36.23836223716917, 189.140625),
    (1, 6, False, 41.81031489577859, 112.5),
    (1, 47, False, -66.44353569089876, 315.0),
    (3, 3, False, 84.14973293629666, 315.0),
    (3, 100, False, 48.141207794360284, 212.14285714285714),
    (3, 400, False, -4.780191847199163, 0.0),
    (8, 123456, False, 43.406858485936986, 342.7620967741936),
    (8, 700000, False, -51.25580694880492, 221.75480769230768),
]


@pytest.mark.parametrize(("level", "number", "nested", "lat", "lon"), HEALPY)
def test_centres_are_healpys(level, number, nested, lat, lon):
    found = healpix.centres(level, np.array([number]), nested=nested)
    np.testing.assert_allclose([part[0] for part in found], [lat, lon], atol=1e-9)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("level", [0, 1, 4])
def test_pixels_are_equal_and_contain_their_centres(level, nested):
    number = np.arange(12 * 4**level)
    pixels = healpix.outlines(level, number, nested=nested)
    np.testing.assert_allclose(pixels.areas, 4 * np.pi / number.size, rtol=1e-10)
    lat, lon = healpix.centres(level, number, nested=nested)
    found = containing(pixels, np.deg2rad(lon), np.sin(np.deg2rad(lat)))
    np.testing.assert_array_equal(found, number)


def test_four_nested_pixels_make_their_parent():
    """Points in a pixel lie in the parent with a quarter of its number."""
    x, z = np.random.default_rng(0).uniform([[0], [-1]], [[2 * np.pi], [1]], (2, 500))
    levels = (healpix.outlines(level, np.arange(12 * 4**level), nested=True) for level in (1, 2))
    coarse, fine = (containing(pixels, x, z) for pixels in levels)
    assert (coarse == fine // 4).mean() > 0.995


def test_rings_and_nested_pixels_are_the_same_pixels():
    number = np.arange(192)
    face, column, row = healpix.faces(2, number, nested=False)
    nested = np.stack(healpix.faces(2, number, nested=True), axis=1)
    found = {tuple(map(int, one)) for one in zip(face, column, row, strict=True)}
    assert found == {tuple(map(int, one)) for one in nested}


def test_other_numbers_are_no_sphere():
    with pytest.raises(GridError, match="13 cells are no HEALPix sphere"):
        healpix.level_of(13)
