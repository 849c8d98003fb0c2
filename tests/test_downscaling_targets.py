import coarse_fields
import dask
import dask.array as da
import numpy as np
import pytest
import shapely
import xarray as xr
from grid_kinds import curvilinear, gaussian, healpix_field, projected, triangles

import flexclim
from flexclim.errors import FlexclimError, FlexclimWarning, GridError

STATIONS = xr.Dataset(
    coords={
        "station": ["a", "b", "c"],
        "lat": ("station", np.array([43.1, 46.37, 50.2], "f4"), {"comment": "kept"}),
        "lon": ("station", [364.9, 7.2, -348.1]),
        "elevation": ("station", [100.0, 1200.0, 0.0], {"units": "m"}),
    }
)
BOXES = [shapely.box(5.1, 44.3, 8, 46.9), shapely.box(9.5, 47.2, 11, 49.9)]
TO = {
    "degrees": 0.25,
    "object": gaussian(500).sel(lat=slice(49.8, 45), lon=slice(5, 9)),
    "projected": projected(400, size=7e6).sel(y=slice(-5e6, -4.6e6), x=slice(5e5, 8e5)),
    "healpix": "healpix:7",
    "stations": STATIONS,
    "polygons": BOXES,
}


@pytest.fixture
def region():
    return coarse_fields.region(2, 8, 8)


@pytest.fixture
def run(toy_model):
    def downscale(obj, **options):
        usual = {"model": toy_model, "members": 2, "precision": "float32"}
        return flexclim.downscale(obj, **(usual | options))

    return downscale


def refuse(*args, **kwargs):
    raise AssertionError("something was computed")


@pytest.mark.parametrize("to", TO)
def test_a_target_is_the_fine_grid_regridded(region, run, to):
    expected = flexclim.regrid(run(region, factor=4), TO[to])
    found = run(region, factor=4, to=TO[to])
    assert isinstance(found.data, np.ndarray)
    assert found.dtype == np.float32
    assert found.dims == expected.dims
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(region.std()))
    assert np.isfinite(found).any()
    for name, coordinate in expected.coords.items():
        xr.testing.assert_identical(found[name], coordinate)
    with dask.config.set(scheduler=refuse):
        lazy = run(region.chunk(time=1), factor=4, to=TO[to])
    assert isinstance(lazy.data, da.Array)
    np.testing.assert_array_equal(lazy, found)


@pytest.mark.parametrize("to", ["object", "stations"])
def test_coordinates_are_those_of_the_target(region, run, to):
    found = run(region, factor=4, to=TO[to])
    for name, coordinate in TO[to].coords.items():
        assert found[name].dtype == coordinate.dtype
        np.testing.assert_array_equal(found[name], coordinate)
    assert float((found - TO[to].coords["lat"] * 0).isnull().sum()) < found.size


@pytest.mark.slow
@pytest.mark.parametrize("to", TO)
def test_planes_in_parts_have_the_same_means(region, run, to, monkeypatch):
    region[0, 2, 3] = np.nan
    whole = run(region, factor=4, to=TO[to])
    monkeypatch.setattr("flexclim.planning.downscaling_plan.region_shape", lambda fine: (16, 13))
    monkeypatch.setattr("flexclim.planning.output_target.PIXELS", 40)
    monkeypatch.setattr("flexclim.planning.output_target.MULTIPLE", 2)
    parts = run(region.chunk(), factor=4, to=TO[to])
    assert (len(parts.chunks[2]) > 1) == (whole[0, 0].size > 40)
    np.testing.assert_allclose(parts, whole, atol=1e-5 * float(region.std()))


@pytest.mark.usefixtures("single_planes")
def test_a_slice_computes_no_other_members_times_or_parts(region, run, monkeypatch):
    computed = []
    sample = flexclim.sampling.downscaling_graph.sample_members
    monkeypatch.setattr(
        "flexclim.sampling.downscaling_graph.sample_members",
        lambda *a: (computed.append(a), sample(*a))[1],
    )
    monkeypatch.setattr("flexclim.planning.downscaling_plan.region_shape", lambda fine: (16, 32))
    near = STATIONS.isel(station=[2])
    fine = run(region.chunk(), factor=4, to=near, batch=1)
    fine.isel(realization=0, time=1).compute(scheduler="synchronous")
    assert len(computed) == 1


def test_regions_are_means_weighted_by_overlap(region, run):
    """Compared with the sum over a 20 x 20 subdivision of each fine cell."""
    fine, found = run(region, factor=4), run(region, factor=4, to=BOXES)
    dense = fine.isel(lat=np.arange(32).repeat(20), lon=np.arange(32).repeat(20))
    offset = (np.arange(20) - 9.5) / 80
    lat = (fine.lat.values[:, None] - offset).ravel()
    lon = (fine.lon.values[:, None] + offset).ravel()
    for number, box in enumerate(BOXES):
        west, south, east, north = box.bounds
        inside = np.outer((lat > south) & (lat < north), (lon > west) & (lon < east))
        weights = inside * np.cos(np.deg2rad(lat))[:, None]
        expected = (dense.values * weights).sum(axis=(-2, -1)) / weights.sum()
        np.testing.assert_allclose(found[..., number], expected, atol=2e-3)
    assert found.dims == ("realization", "time", "region")
    assert "area: mean" in found.attrs["cell_methods"]


