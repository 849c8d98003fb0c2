"""Scores of fields without rows and columns."""

import numpy as np
import pytest
import xarray as xr
from grid_kinds import healpix_field, points, reduced_gaussian, triangles

from flexclim import verify
from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.verify.core.cell_areas import area_weights


def noisy(field, members=None, seed=0):
    rng = np.random.default_rng(seed)
    shape = field.shape if members is None else (members, *field.shape)
    dims = field.dims if members is None else ("realization", *field.dims)
    return (field + xr.DataArray(0.3 * rng.normal(size=shape), dims=dims)).rename(field.name)


@pytest.mark.slow
def test_pixels_are_scored_with_their_baselines():
    field = healpix_field(3).expand_dims(time=[0, 1])
    truth = noisy(field)
    scores = verify.evaluate(noisy(field, 3, 1), truth, coarse=truth.flex.coarsen(2))
    assert scores.candidate.values.tolist() == ["forecast", "bilinear", "bicubic"]
    assert (scores["crps.t"] > 0).all()
    assert (scores["spectrum.t"].sel(source="truth") > 0).any()


def test_areas_of_cells_in_a_list():
    ds = triangles()
    field = ds.t.expand_dims(time=[0])
    cells = cells_of(ds)
    found = area_weights(field, ds.variables)
    np.testing.assert_allclose(found, cells.areas / cells.areas.mean())
    gaussian = reduced_gaussian()
    np.testing.assert_allclose(area_weights(gaussian).sum(), gaussian.size)
    assert float(np.ptp(area_weights(gaussian).values)) > 0.1
    for equal in (points(), healpix_field(2)):
        assert (area_weights(equal) == 1).all()
    score = verify.bias(field + 1, field)
    assert float(score) == pytest.approx(1)


def test_scores_of_planes_say_what_to_do():
    with pytest.raises(GridError, match=r"take HEALPix and unstructured cells to rows first with"):
        verify.spectrum(healpix_field(2))
