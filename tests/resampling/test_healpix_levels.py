"""Fields on other levels of HEALPix: parents and children."""

import numpy as np
import pytest
import xarray as xr
from grid_kinds import healpix_field, smooth

import flexclim
from flexclim.grids.regridding.healpix import centres


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("lazy", [True, False])
def test_parents_are_means(nested, lazy):
    field = healpix_field(3, nested=nested)
    coarse = (field.chunk() if lazy else field).flex.coarsen(4)
    assert coarse.chunks is not None or not lazy
    # Pixels of equal area: the mean of the 16 whose centres have the parent's as nearest.
    fine = healpix_field(3).values.reshape(48, 16)
    np.testing.assert_allclose(coarse.values, fine.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(coarse.lat, centres(1, np.arange(48), nested=True)[0])
    assert coarse.crs.attrs["refinement_level"] == 1
    regridded = field.flex.regrid("healpix:1")
    np.testing.assert_allclose(coarse.values, regridded.values, atol=2e-4)


def test_missing_pixels_and_parts_of_the_sphere():
    part = healpix_field(1).isel(cell=slice(3, 9)).drop_vars("crs")
    part = part.assign_coords(cell_ids=("cell", np.arange(3, 9)))
    part[0] = np.nan
    attrs = {"grid_mapping_name": "healpix", "refinement_level": 1}
    coarse = part.assign_coords(crs=((), 0, attrs)).flex.coarsen(2)
    assert coarse.healpix_index.values.tolist() == [0, 1, 2]
    assert np.isnan(coarse[0])
    np.testing.assert_allclose(coarse[2], part[5])


@pytest.mark.parametrize(("method", "largest"), [("nearest", 0.16), ("bilinear", 0.03)])
def test_children(method, largest):
    field = healpix_field(3)
    fine = field.flex.interpolate(2, method)
    assert fine.sizes["cell"] == 4 * field.size
    assert float(abs(fine - smooth(fine.lat, fine.lon)).max()) < largest
    if method == "nearest":
        assert (fine.values.reshape(-1, 4) == field.values[:, None]).all()


def test_other_factors_give_rows():
    field = healpix_field(3)
    assert field.flex.coarsen(3).sizes == {"lat": 8, "lon": 16}
    assert field.flex.interpolate(3).sizes == {"lat": 72, "lon": 144}
    assert field.flex.interpolate(2).sizes == {"cell": 3072}


def test_categories():
    field = healpix_field(1).copy(data=np.arange(48.0) // 3)
    field.attrs = {"flag_values": np.arange(16), "standard_name": "area_type", "units": "1"}
    with pytest.warns(flexclim.FlexclimWarning, match="most frequent category"):
        coarse = field.flex.coarsen(2)
    # Pixels 0-3 hold categories 0, 0, 0, 1.
    assert coarse[0] == 0
    assert isinstance(coarse, xr.DataArray)
