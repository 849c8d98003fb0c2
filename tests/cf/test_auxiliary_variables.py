"""Which variables of a Dataset are no fields, because they describe others."""

import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.cf.fields import BOOLEANS, NUMBERS, fields_on
from flexclim.grids.discovery import find_grid
from flexclim.planning.source import resolve

PLANE = np.arange(16.0).reshape(4, 4)


@pytest.fixture
def ds():
    coords = {"lat": [3.0, 2.0, 1.0, 0.0], "lon": [5.0, 6.0, 7.0, 8.0], "vertex": range(4)}
    return xr.Dataset({"t": (("lat", "lon"), PLANE, {"units": "K"})}, coords)


def plane(**attributes):
    return ("lat", "lon"), PLANE, attributes


def corners(**attributes):
    return ("lat", "lon", "vertex"), np.zeros((4, 4, 4)), attributes


@pytest.mark.parametrize("where", ["attrs", "encoding"])
@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("ancillary_variables", "t other"),
        ("bounds", "other"),
        ("cell_measures", "area: other volume: absent"),
        ("coordinates", "lon other lat"),
        ("grid_mapping", "other"),
        ("grid_mapping", "other: lat lon"),
    ],
)
def test_what_a_variable_names_is_no_field(ds, attribute, text, where):
    getattr(ds["t"], where)[attribute] = text
    ds["other"] = plane()
    assert fields_on(ds, find_grid(ds)) == list(resolve(ds).fields) == ["t"]
    coarse = ds.flex.coarsen(2)
    planes = [name for name, field in coarse.data_vars.items() if field.ndim]
    assert planes == ["t"]
    assert ("other" in coarse) == (attribute == "grid_mapping")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("lat_vertices", corners()),
        ("lon_vertices", corners()),
        ("bounds_lon", corners()),
        ("time_vectors", corners()),
        ("grid_corner_lat", corners()),
        ("crs", plane(grid_mapping_name="latitude_longitude")),
        ("nav_lat", plane()),
        ("XLAT", plane(units="degree_north")),
        ("other", plane(standard_name="longitude")),
        ("areacella", plane(standard_name="cell_area")),
    ],
)
def test_what_looks_like_no_field_is_none(ds, name, variable):
    ds[name] = variable
    assert auxiliary_variables(ds) == {name}
    assert list(resolve(ds).fields) == list(fields_on(ds, find_grid(ds))) == ["t"]


@pytest.mark.parametrize("name", ["cloud_vertices_count", "vectors", "t_bounds", "latent", "x"])
def test_fields_with_similar_names_are_fields(ds, name):
    ds[name] = plane(units="degrees_true")
    assert fields_on(ds, find_grid(ds)) == ["t", name]


def test_names_without_variables_and_of_the_variable_itself_mean_nothing(ds):
    ds["t"].attrs |= {"coordinates": "t absent", "bounds": 3}
    assert auxiliary_variables(ds) == set()


def test_an_array_is_a_field_whatever_its_name(ds):
    area = xr.DataArray(
        PLANE, ds["t"].coords, name="areacella", attrs={"standard_name": "cell_area"}
    )
    assert flexclim.coarsen(area, 2).shape == (2, 2)


def test_booleans_count_where_fractions_have_a_meaning(ds):
    ds["wet"] = ds["t"] > 7
    grid = find_grid(ds)
    assert fields_on(ds, grid, NUMBERS + BOOLEANS) == ["t", "wet"]
    assert fields_on(ds, grid) == list(resolve(ds).fields) == ["t"]
    np.testing.assert_array_equal(ds.flex.coarsen(2)["wet"], [[0, 0], [1, 1]])
