import json

import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim.cf.description import describe_fields, ensemble_coordinate
from flexclim.cf.encodings import encodings
from flexclim.cf.fields import fields_on, pick
from flexclim.grids.discovery import find_grid

MEMBERS = 3
FLOATS = np.random.default_rng(0)


def plain():
    """Return a field as many files hold it: names, and nothing else."""
    return xr.Dataset(
        {"u10": (("time", "lat", "lon"), FLOATS.normal(size=(2, 6, 12)).astype("f4"))},
        {
            "time": np.array(["2020-01-01T00", "2020-01-01T06"], "M8[ns]"),
            "lat": np.linspace(75, -75, 6),
            "lon": np.arange(0, 360, 30.0),
        },
    )


def rich():
    """Return a monthly mean of a model with a 360-day year, as CMIP archives hold it."""
    times = [cftime.Datetime360Day(2000, month, 16) for month in (1, 2)]
    edges = [cftime.Datetime360Day(2000, month, 1) for month in (1, 2, 3)]
    lat, lon = np.linspace(-75, 75, 6), np.arange(15, 360, 30.0)
    return xr.Dataset(
        {
            "tas": (
                ("time", "lat", "lon"),
                FLOATS.normal(280, 5, (2, 6, 12)).astype("f4"),
                {
                    "standard_name": "air_temperature",
                    "long_name": "Near-Surface Air Temperature",
                    "units": "K",
                    "cell_methods": "area: time: mean",
                    "cell_measures": "area: areacella",
                    "ancillary_variables": "tas_error",
                    "valid_max": 400.0,
                },
            ),
            "time_bnds": (("time", "bnds"), np.stack([edges[:2], edges[1:]], axis=1)),
            "lat_bnds": (("lat", "bnds"), np.stack([lat - 15, lat + 15], axis=1)),
            "lon_bnds": (("lon", "bnds"), np.stack([lon - 15, lon + 15], axis=1)),
        },
        {
            "time": ("time", times, {"standard_name": "time", "axis": "T", "bounds": "time_bnds"}),
            "lat": (
                "lat",
                lat,
                {
                    "standard_name": "latitude",
                    "units": "degrees_north",
                    "axis": "Y",
                    "bounds": "lat_bnds",
                },
            ),
            "lon": (
                "lon",
                lon,
                {
                    "standard_name": "longitude",
                    "units": "degrees_east",
                    "axis": "X",
                    "bounds": "lon_bnds",
                },
            ),
            "height": (
                (),
                2.0,
                {"standard_name": "height", "units": "m", "axis": "Z", "positive": "up"},
            ),
        },
        {
            "Conventions": "CF-1.7 CMIP-6.2",
            "title": "a run",
            "history": "made",
            "grid_label": "gn",
            "institution": "some",
            "source": "a model",
        },
    )


def projected():
    """Return winds on a stereographic plane with 2-D latitude and longitude."""
    y, x = 25e3 * np.arange(6) - 3e6, 25e3 * np.arange(8) - 1e6
    far = np.hypot(*np.meshgrid(x, y))
    positions = {
        "latitude": (
            ("y", "x"),
            90 - np.rad2deg(2 * np.arctan(far / 2 / 6.371e6)),
            {"units": "degree_north"},
        ),
        "longitude": (
            ("y", "x"),
            np.rad2deg(np.arctan2(x[None, :], -y[:, None])),
            {"units": "degree_east"},
        ),
    }
    wind = {"units": "m/s", "standard_name": "x_wind", "grid_mapping": "crs"}
    mapping = {
        "grid_mapping_name": "polar_stereographic",
        "straight_vertical_longitude_from_pole": 0.0,
        "latitude_of_projection_origin": 90.0,
        "scale_factor_at_projection_origin": 1.0,
        "false_easting": 0.0,
        "false_northing": 0.0,
        "earth_radius": 6.371e6,
    }
    return xr.Dataset(
        {
            "ux": (("time", "y", "x"), FLOATS.normal(size=(2, 6, 8)).astype("f4"), wind),
            "crs": ((), 0, mapping),
        },
        {
            "time": np.array(["2020-01-01T00", "2020-01-01T06"], "M8[ns]"),
            "y": ("y", y, {"standard_name": "projection_y_coordinate", "units": "m"}),
            "x": ("x", x, {"standard_name": "projection_x_coordinate", "units": "m"}),
            **positions,
        },
    )


