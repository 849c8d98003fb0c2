"""Numbers that coordinates mean: exact, whatever their rounding in a file."""

from fractions import Fraction

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.cf.coordinates import grid_coordinates
from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.lattice import Line, fit_line, simplest, snap
from flexclim.grids.regular_coordinates import refine_values, regular_values


def meant(start, step, size, dtype=float):
    """Return the nearest numbers to exact multiples, as a file holds them."""
    return np.array([float(start + step * i) for i in range(size)]).astype(dtype)


def fine_field(start, step, size, dtype):
    """Return a field whose rows and columns both have these coordinates."""
    values = meant(start, step, size, dtype)
    return xr.DataArray(
        np.zeros((size, size), "f4"), {"lat": values, "lon": values}, ("lat", "lon"), name="a"
    )


def on_grid(grid, source):
    """Return an empty field with the coordinates of a grid."""
    coordinates = grid_coordinates(grid, source)
    return xr.DataArray(
        np.broadcast_to(np.float32(0), grid.domain.shape),
        {name: coordinates[name] for name in ("lat", "lon")},
        ("lat", "lon"),
    )


STEPS = ["0.025", "0.01", "0.05", "0.1", "0.3", "1/12", "1/60", "1/1024", "2.5"]


@given(
    step=st.sampled_from(STEPS).map(Fraction),
    first=st.integers(-80, 10),
    half=st.booleans(),
    factor=st.integers(2, 5),
    dtype=st.sampled_from(["f4", "f8"]),
    kind=st.sampled_from(["cell", "point"]),
    north_first=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_the_fine_grid_of_a_coarsened_field_has_its_numbers(
    step, first, half, factor, dtype, kind, north_first
):
    start = first + (step / 2 if half else 0)
    truth = fine_field(start, step, 6 * factor + (kind == "point"), dtype)
    truth = truth.isel(lat=slice(None, None, -1)) if north_first else truth
    coarse = on_grid(find_grid(truth, kind).coarsened(factor), truth)
    fine = on_grid(find_grid(coarse, kind).refined(factor), coarse)
    for name in ("lat", "lon"):
        # Coarse float32 values of a step such as 1/1024 do not tell every last digit.
        np.testing.assert_array_max_ulp(fine[name].values, truth[name].values, dtype == "f4")
        assert fine[name].dtype == truth[name].dtype


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_fine_field_and_the_truth_can_be_subtracted(dtype):
    truth = fine_field(Fraction("40.0125"), Fraction("0.025"), 40, dtype)
    fine = truth.flex.coarsen(4).flex.interpolate(4)
    assert (fine - truth).shape == truth.shape


def test_a_tenth_of_a_degree_becomes_fortieths():
    values, step = regular_values("lat", 0.1 * np.arange(1, 11))  # 0.30000000000000004
    np.testing.assert_array_equal(values, np.arange(1, 11) / 10)
    fine = refine_values(values, step, 4, point=True)
    np.testing.assert_array_equal(fine, np.round(0.1 + 0.025 * np.arange(37), 3))


@pytest.mark.parametrize(("step", "digits"), [("1/12", 2), ("1/16", 2), ("1/60", 3), ("1/1024", 4)])
@pytest.mark.parametrize("start", [0, 47])
def test_values_with_few_decimals_are_regular(step, digits, start):
    exact = meant(start + Fraction(step) / 2, Fraction(step), 200)
    values, found = regular_values("lat", np.round(exact, digits))
    np.testing.assert_allclose(values, exact, atol=0.5 * 10.0**-digits)
    np.testing.assert_allclose(np.diff(values), found, rtol=1e-9)
    assert found == pytest.approx(float(Fraction(step)), rel=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],  # one is missing
        [10.0, 12.0, 15.0],  # too few to tell
        np.round(np.cumsum(np.linspace(0.1, 0.12, 40)), 2),  # stretched
        [89.14, 88.03, 86.91, 85.79, 84.67, 83.55, 82.43, 81.31, 80.21],
    ],
)
def test_uneven_values_are_refused_all_the_same(values):
    with pytest.raises(GridError, match="'lat' is not regular"):
        regular_values("lat", np.asarray(values))


def test_longitudes_that_jump_keep_their_numbers():
    step = Fraction(1, 12)
    exact = np.array([float((i * step + 359) % 360) for i in range(24)])
    values, _ = regular_values("lon", exact, longitude=True)
    np.testing.assert_array_equal(values, exact)
    assert values[12] == 0


def test_numbers_that_mean_no_fraction_stay_as_they_are():
    values = -1064984.2681284842 + 2500.0 * np.arange(9)
    found, step = regular_values("x", values)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(refine_values(found, step, 5, point=True)[::5], values)


def test_a_forecast_s_grid_keeps_the_numbers_of_the_file():
    summed = np.cumsum(np.full(20, 0.1))
    assert (summed != np.round(summed, 1)).any()
    field = xr.DataArray(np.zeros((20, 20)), {"lat": summed, "lon": summed}, ("lat", "lon"))
    np.testing.assert_array_equal(grid_coordinates(find_grid(field), field)["lat"], summed)
    points = find_grid(field, "point").refined(2)
    np.testing.assert_array_equal(grid_coordinates(points, field)["lat"][::2], summed)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.3, 0.34, Fraction(1, 3)),
        (3.14, 3.15, Fraction(22, 7)),
        (-0.3, 0.2, 0),
        (2.0, 2.5, 2),
        (-0.34, -0.33, Fraction(-1, 3)),
    ],
)
def test_the_simplest_fraction(low, high, expected):
    assert simplest(low, high) == expected


@given(
    low=st.fractions(0, 5, max_denominator=999), width=st.fractions("1/999", 1, max_denominator=999)
)
@settings(max_examples=30, deadline=None)
def test_the_simplest_fraction_by_trying(low, width):
    found = simplest(low, low + width)
    assert low <= found <= low + width
    for denominator in range(1, found.denominator):
        assert np.ceil(low * denominator) > (low + width) * denominator


def test_a_line_by_hand():
    line = fit_line(np.array([0.33, 0.67, 1.0, 1.33]), 0.005, certain=False)
    assert line == Line(Fraction(1, 3), Fraction(1, 3))
    np.testing.assert_array_equal(line.values(3), [1 / 3, 2 / 3, 1])
    assert fit_line(np.array([0.0, 1.0, 3.0]), 0.1) is None
    np.testing.assert_array_equal(snap(np.array([0.1 + 0.2, 0.4]), 0.1), [0.3, 0.4])
