import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.verify.core import kernel
from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.sums import sum_bins, weighted_sums

DIMS = ["realization", "time", "lat", "lon"]
SHAPE = (6, 3, 8, 10)


def make_fields():
    rng = np.random.default_rng(11)
    coords = {"lat": np.linspace(-80, 70, 8), "lon": np.arange(10.0)}
    values = rng.normal(280, 2, size=SHAPE).astype(np.float32)
    values[rng.random(SHAPE) < 0.01] = np.nan
    truth = xr.DataArray(rng.normal(280, 2, size=SHAPE[1:]), coords, DIMS[1:])
    return xr.DataArray(values, coords, DIMS), truth


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    chunks=st.tuples(*(st.integers(1, n) for n in SHAPE)),
    order=st.permutations(DIMS),
    kept=st.sets(st.sampled_from(DIMS[1:])),
)
def test_no_chunking_or_order_changes_a_sum(chunks, order, kept):
    forecast, truth = make_fields()
    over = [name for name in DIMS[1:] if name not in kept]
    lazy = forecast.chunk(dict(zip(DIMS, chunks, strict=True))).transpose(*order)
    plain = weighted_sums(Pair.align(forecast, truth), kernel.STATISTICS, dim=over)
    chunked = weighted_sums(Pair.align(lazy, truth), kernel.STATISTICS, dim=over)
    assert chunked.chunks is not None
    with dask.config.set(scheduler="synchronous"):
        chunked = chunked.compute()
    weight = plain.sel(statistic="weight").values[..., None]
    xr.testing.assert_allclose(chunked / weight, plain / weight, rtol=1e-12, atol=1e-13)


def test_sums_equal_those_of_each_point():
    pair = Pair.align(*make_fields())
    points = weighted_sums(pair, ["skill", "variance"], weights=None, dim=())
    weights = xr.DataArray(np.arange(8.0), dims=["lat"])
    found = weighted_sums(pair, ["skill", "variance"], weights=weights, dim=["lat", "lon"])
    xr.testing.assert_allclose(found, (points * weights).sum(["lat", "lon"]), rtol=1e-12)
    known = pair.truth.notnull() & pair.forecast.notnull().all("realization")
    np.testing.assert_array_equal(points.sel(statistic="weight"), known)


def test_bins_by_hand():
    forecast = xr.DataArray([[0.0, 1.0, 5.0], [0.0, np.nan, 7.0]], dims=["member", "point"])
    pair = Pair.align(forecast, xr.DataArray([1.0, 1.0, 2.0], dims=["point"]))

    def binned(members, truth, weight):
        known = ~np.isnan(members).any(axis=0)
        return known, [("truth", truth[known].astype(int), weight[known])]

    found = sum_bins(pair, binned, ["truth", "empty"], 3, weights=None, dim=None)
    assert found["truth"].values.tolist() == [0, 1, 1]
    assert found["empty"].values.tolist() == [0, 0, 0]
