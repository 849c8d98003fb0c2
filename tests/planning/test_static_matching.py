"""Static fields found by meaning, on grids of every kind."""

import numpy as np
import pytest
import xarray as xr
from grid_kinds import KINDS, smooth

from flexclim.grids.discovery import find_grid
from flexclim.planning.source import resolve_static
from flexclim.planning.static_matching import matched_statics
from flexclim.planning.static_units import convert_statics


def field(units="m", **attrs):
    return ((), 98.0665, {"units": units, **attrs})


@pytest.mark.parametrize(
    ("name", "one", "wanted", "value"),
    [
        ("HGT_M", field(), "orog", 98.0665),
        ("surf", field("km", standard_name="surface_altitude"), "orog", 98066.5),
        ("z", field("m**2 s**-2", standard_name="geopotential"), "orog", 10.0),
        ("PHIS", field("m2/s2"), "orography", 10.0),
        ("sftlf", field("%", standard_name="land_area_fraction"), "lsm", 0.980665),
        ("LANDMASK", field("1"), "lsm", 98.0665),
        ("mask", field("1", standard_name="land_binary_mask"), "land_sea_mask", 98.0665),
    ],
)
def test_fields_are_found_by_meaning(name, one, wanted, value):
    static = xr.Dataset({name: one, "slope": field("1")})
    found = convert_statics(
        matched_statics(static, [wanted]), {wanted: "1" if "l" in wanted[:1] else "m"}
    )
    np.testing.assert_allclose(found[wanted], value)


def test_own_name_and_lengths_come_first():
    both = xr.Dataset({"z": field("m2 s-2"), "topo": field()})
    assert matched_statics(both, ["orog"]).orog.attrs["units"] == "m"
    assert matched_statics(both.rename(topo="orog"), ["orog"]).orog.equals(both.topo)
    assert "orog" not in matched_statics(both.assign(dem=both.topo), ["orog"])
    sea = xr.Dataset({"tmask": field("1", standard_name="sea_binary_mask")})
    assert "lsm" not in matched_statics(sea, ["lsm", "slope"])


@pytest.mark.parametrize("kind", KINDS)
def test_fields_of_any_grid(kind):
    made = KINDS[kind](18)
    static = made.to_dataset() if isinstance(made, xr.DataArray) else made
    one = resolve_static(static, ["t"], find_grid(KINDS["regular"]()))
    grid = one["t"].grid
    assert grid.geographic
    lat, lon = np.meshgrid(grid.y_values, grid.x_values, indexing="ij")
    values = one["t"].field.values
    apart = np.abs(values - smooth(lat, lon))[np.isfinite(values)]
    assert apart.size > 100
    assert np.median(apart) < 0.06
