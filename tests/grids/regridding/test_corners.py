import numpy as np
import pytest
from grid_kinds import curvilinear, rotated_positions

from flexclim.errors import GridError
from flexclim.grids.regridding.corners import (
    checked_edges,
    closed_rows,
    corners_between,
    edges_between,
    goes_round,
    repeated,
    span,
)


def test_longitudes_round_the_sphere_close():
    edges = edges_between(np.array([10.0, 100, 190, 280]), turn=True)
    assert edges.tolist() == [[-35, 55], [55, 145], [145, 235], [235, 325]]
    uneven = edges_between(np.array([0.0, 30, 90, 200]), turn=True)
    assert uneven[-1, 1] - uneven[0, 0] == 360


def test_a_repeated_column_has_no_width():
    edges = edges_between(np.array([0.0, 90, 180, 270, 360]), turn=True)
    assert edges[-1, 1] - edges[0, 0] == 360
    assert abs(np.diff(edges)).sum() == 360


def test_rows_near_a_pole_end_there_only_round_the_sphere():
    edges = np.array([[-89.5, -88], [-88, -86]])
    assert closed_rows(edges, around=True)[0, 0] == -90
    assert closed_rows(edges, around=False)[0, 0] == -89.5


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([[0.0, 8], [10, 18]], "leave holes: 11 % of their extent, more than 1 %"),
        ([[0.0, 12], [8, 20]], "overlap: 20 % of their extent"),
        ([[0.0, np.nan], [8, 20]], "have NaN"),
    ],
)
def test_bounds_that_do_not_meet_are_errors(bounds, message):
    with pytest.raises(GridError, match=message):
        checked_edges("lat", np.array([4.0, 14]), np.array(bounds))


def test_bounds_may_lie_a_turn_away():
    edges = checked_edges(
        "lon", np.array([0.0, 90]), np.array([[315.0, 405], [45, 135]]), turn=True
    )
    assert edges.tolist() == [[-45, 45], [45, 135]]


@pytest.mark.parametrize(
    ("edges", "limits"),
    [
        ([[350.0, 10], [10, 30]], (350, 390)),
        ([[-20.0, 0], [0, 20]], (340, 380)),
        ([[0.0, 180], [180, 360]], (0, 360)),
    ],
)
def test_span_leaves_the_largest_gap_out(edges, limits):
    edges = np.array(edges)
    edges[edges[:, 1] < edges[:, 0], 1] += 360
    assert span(edges) == limits


def test_corners_of_a_rotated_grid_are_those_of_its_rows_and_columns():
    n = 60
    ds = curvilinear(n)
    lat, _ = corners_between(ds.lat.values, ds.lon.values, wraps=True)
    half = 90 / n
    y, x = (np.arange(n) + 0.5) * 180 / n - 90, (np.arange(2 * n) + 0.5) * 180 / n
    expected = rotated_positions(*np.meshgrid(y + half, x - half, indexing="ij"))
    off = np.abs(lat[..., 3] - expected[0])
    assert off.max() < 0.1  # of cells of 3 degrees


def test_missing_positions_and_jumps_do_not_move_corners_of_others():
    y, x = np.meshgrid(np.arange(5.0), np.arange(6.0), indexing="ij")
    whole = corners_between(y, x, wraps=False)
    y[2, 2] = np.nan
    x[4, 5] = 80.0
    lat, lon = corners_between(y, x, wraps=False)
    assert np.isnan(lat[2, 2]).all()
    keep = np.isfinite(y) & (x < 80)
    np.testing.assert_allclose(lat[keep], whole[0][keep], atol=0.01)
    np.testing.assert_allclose(lon[keep], whole[1][keep], atol=0.01)


def test_goes_round_and_repeated_columns():
    ds = curvilinear(8)
    lat, lon = ds.lat.values, ds.lon.values
    assert goes_round(lat, lon)
    assert not repeated(lat, lon).any()
    # Ocean grids repeat the last two columns as the first two.
    lat, lon = (np.concatenate([part, part[:, :2]], axis=1) for part in (lat, lon))
    assert not goes_round(lat, lon)
    twice = repeated(lat, lon)
    assert twice.sum() == 16
    assert twice[:, [0, -1]].all()
    assert not goes_round(lat[:, :5], lon[:, :5])
