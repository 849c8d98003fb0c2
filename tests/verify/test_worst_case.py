import numpy as np
import pytest
import xarray as xr

from flexclim.verify.core.alignment import Pair
from flexclim.verify.worst_case import find_worst, worst_fields


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("chunks", [None, {"time": 2, "step": 1, "x": 3}])
def test_the_first_case_with_the_largest_score(members, chunks):
    rng = np.random.default_rng(0)
    dims = ["time", "y", "step", "x"]
    truth = xr.DataArray(rng.normal(size=(3, 5, 2, 4)), dims=dims, name="t")
    truth = truth.assign_coords(time=[10, 20, 30])
    forecast = truth + xr.DataArray(rng.normal(size=(members, 4)), dims=["member", "x"])
    score = xr.DataArray([[1.0, np.nan], [7.0, 2.0], [5.0, 7.0]], dims=["time", "step"])
    lazy = forecast if chunks is None else forecast.chunk(chunks)
    pair = Pair.align(lazy, truth)
    found = find_worst(pair, forecast.mean("member"), score)
    assert isinstance(found, np.ndarray) == (chunks is None)
    fields = worst_fields(pair, np.asarray(found))
    place = {"time": 1, "step": 0}
    own = ["one member", "ensemble mean", "spread"] if members > 1 else ["forecast"]
    assert fields["panel"].values.tolist() == ["truth", *own, "bicubic"]
    assert fields.dims == ("panel", "y", "x")
    assert fields.attrs["case"] == "time 20"
    here = forecast.isel(place)
    np.testing.assert_allclose(fields.sel(panel="truth"), truth.isel(place))
    np.testing.assert_allclose(fields.sel(panel=own[0]), here.isel(member=0).transpose("y", "x"))
    if members > 1:
        spread = here.std("member", ddof=1).transpose("y", "x")
        np.testing.assert_allclose(fields.sel(panel="spread"), spread)
    nothing = np.asarray(find_worst(pair, None, score * np.nan))
    assert worst_fields(pair, nothing).attrs["case"] == "time 10"
