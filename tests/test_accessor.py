"""The accessor passes everything on to the public functions."""

import inspect
import re
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.accessor import DataArrayAccessor, DatasetAccessor, DataTreeAccessor, Method
from flexclim.errors import FlexclimError


@pytest.fixture(params=["dataset", "array"])
def field(request):
    array = xr.DataArray(
        np.arange(64.0).reshape(8, 8),
        {"lat": np.arange(50.0, 42.0, -1), "lon": np.arange(8.0)},
        ("lat", "lon"),
        name="t2m",
    )
    return array if request.param == "array" else array.to_dataset()


@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("downscale", (4,), {"members": 3, "seed": 5}),
        ("forecast", (["6h"],), {"members": 3}),
        ("forecast_to_zarr", ("a.zarr", 2), {"seed": 5}),
        ("coarsen", (2,), {"grid": "cell"}),
        ("interpolate", (2, "nearest"), {}),
    ],
)
def test_method_calls_its_function(monkeypatch, field, method, arguments, options):
    calls = []

    def function(*given, **named):
        calls.append((given, named))
        return "result"

    monkeypatch.setattr(flexclim, method, function)
    assert getattr(field.flex, method)(*arguments, **options) == "result"
    ((given, named),) = calls
    assert given[0] is field
    assert given[1:] == arguments
    assert named == options


def test_factor_has_the_same_name_everywhere(monkeypatch, field):
    monkeypatch.setattr(flexclim, "downscale", lambda obj, factor, **_: factor)
    assert field.flex.downscale(factor=4) == 4


def test_store_comes_before_factor(monkeypatch, field):
    monkeypatch.setattr(
        flexclim,
        "downscale_to_zarr",
        lambda obj, store, factor, **_: (store, factor),
        raising=False,
    )
    assert field.flex.downscale_to_zarr("fine.zarr", factor=4) == ("fine.zarr", 4)


def test_coarsen_and_interpolate_really_run(field):
    assert field.flex.coarsen(2).sizes["lat"] == 4
    assert field.flex.interpolate(2, method="bilinear").sizes["lon"] == 16


def test_grid_is_found(field):
    assert field.flex.grid.domain.shape == (8, 8)


METHODS = [name for name, one in vars(DatasetAccessor).items() if isinstance(one, Method)]


@pytest.mark.parametrize("name", METHODS)
def test_methods_have_signature_and_documentation_of_their_functions(field, name):
    function, method = getattr(flexclim, name), getattr(field.flex, name)
    first, *others = inspect.signature(function).parameters.values()
    assert first.name in ("obj", "past")
    assert list(inspect.signature(method).parameters.values()) == others
    assert not [one for one in others if one.kind is one.VAR_KEYWORD]
    assert inspect.getdoc(method) == inspect.getdoc(function)
    assert getattr(type(field.flex), name) is function


def test_datasets_and_arrays_have_the_same_methods():
    assert [name for name, one in vars(DataArrayAccessor).items() if type(one) is Method] == METHODS
    of_trees = {name for name in dir(DataTreeAccessor) if name[0] != "_"}
    assert of_trees == {"coarsen", "downscale", "forecast", "interpolate", "regrid"}
    assert {*METHODS, "grid"} == {name for name in dir(DatasetAccessor) if name[0] != "_"}


@pytest.mark.parametrize("name", METHODS)
def test_a_misspelt_option_gets_a_suggestion(field, name):
    *_, option = inspect.signature(getattr(field.flex, name)).parameters
    message = f"{name}() has no option {option[:-1]!r}; did you mean {option!r}?"
    with pytest.raises(FlexclimError, match=re.escape(message)):
        getattr(field.flex, name)(**{option[:-1]: None})


def test_the_option_of_another_library_gets_a_suggestion(field):
    with pytest.raises(FlexclimError, match="did you mean 'members'"):
        field.flex.downscale_to_zarr("x.zarr", 4, member=2)


def test_import_loads_no_torch():
    code = "import sys, flexclim; assert 'torch' not in sys.modules; flexclim.FlexclimError"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    for name in flexclim.__all__:
        assert getattr(flexclim, name) is not None
    assert set(flexclim.__all__) <= set(dir(flexclim))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'downscal'"):
        flexclim.downscal  # noqa: B018


def test_a_tree_is_treated_group_by_group(field):
    if isinstance(field, xr.DataArray):
        field = field.to_dataset()
    grid = field.coords.to_dataset()
    tree = xr.DataTree.from_dict(
        {"/": grid.assign_attrs(title="models"), "a": field.drop_vars(grid), "b/c": field + 1}
    )
    coarse = tree.flex.coarsen(factor=2)
    assert [group.path for group in coarse.subtree] == [group.path for group in tree.subtree]
    xr.testing.assert_equal(coarse["a"].to_dataset(), field.flex.coarsen(2))
    xr.testing.assert_equal(coarse["b/c"].to_dataset(), (field + 1).flex.coarsen(2))
    assert coarse.attrs == {"title": "models"}
    assert "/b/c\n<flexclim on a Dataset>" in repr(tree.flex)
    with pytest.raises(flexclim.GridError, match=r"^group /a: factor 3 does not fit"):
        tree.flex.coarsen(3)
