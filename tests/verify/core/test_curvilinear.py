import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, coarsen, interpolate, verify
from flexclim.grids.cell_corners import polygon_area, unit_vectors
from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.curvilinear import (
    distance,
    find_positions,
    quadrilateral_area,
)
from flexclim.verify.evaluation import gather


def rotated(rows=24, columns=36, pole=50.0):
    """Return 2-D latitudes and longitudes of a grid turned about the x axis, and its rows."""
    rlat = -60 + (np.arange(rows) + 0.5) * 120 / rows
    rlon = (np.arange(columns) + 0.5) * 360 / columns
    x, y, z = np.moveaxis(unit_vectors(*np.meshgrid(rlat, rlon, indexing="ij")), -1, 0)
    turn = np.deg2rad(90 - pole)
    y, z = y * np.cos(turn) - z * np.sin(turn), y * np.sin(turn) + z * np.cos(turn)
    return np.rad2deg(np.arcsin(z)), np.rad2deg(np.arctan2(y, x)), rlat


def exact(rlat):
    """Return areas of the rows, integrated: differences of the sines of their edges."""
    half = abs(rlat[1] - rlat[0]) / 2
    return np.sin(np.deg2rad(rlat + half)) - np.sin(np.deg2rad(rlat - half))


def test_polygons_cover_the_sphere():
    lat, lon = np.linspace(-90, 90, 13), np.linspace(0, 360, 13)
    north, east = np.meshgrid(lat, lon, indexing="ij")
    points = unit_vectors(north, east)
    corners = [points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]]
    area = polygon_area(np.stack(corners, axis=-2))
    assert area.sum() == pytest.approx(4 * np.pi, rel=1e-12)
    backwards = polygon_area(np.stack(corners[::-1], axis=-2))
    np.testing.assert_allclose(backwards, area, rtol=1e-12)


def test_distances_are_angles():
    left, right = (
        unit_vectors(np.array([0.0, 80.0]), np.array([0.0, 10.0])),
        unit_vectors(np.array([0.0, 90.0]), np.array([1e-7, 200.0])),
    )
    np.testing.assert_allclose(distance(left, right), [1e-7, 10.0], rtol=1e-6)


def test_cells_between_centres_have_the_integrated_areas():
    lat, lon, rlat = rotated(60, 90)
    area = quadrilateral_area(lat, lon)
    expected = np.broadcast_to(exact(rlat)[:, None] * np.deg2rad(4), area.shape)
    np.testing.assert_allclose(area[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=2e-3)
    np.testing.assert_allclose(area, expected, rtol=1e-2)  # borders are continued linearly


def test_missing_centres_change_no_neighbour_by_much():
    lat, lon, _ = rotated(60, 90)
    area = quadrilateral_area(lat, lon)
    lat[20:40, 30:50] = np.nan
    holed = quadrilateral_area(lat, lon)
    assert (np.isnan(holed) == np.isnan(lat)).all()
    known = ~np.isnan(lat)
    np.testing.assert_allclose(holed[known], area[known], rtol=1e-2)


def ocean(error):
    lat, lon, rlat = rotated()
    truth = xr.DataArray(
        np.zeros((2, *lat.shape)),
        {"nav_lat": (("y", "x"), lat), "nav_lon": (("y", "x"), lon)},
        ["time", "y", "x"],
        "sst",
    )
    return (truth + error(rlat)[:, None]).rename("sst"), truth, rlat


@pytest.mark.parametrize("indices", [False, True])
def test_scores_on_a_curvilinear_grid_are_weighted_by_area(indices):
    forecast, truth, rlat = ocean(lambda rlat: np.where(abs(rlat) > 40, 5.0, 1.0))
    if indices:
        axes = {"y": np.arange(24) + 1, "x": np.arange(36)}
        forecast, truth = forecast.assign_coords(axes), truth.assign_coords(axes)
    error = np.where(abs(rlat) > 40, 5.0, 1.0)
    expected = np.average(error**2, weights=exact(rlat)) ** 0.5
    assert float(verify.rmse(forecast, truth)) == pytest.approx(expected, rel=4e-3)
    assert abs(np.mean(error**2) ** 0.5 / expected - 1) > 0.05
    whole = verify.rmse(forecast.to_dataset().reset_coords(), truth.to_dataset().reset_coords())
    assert list(whole) == ["sst"]
    assert float(whole.sst) == pytest.approx(float(verify.rmse(forecast, truth)), rel=1e-12)
    lazy = verify.rmse(forecast.chunk(time=1), truth.chunk(y=5))
    assert float(lazy) == pytest.approx(float(verify.rmse(forecast, truth)), rel=1e-12)


def test_rotated_and_projected_rows_keep_their_weights():
    forecast, truth, rlat = ocean(lambda rlat: rlat)
    lengths = {"y": ("y", np.arange(24) * 1e3, {"units": "m"}), "x": np.arange(36) * 1e3}
    plain, flat = forecast.assign_coords(lengths), truth.assign_coords(lengths)
    assert float(verify.rmse(plain, flat)) == pytest.approx(np.mean(rlat**2) ** 0.5)
    axes = {"rlat": rlat, "rlon": (np.arange(36) + 0.5) * 10}
    turned = [one.rename(y="rlat", x="rlon").assign_coords(axes) for one in (forecast, truth)]
    expected = np.average(rlat**2, weights=exact(rlat)) ** 0.5
    assert float(verify.rmse(*turned)) == pytest.approx(expected, rel=1e-12)


def test_cells_must_lie_at_the_same_places():
    forecast, truth, _ = ocean(np.zeros_like)
    narrow = forecast.assign_coords(
        {n: forecast[n].astype("float32") % 360 for n in ("nav_lat", "nav_lon")}
    )
    narrow["nav_lat"] = forecast.nav_lat.astype("float32")
    assert float(verify.mae(narrow, truth)) == 0
    decimals = forecast.assign_coords({n: forecast[n].round(2) for n in ("nav_lat", "nav_lon")})
    assert float(verify.mae(decimals, truth)) == 0
    for other in (
        forecast.isel(x=slice(None, None, -1)),
        forecast.assign_coords(nav_lon=forecast.nav_lon + 4.0),
    ):
        with pytest.raises(AlignmentError, match=r"lie elsewhere .* of a spacing; .*'nav_lat'"):
            verify.mae(other, truth)


def test_dimensions_are_found_by_2d_positions():
    _, truth, _ = ocean(np.zeros_like)
    renamed = truth.rename(y="nlat", x="nlon")
    positions = find_positions(renamed)
    assert positions is not None
    assert positions[0].dims == ("nlat", "nlon")
    assert verify.spectrum(renamed + 1.0).dims == ("wavenumber",)
    assert find_positions(truth.drop_vars("nav_lat")) is None


def test_interpolated_positions_are_near_enough():
    _, truth, _ = ocean(np.zeros_like)
    rng = np.random.default_rng(0)
    truth = truth.copy(data=rng.normal(size=truth.shape))
    fine = interpolate(coarsen(truth, 4), 4)
    assert abs(fine.nav_lon - truth.nav_lon).max() > 0.1
    assert float(verify.mae(fine, truth)) > 0
    assert verify.residuals(truth, 4).dims == truth.dims
    own = Pair.align(fine, truth)
    for field in gather(own, coarsen(truth, 4), None, 0).values():
        assert Pair.align(field, own.truth).truth.shape == truth.shape
