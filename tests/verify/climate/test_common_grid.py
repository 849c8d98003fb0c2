import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError
from flexclim.verify.climate import common_grid
from flexclim.verify.climate.common_grid import area_mean


def join_sources(maps, keep):
    each = {name: one.to_dataset(name="map") for name, one in maps.items()}
    return common_grid.join_sources(each, keep)["map"]


def field(values, **coords):
    return xr.DataArray(values, coords, list(coords), attrs={"units": "K"})


def test_equal_grids_are_joined_as_they_are():
    first = field([[1.0, 2], [3, 4]], lat=[0.0, 1], lon=[5.0, 6])
    turned = first.isel(lat=[1, 0]).rename(lat="latitude", lon="longitude")
    found = join_sources({"a": first, "b": turned}, ())
    assert found.source.values.tolist() == ["a", "b"]
    np.testing.assert_array_equal(found[0], found[1])


def test_finer_maps_are_averaged_and_areas_outside_are_nan():
    coarse = field(np.ones((2, 2)), lat=[0.5, 1.5], lon=[5.5, 6.5])
    fine = field(
        np.arange(16.0).reshape(4, 4), lat=[0.25, 0.75, 1.25, 1.75], lon=[5.25, 5.75, 6.25, 6.75]
    )
    found = join_sources({"a": coarse, "b": fine}, ()).sel(source="b")
    np.testing.assert_allclose(found, [[2.5, 4.5], [10.5, 12.5]], atol=1e-3)
    part = join_sources({"a": coarse, "b": fine.isel(lon=slice(0, 2))}, ()).sel(source="b")
    assert part.isnull().values.tolist() == [[False, True], [False, True]]
    both = join_sources({"a": coarse, "b": fine.isel(lon=slice(0, 2))}, ())
    assert float(area_mean(both, ()).sel(source="b")) == pytest.approx(6.5, abs=1e-2)
    assert float(area_mean(both, ()).sel(source="a")) == 1


def test_stations_must_be_the_same():
    stations = xr.DataArray(
        [1.0, 3.0], {"lat": ("station", [1.0, 2]), "lon": ("station", [1.0, 2])}, ["station"]
    )
    found = join_sources({"a": stations, "b": stations + 1}, ())
    np.testing.assert_allclose(area_mean(found, ()), [2, 3])
    moved = stations.assign_coords(lat=("station", [1.0, 3]))
    with pytest.raises(AlignmentError, match="'lat' differs"):
        join_sources({"a": stations, "b": moved}, ())
    with pytest.raises(AlignmentError):
        join_sources(
            {"a": stations, "b": field(np.ones((2, 2)), lat=[0.5, 1.5], lon=[5.5, 6.5])}, ()
        )
