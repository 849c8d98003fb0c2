from dataclasses import dataclass

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.verify.core import kernel
from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.merging import merge_blocks


@dataclass
class Largest:
    """The largest product of weight, truth and mean of the members in each cell."""

    value: np.ndarray

    def merge(self, other):
        return Largest(np.maximum(self.value, other.value))


def summarise(members, truth, weight, cell, cells):
    value = np.full(cells, -np.inf)
    np.maximum.at(value, cell, members.mean(axis=0) * truth * weight)
    return Largest(value)


DIMS = ["time", "y", "x"]
SHAPE = (3, 5, 4)


def make_fields():
    rng = np.random.default_rng(0)
    forecast = xr.DataArray(rng.normal(size=(2, *SHAPE)), dims=["member", *DIMS])
    forecast[0, 1, 2] = np.nan
    return forecast, xr.DataArray(rng.normal(size=SHAPE), dims=DIMS)


@settings(max_examples=12, deadline=None)
@given(
    chunks=st.none() | st.tuples(*(st.integers(1, n) for n in (2, *SHAPE))),
    kept=st.sets(st.sampled_from(DIMS)),
    lazy_weights=st.booleans(),
    block=st.sampled_from([1, 7, 1000]),
)
def test_summaries_of_any_blocks_are_those_of_numpy(chunks, kept, lazy_weights, block):
    forecast, truth = make_fields()
    weights = xr.DataArray([0.0, 1.0, 2.0, 3.0, 4.0], dims=["y"])
    product = (forecast.mean("member", skipna=False) * truth * weights).where(weights > 0)
    over = [name for name in DIMS if name not in kept]
    expected = product.max(over).fillna(-np.inf)
    if chunks is not None:
        forecast = forecast.chunk(dict(zip(["member", *DIMS], chunks, strict=True)))
    with dask.config.set(scheduler="synchronous"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "BLOCK", block)
        found = merge_blocks(
            Pair.align(forecast, truth),
            summarise,
            lambda largest, add: (largest.value + add)[:, None],
            ("part", [0]),
            weights=weights.chunk(y=2) if lazy_weights else weights,
            dim=over,
            extra=xr.DataArray(1.0),
        )
        assert (found.chunks is not None) == (chunks is not None or lazy_weights)
        found = found.compute().isel(part=0, drop=True)
    assert found.dims == expected.dims
    np.testing.assert_allclose(found, expected + 1, rtol=1e-12)
