"""The accessor passes everything on to the public functions, and says what it understood."""

import inspect
import re
import subprocess
import sys

import cftime
import dask
import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.accessor import DataArrayAccessor, DatasetAccessor, Method
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


@pytest.mark.parametrize("module", [flexclim, flexclim.train, flexclim.verify])
def test_all_public_functions_suggest_options(module):
    functions = [getattr(module, name) for name in module.__all__]
    for function in filter(inspect.isfunction, functions):
        if inspect.signature(function).parameters:
            with pytest.raises(FlexclimError, match=rf"{function.__name__}\(\) has no option 'zq'"):
                function(zq=1)


# What was understood


def test_summary_of_a_dataset(field):
    times = np.array(["2020-02-28T18", "2020-02-29T00", "2020-02-29T06"], "M8[ns]")
    ds = xr.Dataset({"t2m": field if isinstance(field, xr.DataArray) else field.t2m})
    ds = ds.expand_dims(time=times, realization=[0, 1]).assign(
        u10=ds.t2m.assign_attrs(units="m s-1"), name=("lat", list("abcdefgh"))
    )
    assert repr(ds.flex).splitlines() == [
        "<flexclim on a Dataset>",
        "Grid:       regional, 8 x 8 cells of 1 x 1 degrees, lat 50 to 43, lon 0 to 7",
        "Variables:  t2m, u10 (m s-1)",
        "Time:       2020-02-28T18:00 to 2020-02-29T06:00 (3 times, every 6 h)",
        "Calendar:   proleptic_gregorian",
        "Members:    2 along realization",
    ]


def test_summary_of_uneven_times_of_another_calendar(field):
    days = [cftime.DatetimeNoLeap(2000, month, 1) for month in (1, 2, 3)]
    text = repr(field.expand_dims(time=days).flex)
    assert "2000-01-01T00:00 to 2000-03-01T00:00 (3 times, 28 days to 31 days apart)" in text
    assert "Calendar:   noleap" in text
    scalar = repr(field.assign_coords(time=np.datetime64("2020-01-01T00", "ns")).flex)
    assert "Time:       2020-01-01T00:00\n" in scalar


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda field: field.drop_vars("lon"), "Grid:       not found: "),
        (lambda field: field.astype("int16").assign_attrs(scale_factor=2), "Variables:  can't be"),
        (lambda field: field.rename("lat"), "Variables:  can't be used: the array has"),
        (lambda field: field.astype(str), "Variables:  none with numbers along lat and lon"),
    ],
)
def test_summary_says_why_a_field_can_not_be_used(field, change, reason):
    array = field if isinstance(field, xr.DataArray) else field.t2m
    title, *_, last = repr(change(array).flex).splitlines()
    assert title == "<flexclim on a DataArray>"
    assert last.startswith(reason)


def test_summary_as_html_takes_the_colours_of_its_page(field):
    unsafe = (field if isinstance(field, xr.DataArray) else field.t2m).rename("<b>")
    html = unsafe.flex._repr_html_()
    for line in repr(unsafe.flex).splitlines()[1:]:
        assert line.split(": ", 1)[0] in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "currentColor" in html
    assert "background" not in html
    assert not re.search(r"#[0-9a-f]{3}|rgb", html)


def test_summary_computes_nothing(field):
    def refuse(*_, **__):
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=refuse):
        assert "t2m" in repr(field.chunk().flex)
        assert "t2m" in field.chunk().flex._repr_html_()


def test_summary_loads_no_torch():
    code = (
        "import sys, xarray as xr, flexclim; "
        "repr(xr.DataArray([[0., 1.]] * 2, {'lat': [1, 0], 'lon': [0, 1]}).flex); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
