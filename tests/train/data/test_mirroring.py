import numpy as np
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.mirroring import Components, direction, mirror
from flexclim.train.recipes.channel_settings import Input

NAMED = ("data.inputs=[u10, v10]", "data.sources.0.variables=[]", "data.sources.0.signed=false")


def test_flips_change_the_sign_of_components(folder, read, make):
    """The component across the mirror changes sign, the one along it does not."""
    recipe = read(folder, *NAMED, "data.augment=[flip_x, flip_y]", "data.points=1")
    made = make(recipe)
    signs = made._components[0]
    assert signs == Components(inputs=("x", "y"), targets=("x", "y"))
    random = np.random.default_rng(0)
    window = made.sources[0].cut(random, 4, "point", (32, 32), 3)
    for axis in (0, 1):
        turned = mirror(window, axis, signs)
        assert turned.inner[axis].start % 4 == 0
        for values, other in ((window.inputs, turned.inputs), (window.targets, turned.targets)):
            back = np.flip(other, axis + 1)
            np.testing.assert_array_equal(back[axis], values[axis])
            np.testing.assert_array_equal(back[1 - axis], -values[1 - axis])
        again = mirror(turned, axis, signs)
        np.testing.assert_array_equal(again.truth, window.truth)
        assert again.inner == window.inner
        # The coarse field of a mirrored window is the mirrored coarse field.
        np.testing.assert_allclose(
            np.flip(turned.coarse(4), axis + 1)[axis], window.coarse(4)[axis], rtol=1e-5, atol=1e-5
        )
        cut = turned.inputs[(slice(None), *turned.inner)]
        np.testing.assert_array_equal(cut, turned.truth)


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("u10", {}, "x"),
        ("v100", {}, "y"),
        ("x_wind_10m", {"standard_name": "x_wind"}, "x"),
        ("y_wind_10m", {"standard_name": "y_wind"}, "y"),
        ("a", {"standard_name": "northward_wind"}, "y"),
        ("10m_u_component_of_wind", {}, "x"),
        ("t2m", {}, None),
        ("vo", {"units": "s**-1"}, "rotation"),
        ("vo", {"units": "m s-1"}, "y"),
        ("zeta", {"units": "m"}, None),
        ("relative_vorticity", {}, "rotation"),
        ("a", {"long_name": "Wind-stress curl"}, "rotation"),
        ("a", {"long_name": "Absolute value of vorticity"}, None),
        ("p", {"long_name": "Pressure of the potential vorticity surface"}, None),
        ("a", {"standard_name": "tendency_of_eastward_wind_due_to_vorticity"}, "x"),
        ("a", {"standard_name": "atmosphere_relative_vorticity"}, "rotation"),
    ],
)
def test_components_are_known_by_name_or_attribute(name, attributes, expected):
    field = xr.DataArray(0.0, name=name, attrs=attributes)
    assert direction(Input(name=name), field) == expected
    for told, known in (("y", "y"), ("rotation", "rotation"), ("scalar", None)):
        assert direction(Input(name=name, component=told), field) == known


def test_what_rotates_changes_sign_in_each_mirror_image(folder, read, make):
    """A mirrored patch keeps its vorticity that of its wind."""
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds.assign(vo=(ds.u10 * ds.v10 + 1).assign_attrs(units="s-1")).to_netcdf(folder / "wind.nc")
    named = ("data.inputs=[u10, v10, vo]", *NAMED[1:], "data.augment=[flip_x, flip_y]")
    made = make(read(folder, *named, "data.points=1"))
    window = made.sources[0].cut(np.random.default_rng(0), 4, "point", (32, 32), 3)

    for axis in (0, 1):
        turned = mirror(window, axis, made._components[0])
        np.testing.assert_array_equal(np.flip(turned.inputs[2], axis), -window.inputs[2])


def test_a_component_of_unknown_direction():
    field = xr.DataArray(0.0, name="wind", attrs={"long_name": "a component of wind"})
    with pytest.raises(RecipeError, match="Give it component: x"):
        direction(Input(name="wind"), field)
