import json
import sys

import numpy as np
import pytest
import xarray as xr

from flexclim.cli.target_files import open_target
from flexclim.errors import FlexclimError
from flexclim.grids.regridding.polygon_regions import regions_of

BOX = [[5, 44], [8, 44], [8, 47], [5, 47], [5, 44]]


def test_stations_from_csv_keep_their_columns(tmp_path):
    path = tmp_path / "stations.csv"
    path.write_text("name;latitude;Lon;elevation\nBern;46.9;7.4;540\nSion;46.2;7.3;482\n")
    found = open_target(str(path))
    assert found.sizes == {"station": 2}
    assert found.station.values.tolist() == ["Bern", "Sion"]
    np.testing.assert_array_equal(found.lat, [46.9, 46.2])
    np.testing.assert_array_equal(found.lon, [7.4, 7.3])
    np.testing.assert_array_equal(found.elevation, [540, 482])


def test_polygons_from_geojson(tmp_path):
    path = tmp_path / "basins.geojson"
    feature = {
        "type": "Feature",
        "properties": {"name": "Rhone"},
        "geometry": {"type": "Polygon", "coordinates": [BOX]},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert regions_of(open_target(str(path))).labels == ["Rhone"]


@pytest.mark.parametrize("suffix", [".gpkg", ".shp"])
def test_polygons_from_geographic_files(tmp_path, suffix):
    """In metres of a projection, which are taken to degrees."""
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    boxes = [shapely.box(5, 44, 8, 47), shapely.box(9, 45, 10, 46)]
    frame = geopandas.GeoDataFrame({"name": ["Rhone", "Po"]}, geometry=boxes, crs="EPSG:4326")
    path = tmp_path / f"basins{suffix}"
    frame.to_crs("EPSG:3857").to_file(path)
    found, expected = regions_of(open_target(str(path))), regions_of(frame)
    assert found.labels == ["Rhone", "Po"]
    np.testing.assert_allclose(found.areas, expected.areas, rtol=1e-6)


def test_grids_from_netcdf(tmp_path):
    path = tmp_path / "grid.nc"
    xr.Dataset(coords={"lat": [1.0, 2.0], "lon": [3.0, 4.0]}).to_netcdf(path)
    assert open_target(str(path)).sizes == {"lat": 2, "lon": 2}


def test_files_named_after_healpix_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    xr.Dataset(coords={"lat": [1.0, 2.0], "lon": [3.0, 4.0]}).to_netcdf("healpix_box.nc")
    assert open_target("healpix_box.nc").sizes == {"lat": 2, "lon": 2}
    for text in ("healpix:8", "healpix:7.5", "healpix"):
        assert open_target(text) == text  # downscale says what is wrong with it


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("stations.csv", "name,y,x\na,1,2\n", "has no column 'lat' of numbers; its columns are na"),
        ("stations.csv", "lat,lon\nnorth,2\n", "has no column 'lat' of numbers"),
        ("stations.csv", "", "can't be read as CSV"),
        ("basins.geojson", "{", "is no GeoJSON"),
        ("basins.geojson", "[]", "it has no type"),
        ("missing.csv", None, "does not exist"),
        ("missing.nc", None, "does not exist"),
        ("basins.gpkg", "", r"needs geopandas \(extra gis\). Install it, or convert"),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path, monkeypatch, name, content, message):
    monkeypatch.setitem(sys.modules, "geopandas", None)
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(FlexclimError, match=message) as found:
        open_target(str(path))
    assert "\n" not in str(found.value)