INPUTS = {
    "gaussian": (gaussian(32).sel(lat=slice(70, 30), lon=slice(0, 40)), STATIONS),
    "uneven": (gaussian(32).sel(lat=slice(70, 30), lon=slice(0, 40)), BOXES),
    "projected": (projected(8, size=4e5).t, shapely.box(-40, 87.5, 70, 89)),
    "healpix": (healpix_field(2), "healpix:4"),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_other_grids_reach_targets_too(run, kind):
    field, to = INPUTS[kind]
    fine, found = run(field, factor=4), run(field, to=to, factor=4)
    expected = fine if kind == "healpix" else flexclim.regrid(fine, to)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dims == expected.dims


def test_attributes_tell_target_factor_and_method(region, run, caplog):
    with caplog.at_level("INFO", "flexclim"):
        found = run(region.to_dataset(), to=0.3)
    assert found.attrs["flexclim_target"] == "0.3 degrees"
    assert found.attrs["flexclim_factor"] == 4
    assert "area in common" in found.attrs["flexclim_target_method"]
    assert "3.33 times finer than the input" in found.attrs["flexclim_factor_choice"]
    assert "factor 4: the smallest that reaches the spacing" in caplog.text
    assert found.attrs["history"].endswith("to 0.3 degrees")
    assert found.attrs["flexclim_model"] == "toy"
    assert "flexclim_tiles" not in found.attrs | found.t.attrs
    assert "flexclim_factor_choice" not in run(region, factor=4, to=0.3).attrs


def test_members_and_seeds_are_those_of_the_fine_grid(region, run):
    both, more = run(region, to=STATIONS, factor=4), run(region, to=STATIONS, factor=4, members=3)
    np.testing.assert_allclose(more[:2], both, atol=1e-5)
    assert float(abs(both[0] - both[1]).max()) > 1e-3


def test_missing_cells_below_stations_are_warned_of_once(region, run):
    region[:, 0, 7] = np.nan
    with pytest.warns(FlexclimWarning, match="1 of 3 points lie on missing cells of 't'") as found:
        fine = run(region, to=STATIONS, factor=4)
    assert len([one for one in found if "missing cells" in str(one.message)]) == 1
    assert fine.isnull().any(["realization", "time"]).values.tolist() == [False, False, True]


def test_cells_outside_are_counted(region, run):
    with pytest.warns(FlexclimWarning, match=r"20 of 48 target cells lie outside the input and"):
        fine = run(region, factor=4, to=gaussian(300).sel(lat=slice(50, 47.5), lon=slice(8, 15)))
    assert fine.isnull().sum() == 2 * 2 * 20


@pytest.mark.parametrize(
    ("to", "message"),
    [
        (2.0, r"\(2 degrees\) is no finer than the input .* Use .flex.regrid"),
        (1.0, r"\(1 degrees\) is no finer than the input"),
        (0.01, r"100 times finer than the input, and models reach 64 in 2 steps.*flexclim.regrid"),
        ("healpix", "to='healpix' is no target. Pass an object with a grid"),
        (xr.Dataset({"t": ("x", [1.0])}), "to=<Dataset> has no grid"),
        (None, "neither factor nor to is given. Pass factor=4"),
        (STATIONS.assign_coords(lat=STATIONS.lat - 20), r"3 of 3 points lie outside .* at 23.1"),
        (STATIONS.assign_coords(lat=("station", [44, 45, 80.0])), r"1 of 3 points .* at 80, -348"),
        (shapely.Polygon([(5, 44), (8, 47), (8, 44), (5, 47)]), "is not valid: Self-intersection"),
        (STATIONS.rename(station="time").drop_vars("time"), "has a dimension 'time', and the ta"),
    ],
)
def test_invalid_targets_are_errors_of_one_line(region, run, to, message):
    with pytest.raises(GridError, match=message) as found:
        run(region, to=to)
    assert "\n" not in str(found.value)


def test_a_factor_that_does_not_reach_the_target_is_an_error(region, run):
    with pytest.raises(GridError, match=r"factor=2 gives cells 2 times as wide .* at least 4"):
        run(region, factor=2, to=0.25)


def scaled(ds, names, share):
    """Return cells whose corners lie nearer to their centres, or further away."""
    for name in names:
        bounds = ds[ds[name].attrs["bounds"]]
        away = (bounds - ds[name] + 180) % 360 - 180
        ds[bounds.name] = ds[name] + share * away
    return ds


@pytest.mark.parametrize("share", [0.7, 1.3])
@pytest.mark.parametrize("options", [{"factor": 4}, {"to": STATIONS, "factor": 4}, {"to": 2.0}])
@pytest.mark.parametrize("kind", ["triangles", "curvilinear"])
def test_cells_that_overlap_or_leave_holes_are_an_error(run, kind, share, options):
    if kind == "triangles":
        ds = scaled(triangles(200), ("clat", "clon"), share)
    else:
        ds = scaled(curvilinear(24, corners=True).isel(y=slice(4, 20)), ("lat", "lon"), share)
    with pytest.raises(GridError, match="overlap.* %" if share > 1 else "leave holes: .* %") as one:
        run(ds, **options)
    assert "\n" not in str(one.value)


def test_mixed_grids_are_an_error(region, run):
    other = region.rename(lat="latitude", lon="longitude").isel(latitude=slice(6)).rename("u")
    both = xr.Dataset({"t": region, "u": other})
    with pytest.raises(GridError, match="several"):
        run(both, to=STATIONS, factor=4)
    with pytest.raises(GridError, match=r"to=<Dataset> has no grid: .*several"):
        run(region, to=both)
    assert run(both, to=STATIONS, factor=4, variables=["t"]).t.shape == (2, 2, 3)


def test_a_lapse_rate_needs_a_target(region, run):
    with pytest.raises(FlexclimError, match="lapse_rate is for the elevations of a target"):
        run(region, factor=4, lapse_rate=6.5)
