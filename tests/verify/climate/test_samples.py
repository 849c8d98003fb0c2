import dask
import numpy as np
import pytest
import xarray as xr

from flexclim import verify
from flexclim.verify.climate import samples
from flexclim.verify.climate.samples import by_cell, sorted_quantiles
from flexclim.verify.climate.yearly_series import time_series

CLIMATE = verify.climate


def test_quantiles_are_those_of_numpy_without_missing_values():
    values = np.random.default_rng(0).normal(size=(7, 30))
    values[2, 5:] = np.nan
    values[3, 1:] = np.nan
    levels = [0, 0.1, 0.5, 0.99, 1]
    np.testing.assert_allclose(
        sorted_quantiles(values, levels), np.nanquantile(values, levels, axis=-1).T, rtol=1e-12
    )


@pytest.mark.parametrize("pooled", [True, False])
def test_chunks_hold_whole_series_of_some_cells(daily_field, monkeypatch, pooled):
    field = time_series(daily_field(1, members=2))
    sizes = []

    def total(values):
        sizes.append(values.nbytes)
        axes = (-2, -1) if pooled else (-1,)
        return values.sum(axis=axes)[..., None]

    monkeypatch.setattr(samples, "CHUNK_BYTES", 3 * 2 * 365 * 8)
    lazy = by_cell(field.chunk(time=100, realization=1), total, ("part", [0]), pooled=pooled)
    sizes.clear()
    found = lazy.compute(scheduler="synchronous")
    assert max(sizes) <= 3 * 2 * 365 * 8
    over = ["time", "realization"] if pooled else ["time"]
    np.testing.assert_allclose(found.isel(part=0), field.sum(over), rtol=1e-12)


def refuse(*args, **kwargs):
    raise AssertionError("computed")


@pytest.mark.parametrize(
    "function",
    [
        CLIMATE.climatology,
        CLIMATE.seasonal_cycle,
        CLIMATE.spells,
        CLIMATE.indices,
        lambda field: CLIMATE.days_above(field, 1.0),
        lambda field: CLIMATE.return_levels(field, [2]),
        lambda field: CLIMATE.change_signal({"GCM": (field, field)}),
    ],
)
def test_nothing_is_computed_before_it_is_asked_for(daily_field, function):
    field = daily_field(10, name="pr").assign_attrs(units="mm d-1").chunk(time=1000)
    with dask.config.set(scheduler=refuse):
        found = function(field)
    parts = found.data_vars.values() if isinstance(found, xr.Dataset) else [found]
    assert all(part.chunks is not None for part in parts)
