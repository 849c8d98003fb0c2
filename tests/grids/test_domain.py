import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexclim.errors import GridError
from flexclim.grids.domain import Domain

GLOBAL_CELLS = Domain(shape=(4, 6), wrap=True, north="pole_edge", south="pole_edge")
GLOBAL_POINTS = Domain(shape=(5, 8), kind="point", wrap=True, north="pole_row", south="pole_row")
REGION = Domain(shape=(4, 6))
REGION_POINTS = Domain(shape=(5, 7), kind="point")


def extended_rows(domain, top, bottom):
    rows, columns, turned = domain.extension(top, bottom, 0, 0)
    return rows[:, 0].tolist(), columns[:, 0].tolist(), turned[:, 0].tolist()


def test_extension_at_plain_edges_mirrors_cells_between_edges():
    rows, columns, turned = REGION.extension(2, 2, 1, 2)
    assert rows[:, 0].tolist() == [1, 0, 0, 1, 2, 3, 3, 2]
    assert columns[0].tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 4]
    assert not turned.any()


def test_extension_at_plain_edges_mirrors_points_about_the_last_one():
    rows, columns, _ = REGION_POINTS.extension(2, 1, 1, 2)
    assert rows[:, 0].tolist() == [2, 1, 0, 1, 2, 3, 4, 3]
    assert columns[0].tolist() == [1, 0, 1, 2, 3, 4, 5, 6, 5, 4]


def test_extension_across_a_pole_edge_goes_on_half_a_turn_away():
    assert extended_rows(GLOBAL_CELLS, 2, 1) == (
        [1, 0, 0, 1, 2, 3, 3],
        [3, 3, 0, 0, 0, 0, 3],
        [True, True, False, False, False, False, True],
    )


def test_extension_across_a_pole_row_does_not_repeat_it():
    assert extended_rows(GLOBAL_POINTS, 2, 1) == (
        [2, 1, 0, 1, 2, 3, 4, 3],
        [4, 4, 0, 0, 0, 0, 0, 4],
        [True, True, False, False, False, False, False, True],
    )


def test_extension_wraps_columns():
    _, columns, _ = GLOBAL_CELLS.extension(0, 0, 2, 1)
    assert columns[0].tolist() == [4, 5, 0, 1, 2, 3, 4, 5, 0]


def walk(domain, row):
    """Step from inside to ``row`` one cell at a time, turning at borders."""
    height = domain.shape[0]
    start, step = (0, -1) if row < 0 else (height - 1, 1)
    at, turned = start, False
    for _ in range(row if row < 0 else 0, 0) if row < 0 else range(height - 1, row):
        after = at + step
        if 0 <= after < height:
            at = after
            continue
        border = domain.north if after < 0 else domain.south
        repeats = border == "pole_edge" or (border == "edge" and domain.kind == "cell")
        turned ^= border != "edge"
        step = -step
        at = at if repeats else at + step
    return at, turned


@pytest.mark.parametrize(
    "domain",
    [
        GLOBAL_CELLS,
        GLOBAL_POINTS,
        REGION,
        REGION_POINTS,
        Domain(shape=(4, 6), wrap=True, north="pole_edge"),
        Domain(shape=(4, 6), kind="point", wrap=True, south="pole_row"),
        Domain(shape=(2, 2), kind="point"),
    ],
)
def test_extension_far_beyond_borders_is_a_walk_that_turns_at_them(domain):
    height = domain.shape[0]
    frame = 3 * height
    rows, _, turned = domain.extension(frame, frame, 0, 0)
    outside = [*range(-frame, 0), *range(height, height + frame)]
    for row in outside:
        assert (rows[row + frame, 0], turned[row + frame, 0]) == walk(domain, row), row


def test_a_single_row_or_column_repeats():
    rows, columns, _ = Domain(shape=(1, 1)).extension(2, 2, 2, 2)
    assert not rows.any()
    assert not columns.any()


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    factor=st.integers(2, 6),
    kind=st.sampled_from(["cell", "point"]),
    wrap=st.booleans(),
)
def test_coarsen_undoes_refine(height, width, factor, kind, wrap):
    if kind == "point":
        height, width = height + 1, width + 1
    domain = Domain(shape=(height, width), kind=kind, wrap=wrap)
    assert domain.refine(factor).coarsen(factor) == domain


@given(size=st.integers(2, 40), factor=st.integers(2, 9), kind=st.sampled_from(["cell", "point"]))
def test_the_crop_that_an_error_names_fits(size, factor, kind):
    domain = Domain(shape=(size, size), kind=kind)
    try:
        domain.coarsen(factor)
    except GridError as error:
        if "smaller than one block" in str(error):
            assert size - (kind == "point") < factor
            return
        height, width = (
            int(n) for n in str(error).split("crop that fits is ")[1].split(".")[0].split(" x ")
        )
        assert size - factor < height < size
        Domain(shape=(height, width), kind=kind).coarsen(factor)


def test_poles_need_an_even_number_of_columns():
    odd = Domain(shape=(4, 6), wrap=True, north="pole_edge", south="pole_edge").coarsen(2)
    assert (odd.shape, odd.north, odd.south) == ((2, 3), "edge", "edge")


def test_extension_indexes_a_field():
    field = np.arange(24.0).reshape(4, 6)
    rows, columns, _ = GLOBAL_CELLS.extension(1, 1, 1, 1)
    frame = field[rows, columns]
    np.testing.assert_array_equal(frame[0, 1:-1], np.roll(field[0], 3))
    np.testing.assert_array_equal(frame[1:-1, 0], field[:, -1])
