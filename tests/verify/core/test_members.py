import numpy as np
import xarray as xr

from flexclim.verify.core import members
from flexclim.verify.core.members import ensemble_mean, gather_members


def test_members_are_gathered_within_the_budget(monkeypatch):
    monkeypatch.setattr(members, "CHUNK_BYTES", 6 * 8 * 20)
    field = xr.DataArray(np.zeros((6, 10, 16)), dims=["member", "y", "x"])
    array = gather_members(field.chunk(member=1))
    assert array.numblocks[0] == 1
    assert max(np.prod([max(c) for c in array.chunks[1:]]), 1) <= 20


def test_the_mean_of_gathered_members_is_that_of_numpy():
    field = xr.DataArray(np.random.default_rng(0).normal(size=(5, 3, 7)), dims=["y", "member", "x"])
    field[1, 2, 3] = np.nan
    found = ensemble_mean(field.chunk(member=1, x=4), "member")
    assert found.chunks is not None
    expected = field.mean("member", skipna=False)
    xr.testing.assert_allclose(found.compute(), expected, rtol=1e-14)
    xr.testing.assert_identical(ensemble_mean(field, "member"), expected)
