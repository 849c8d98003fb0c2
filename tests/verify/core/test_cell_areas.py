import numpy as np
import pytest
import xarray as xr

from flexclim import GridError, verify
from flexclim.verify.core.cell_areas import area_weights


def pair(lat=(-60.0, 0.0, 60.0), **coords):
    axes = {"lat": list(lat), "lon": [0.0, 120.0, 240.0, 300.0]}
    truth = xr.DataArray(np.zeros((len(lat), 4)), axes, ["lat", "lon"], "t")
    forecast = (truth + xr.DataArray(np.arange(1.0, 1 + len(lat)), dims=["lat"])).rename("t")
    return forecast.assign_coords(coords), truth.assign_coords(coords)


def mean(weights, values=(1.0, 2.0, 3.0)):
    return np.average(values, weights=weights)


def test_stated_bounds_of_rows_are_used():
    forecast, truth = (one.to_dataset() for one in pair())
    edges = [[-90.0, -50.0], [-50.0, 10.0], [10.0, 90.0]]
    expected = mean(np.diff(np.sin(np.deg2rad(edges)), axis=1)[:, 0])
    for attributes in ({"bounds": "lat_bnds"}, {}):
        stated = truth.assign(lat_bnds=(("lat", "bnds"), edges))
        stated.lat.attrs |= attributes
        found = verify.mae(forecast, stated)
        assert list(found) == ["t"]
        assert float(found.t) == pytest.approx(expected, rel=1e-12)
    midpoints = mean(np.diff(np.sin(np.deg2rad([-90, -30, 30, 90]))))
    assert float(verify.mae(*pair())) == pytest.approx(midpoints, rel=1e-12)
    assert float(verify.mae(forecast, truth).t) == float(verify.mae(*pair()))


@pytest.mark.parametrize("attributes", [{"standard_name": "cell_area"}, {}])
def test_cell_areas_of_the_file_are_used(attributes):
    area = xr.DataArray(np.arange(12.0).reshape(3, 4) + 1, dims=["lat", "lon"], attrs=attributes)
    forecast, truth = pair(areacella=area)
    truth.attrs["cell_measures"] = "area: areacella"
    expected = mean(area.sum("lon").values)
    assert float(verify.mae(forecast, truth)) == pytest.approx(expected, rel=1e-12)
    whole = verify.mae(*(one.reset_coords("areacella") for one in (forecast, truth)))
    assert list(whole) == ["t"]
    assert float(whole.t) == pytest.approx(expected, rel=1e-12)


def test_corners_of_cells_are_used():
    lat, lon = np.meshgrid([10.0, 20.0], [0.0, 10.0, 20.0], indexing="ij")
    place = {"lat": (("j", "i"), lat), "lon": (("j", "i"), lon)}
    truth = xr.DataArray(np.zeros((2, 3)), place, ["j", "i"], "t").to_dataset()
    forecast = truth + xr.DataArray([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], dims=["j", "i"])
    # Rows of half a degree and of 10 degrees: areas nearly as 1 to 20 cos 20 / cos 10.
    half = np.array([0.25, 5.0])[:, None, None] * [-1, -1, 1, 1]
    truth["lat_bnds"] = ("j", "i", "nv"), lat[..., None] + half
    truth["lon_bnds"] = ("j", "i", "nv"), lon[..., None] + np.array([-5.0, 5.0, 5.0, -5.0])
    for name in ("lat", "lon"):
        truth[name].attrs["bounds"] = f"{name}_bnds"
    sines = [np.diff(np.sin(np.deg2rad([r - h, r + h])))[0] for r, h in ((10, 0.25), (20, 5.0))]
    found = verify.mae(forecast, truth)
    assert float(found.t) == pytest.approx(mean(sines, (1.0, 2.0)), rel=1e-3)
    del truth["lat_bnds"], truth["lon_bnds"]
    assert float(verify.mae(forecast, truth).t) == pytest.approx(1.5, abs=0.02)


def test_rows_with_latitudes_beside_them():
    forecast, truth = pair()
    expected = float(verify.mae(forecast, truth))
    for names in ({"lat": "y", "lon": "x"}, {"lat": "a", "lon": "b"}):
        beside = [
            xr.DataArray(
                one.values,
                {n: (d, truth[n].values) for n, d in names.items()},
                list(names.values()),
            )
            for one in (forecast, truth)
        ]
        assert float(verify.mae(*beside)) == pytest.approx(expected, rel=1e-12)


def test_points_have_equal_weights():
    place = {"lat": ("station", [10.0, 80.0]), "lon": ("station", [5.0, 6.0])}
    truth = xr.DataArray([0.0, 0.0], place, ["station"])
    assert float(verify.mae(truth.copy(data=[1.0, 2.0]), truth)) == 1.5
    cells = xr.DataArray(np.zeros(12), dims=["cell"])
    assert area_weights(cells).ndim == 0


def test_positions_that_vary_in_time_are_taken_at_the_first():
    lat, lon = np.meshgrid([10.0, 20.0, 30.0], [0.0, 10.0], indexing="ij")
    times = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
    place = {n: (("Time", "j", "i"), np.stack([v, v])) for n, v in (("XLAT", lat), ("XLONG", lon))}
    field = xr.DataArray(np.zeros((2, 3, 2)), {"Time": times, **place}, ["Time", "j", "i"])
    area = area_weights(field)
    assert area.dims == ("j", "i")
    cosines = np.cos(np.deg2rad([10, 20, 30]))
    np.testing.assert_allclose(area.mean("i"), cosines / cosines.mean(), rtol=1e-2)


def test_no_area_at_all_is_an_error():
    lat = np.full((3, 2), np.nan)
    place = {"lat": (("y", "x"), lat), "lon": (("y", "x"), lat)}
    field = xr.DataArray(np.ones((3, 2)), place, ["y", "x"])
    with pytest.raises(GridError, match="none of 6 cells has an area"):
        verify.mae(field, field)
    assert float(verify.mae(field, field, weights=None)) == 0
