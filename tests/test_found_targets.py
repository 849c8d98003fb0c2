"""Files of models as they are found, downscaled to stations and to half a degree.

They lie in ``found/`` of the real data; each test skips without its file.
"""

import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.errors import GridError
from flexclim.stores.datasets import open_input

CITIES = {"Munich": (48.1, 11.6, 519.0), "Rome": (41.9, 12.5, 20.0)}
BUOYS = {"Biscay": (45.2, -5.0, 0.0), "Hawaii": (24.5, -158.0, 0.0)}
ARCTIC = {"Longyearbyen": (78.2, 15.6, 28.0), "Thule": (76.5, -68.7, 77.0)}
# File, variable, options, stations, smallest and largest value.
FOUND = {
    "miroc6": ("cmip6_miroc6_tas_day.nc", "tas", {}, CITIES, 250, 320),
    "awi": ("cmip6_awi_tas_mon.nc", "tas", {}, CITIES, 200, 330),
    "healpix": ("smm_healpix_0.nc", "tas", {"grid": "healpix"}, CITIES, 200, 330),
    "orca": ("geocat_ctorca.nc", "sosstsst", {}, BUOYS, 5, 35),
    "mm5": ("geocat_mm5_d1.nc", "TERRAIN", {}, CITIES, -500, 4000),
    "grib": ("cf_regular_gg_sfc.grib", "u10", {}, CITIES, -30, 30),
    "cordex": ("cordex_arc44_wrf_tas.nc", "tas", {}, ARCTIC, 200, 310),
}


def opened(data_dir, kind):
    """Return the first time of a file, of Europe for the two that are large."""
    file, name, *_ = FOUND[kind]
    path = data_dir / "found" / file
    if not path.is_file():
        pytest.skip(f"no file {path}")
    if kind == "grib":
        pytest.importorskip("cfgrib", reason="needs the extra grib", exc_type=ImportError)
    ds = open_input(path)
    keep = [name, *({"nav_lat", "nav_lon", "lat", "lon"} & set(ds.data_vars))]
    ds = ds[keep].isel({str(dim): slice(1) for dim in ds[name].dims[:-2]})
    if kind == "miroc6":
        ds = ds.sortby("lat").sel(lat=slice(30, 62), lon=slice(0, 30))
    return ds


def stations_of(kind):
    places = FOUND[kind][3]
    lat, lon, elevation = zip(*places.values(), strict=True)
    along = {"lat": lat, "lon": lon, "elevation": elevation}
    return xr.Dataset(
        coords={"station": list(places)} | {name: ("station", [*v]) for name, v in along.items()}
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::flexclim.errors.FlexclimWarning")
@pytest.mark.parametrize("kind", FOUND)
def test_files_are_downscaled_to_stations(data_dir, kind):
    ds, stations = opened(data_dir, kind), stations_of(kind)
    _, name, options, _, low, high = FOUND[kind]
    fine = ds.flex.downscale(to=stations, members=2, factor=2, **options)
    assert fine[name].dims[0] == "realization"
    assert fine[name].dims[-1] == "station"
    assert low < float(fine[name].min()) <= float(fine[name].max()) < high
    np.testing.assert_array_equal(fine.elevation, stations.elevation)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::flexclim.errors.FlexclimWarning")
@pytest.mark.parametrize(("kind", "factor"), [("miroc6", 4), ("awi", 4), ("orca", 2), ("grib", 4)])
def test_coarse_files_are_downscaled_to_half_a_degree(data_dir, kind, factor):
    ds, name = opened(data_dir, kind), FOUND[kind][1]
    fine = ds.flex.downscale(to=0.5, members=1)
    assert fine.attrs["flexclim_factor"] == factor
    assert np.allclose(abs(np.diff(fine.lat)), 0.5)
    known = fine[name].isel(lat=slice(8, -8), lon=slice(4, -4))
    if kind != "orca":  # which has land
        assert np.isfinite(known).all()
        coarse = flexclim.regrid(fine, ds)[name] - ds[name]
        assert float(abs(coarse).mean()) < 0.3


@pytest.mark.slow
def test_a_cordex_file_is_finer_than_half_a_degree(data_dir):
    path = data_dir / "found" / "cordex_arc44_wrf_tas.nc"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    ds = xr.open_dataset(path)[["tas"]].isel(time=slice(1))
    with pytest.raises(GridError, match=r"no finer than the input .* Use .flex.regrid"):
        ds.flex.downscale(to=0.5)
