import numpy as np
import pytest
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.regridding.healpix import centres
from flexclim.grids.regridding.healpix_files import find_healpix


def field(size, dim="cell", **coords):
    return xr.DataArray(np.zeros((2, size)), dims=("time", dim), coords=coords)


@pytest.mark.parametrize(
    ("attrs", "kind"),
    [
        (
            {"grid_mapping_name": "healpix", "refinement_level": 1, "indexing_scheme": "nested"},
            "HEALPix level 1, nested",
        ),
        (
            {"grid_mapping_name": "healpix", "healpix_nside": 2, "healpix_order": "ring"},
            "HEALPix level 1, ring",
        ),
        (
            {"grid_mapping_name": "healpix", "healpix_nside": 2, "healpix_order": "nest"},
            "HEALPix level 1, nested",
        ),
    ],
)
def test_grid_mappings(attrs, kind):
    assert find_healpix(field(48, crs=((), 0, attrs))).kind == kind


def test_numbers_of_cells_of_a_region():
    attrs = {"grid_name": "healpix", "level": 3, "indexing_scheme": "nested"}
    cells = find_healpix(field(5, cell_ids=("cell", np.arange(100, 105), attrs)))
    np.testing.assert_allclose(cells.latitude, centres(3, np.arange(100, 105), nested=True)[0])


def test_nothing_is_taken_for_healpix_unless_said():
    assert find_healpix(field(48)) is None
    assert find_healpix(field(48), "healpix:ring").kind == "HEALPix level 1, ring"
    assert find_healpix(field(12, "x"), "healpix").size == 12


@pytest.mark.parametrize(
    ("obj", "grid", "message"),
    [
        (field(48), "healpix:xy", "indexing 'xy' is not known"),
        (field(50), "healpix", "no dimension, or several, of"),
        (
            field(50, crs=((), 0, {"grid_mapping_name": "healpix", "refinement_level": 1})),
            None,
            "no dimension, or several, of|has 50 cells",
        ),
        (
            field(
                2,
                cell_ids=("cell", [0, 48]),
                crs=((), 0, {"grid_mapping_name": "healpix", "refinement_level": 1}),
            ),
            None,
            "numbered 0 to 48; at level 1 numbers run from 0 to 47",
        ),
    ],
)
def test_errors(obj, grid, message):
    with pytest.raises(GridError, match=message):
        find_healpix(obj, grid)
