import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexclim.errors import GridError
from flexclim.grids.regular_coordinates import (
    cell_bounds,
    coarsen_values,
    refine_values,
    regular_values,
    spans_globe,
    unwrap_longitudes,
)


@given(
    first=st.integers(-90, 90),
    step=st.sampled_from([-2.5, -0.25, 0.1, 1.0]),
    size=st.integers(2, 30),
    factor=st.integers(2, 6),
    point=st.booleans(),
)
def test_coarsening_undoes_refining(first, step, size, factor, point):
    values = first + step * np.arange(size)
    fine = refine_values(values, step, factor, point=point)
    assert fine.size == ((size - 1) * factor + 1 if point else size * factor)
    back = coarsen_values(fine, step / factor, factor, point=point)
    np.testing.assert_allclose(back, values, atol=1e-9)


@given(size=st.integers(3, 500), roll=st.integers(0, 500), start=st.integers(-360, 360))
def test_wrapped_longitudes_become_monotonic(size, roll, start):
    step = 350 / size
    values = (start + step * np.arange(size) + roll) % 360
    straight = unwrap_longitudes(values)
    np.testing.assert_allclose(np.diff(straight), step)
    np.testing.assert_allclose(np.cos(np.deg2rad(straight - values)), 1)


def test_values_of_float32_become_the_decimals_they_stand_for():
    values, step = regular_values("lat", (np.arange(10) / 10).astype(np.float32))
    np.testing.assert_array_equal(values, np.arange(10) / 10)
    assert step == pytest.approx(0.1, abs=1e-15)


def test_cells_touch():
    edges = cell_bounds(np.array([0.1, 0.2, 0.3]), 0.1)
    np.testing.assert_array_equal(edges[:-1, 1], edges[1:, 0])


@pytest.mark.parametrize(
    ("columns", "step", "expected"), [(360, 1.0, True), (4, -90.0, True), (359, 1.0, False)]
)
def test_columns_span_the_globe(columns, step, expected):
    assert spans_globe(columns, step) is expected


def test_text_is_no_coordinate():
    with pytest.raises(GridError, match="'lat' holds <U1, not numbers"):
        regular_values("lat", np.array(["a", "b"]))