def ensemble(source, factor=2):
    """Describe an ensemble as downscaling makes it, with random values."""
    grid = find_grid(source)
    fine = grid.refined(factor)
    fields = {}
    for name, variable in source.data_vars.items():
        if {grid.y, grid.x} <= set(variable.dims):
            other = [d for d in variable.dims if d not in (grid.y, grid.x)]
            shape = (MEMBERS, *(source.sizes[d] for d in other), *fine.domain.shape)
            values = FLOATS.normal(size=shape).astype("f4")
            values[..., 0, 0] = np.nan
            fields[name] = xr.Variable(("realization", *other, grid.y, grid.x), values)
    return describe_fields(
        fields,
        source,
        fine,
        action=f"downscale(factor={factor})",
        attributes={"flexclim_model": "toy", "flexclim_seed": 0, "flexclim_conserve": True},
    )


def complaints(path):
    """Return what the IOOS checker says about a file; its tables are bundled."""
    runner = pytest.importorskip("compliance_checker.runner", reason="needs the dev extra")
    runner.CheckSuite.load_all_available_checkers()
    report = path.with_suffix(".json")
    runner.ComplianceChecker.run_checker(
        str(path), ["cf:1.11"], 0, "normal", output_filename=str(report), output_format="json"
    )
    found = json.loads(report.read_text())["cf:1.11"]
    return [
        (check["name"], check["msgs"])
        for level in ("high_priorities", "medium_priorities")
        for check in found[level]
        if check["msgs"]
    ]


def bare_projected():
    """Return the projected grid as coordinates without any attribute."""
    return projected().drop_vars("crs").drop_attrs()


SOURCES = {
    "plain": plain,
    "rich": rich,
    "projected": projected,
    "bare_projected": bare_projected,
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_checker_finds_nothing(name, tmp_path):
    described = ensemble(SOURCES[name]())
    described.to_netcdf(tmp_path / "plainly.nc")
    described.to_netcdf(tmp_path / "packed.nc", encoding=encodings(described, "netcdf"))
    assert complaints(tmp_path / "plainly.nc") == []
    assert complaints(tmp_path / "packed.nc") == []


def test_the_checker_would_find_something(tmp_path):
    described = ensemble(rich())
    described["lat"].encoding = {}
    del described.tas.attrs["units_metadata"]
    described.to_netcdf(tmp_path / "bad.nc")
    said = str(complaints(tmp_path / "bad.nc"))
    assert "_FillValue" in said
    assert "units_metadata" in said


@pytest.mark.parametrize("name", SOURCES)
def test_zarr_and_netcdf_hold_the_same(name, tmp_path):
    described = ensemble(SOURCES[name]())
    described.to_zarr(tmp_path / "a.zarr", zarr_format=3, encoding=encodings(described, "zarr"))
    with xr.open_zarr(tmp_path / "a.zarr", chunks=None) as from_zarr:
        from_zarr.to_netcdf(tmp_path / "a.nc", encoding=encodings(from_zarr, "netcdf"))
        xr.testing.assert_identical(from_zarr.load(), described)
    with xr.open_dataset(tmp_path / "a.nc") as from_netcdf:
        xr.testing.assert_identical(from_netcdf.load(), described)
    assert complaints(tmp_path / "a.nc") == []


def test_no_encoding_survives_from_a_file(tmp_path):
    packed = {"u10": {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -9}}
    plain().to_netcdf(tmp_path / "a.nc", encoding=packed)
    with xr.open_dataset(tmp_path / "a.nc") as ds:
        found = encodings(ds, "netcdf")
        described = ensemble(ds)
    assert set(found) == set(ds.variables)
    assert "scale_factor" not in found["u10"]
    assert np.isnan(described.u10.encoding["_FillValue"])
    assert described.lat.encoding == {"_FillValue": None}


def test_ensemble_coordinate():
    coordinate = ensemble_coordinate(range(3))
    assert coordinate.dtype == np.int32
    assert coordinate.attrs == {
        "standard_name": "realization",
        "long_name": "ensemble member",
        "units": "1",
    }


def test_what_is_carried_over():
    described = ensemble(rich())
    assert described.tas.attrs == {
        "standard_name": "air_temperature",
        "long_name": "Near-Surface Air Temperature",
        "units": "K",
        "cell_methods": "area: time: mean",
        "units_metadata": "temperature: on_scale",
    }
    assert described.tas.dims == ("realization", "time", "lat", "lon")
    assert described.time.attrs["bounds"] == "time_bnds"
    assert described.time_bnds.shape == (2, 2)
    assert described.height == 2
    assert described.attrs["flexclim_conserve"] == "true"
    assert described.attrs["Conventions"] == "CF-1.11"
    assert described.attrs["history"].startswith("made\n20")
    assert described.attrs["title"].endswith(" made by flexclim from a run")
    assert "grid_label" not in described.attrs


def test_attributes_that_describe_the_source_alone_are_dropped():
    """Its grid, extent, file, and how it was made; the rest is kept."""
    stale = {
        "flexclim_seed": 3,
        "flexclim_plan": "{}",
        "geospatial_lat_min": 3.0,
        "time_coverage_end": "2020",
        "resolution": "1 degree",
        "_QuantizeBitRoundNumberOfSignificantBits": 7,
        "id": "10.5",
        "DX": 4e3,
        "WEST-EAST_GRID_DIMENSION": 9,
        "WEST-EAST_PATCH_END_STAG": 9,
        "i_parent_start": 1,
    }
    source = plain().assign_attrs(stale | {"institution": "some", "title": "v10 made by flexclim"})
    source["u10"].attrs |= stale | {"units": "m s-1"}
    result = ensemble(source)
    ours = {"flexclim_seed": 0}
    for attributes in (result.attrs, result.u10.attrs):
        assert {k: v for k, v in attributes.items() if k in stale and k not in ours} == {}
    assert result.attrs["flexclim_seed"] == 0
    assert result.attrs["institution"] == "some"
    assert result.attrs["title"] == "u10 made by flexclim"


def test_the_title_says_what_it_was_made_from_once():
    source = plain().assign_attrs(title="v10 made by flexclim from ERA5")
    assert ensemble(source).attrs["title"] == "u10 made by flexclim from ERA5"


def test_a_grid_mapping_places_the_new_grid_not_the_old():
    """GDAL and rioxarray prefer GeoTransform to the coordinates."""
    source = projected()
    source["crs"].attrs["GeoTransform"] = "-1e6 25e3 0 -3e6 0 25e3"
    result = ensemble(source)
    assert "GeoTransform" not in result.crs.attrs
    assert result.crs.attrs["earth_radius"] == 6.371e6
    assert "GeoTransform" in source.crs.attrs


def test_an_unlimited_dimension_stays_unlimited(tmp_path):
    plain().to_netcdf(tmp_path / "a.nc", unlimited_dims=["time"])
    with xr.open_dataset(tmp_path / "a.nc") as source:
        result = ensemble(source)
        whole = describe_fields({}, source.isel(time=0), find_grid(source), action="none")
    assert result.encoding["unlimited_dims"] == {"time"}
    assert "unlimited_dims" not in whole.encoding
    result.to_netcdf(tmp_path / "b.nc")
    with xr.open_dataset(tmp_path / "b.nc") as written:
        assert written.encoding["unlimited_dims"] == {"time"}


def test_a_grid_mapping_is_carried_where_it_was():
    assert "crs" in ensemble(projected()).data_vars
    assert "crs" in ensemble(projected().set_coords("crs")).coords
    lost = ensemble(projected().drop_vars("crs"))
    assert "grid_mapping" not in lost.ux.attrs


def test_a_grid_mapping_in_encoding(tmp_path):
    projected().to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", decode_coords="all") as ds:
        described = ensemble(ds.load())
    assert described.ux.attrs["grid_mapping"] == "crs"
    described.to_netcdf(tmp_path / "b.nc")
    assert complaints(tmp_path / "b.nc") == []


def test_corners_of_cells_are_no_fields():
    source = projected()
    source["latitude"].attrs["bounds"] = "corners"
    source["corners"] = ("y", "x", "vertex"), np.zeros((6, 8, 4))
    grid = find_grid(source)
    assert fields_on(source, grid) == ["ux"]
    assert "bounds" not in describe_fields({}, source, grid, action="none").latitude.attrs


def test_scalar_times_and_no_times():
    one = ensemble(plain().isel(time=0))
    assert one.time.attrs == {
        "standard_name": "time",
        "long_name": "time",
        "units_metadata": "leap_seconds: unknown",
    }
    assert "time" not in ensemble(plain().isel(time=0, drop=True)).variables


def test_times_of_a_forecast_are_told_apart():
    valid = plain().time.values
    run = plain().rename(time="step").assign_coords(step=valid - valid[0], time=valid[0])
    described = ensemble(run.assign_coords(valid_time=("step", valid)))
    assert described.time.attrs["standard_name"] == "forecast_reference_time"
    assert described.valid_time.attrs["standard_name"] == "time"


def test_other_coordinates_keep_to_their_dimensions():
    source = plain().assign_coords(
        lead=("time", [0, 6]), mask=(("lat", "lon"), np.ones((6, 12))), step=("other", [1])
    )
    coords = set(ensemble(source).coords)
    assert "lead" in coords
    assert not {"mask", "step"} & coords


def test_pick_leaves_no_loose_ends():
    described = ensemble(rich())
    array = pick(described, "tas")
    assert "bounds" not in array.lat.attrs
    assert "bounds" not in array.time.attrs
    assert "bounds" in described.lat.attrs
    assert array.attrs["flexclim_model"] == "toy"
    assert "Conventions" not in array.attrs


def test_unknown_units_stay_and_a_comment_says_so():
    source = plain()
    source.u10.attrs = {"units": "code table 4.201", "comment": "A code."}
    attributes = ensemble(source).u10.attrs
    assert attributes["units"] == "code table 4.201"
    assert attributes["comment"] == (
        "A code. The units of u10 are kept as found; UDUNITS may not know 'code table 4.201'."
    )
    source.u10.attrs = attributes
    assert ensemble(source).u10.attrs["comment"] == attributes["comment"]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"units": "K", "long_name": "2 metre temperature"}, "on_scale"),
        ({"units": "K", "standard_name": "air_temperature_anomaly"}, "difference"),
        (
            {
                "units": "K",
                "standard_name": "air_temperature",
                "cell_methods": "time: standard_deviation",
            },
            "difference",
        ),
        ({"units": "degC"}, "unknown"),
        ({"units": "K", "units_metadata": "temperature: difference"}, "difference"),
        ({"units": "m s-1"}, None),
    ],
)
def test_temperatures_say_what_they_are(attributes, expected):
    source = plain()
    source.u10.attrs = attributes
    said = ensemble(source).u10.attrs.get("units_metadata")
    assert said == (expected and f"temperature: {expected}")


def test_grib_leftovers():
    source = plain()
    source.u10.attrs = {
        "GRIB_Nx": 12,
        "GRIB_paramId": 165,
        "standard_name": "unknown",
        "units": "m s**-1",
    }
    assert ensemble(source).u10.attrs == {"GRIB_paramId": 165, "units": "m s-1", "long_name": "u10"}
