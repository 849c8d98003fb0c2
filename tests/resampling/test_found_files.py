"""Files of models as they are found: to 1 degree, to three stations and to a polygon.

They lie in ``found/`` of the real data; each test skips without its file.
"""

import importlib.util

import numpy as np
import pytest
import shapely
import xarray as xr

import flexclim
from flexclim.grids.regridding.cell_discovery import cells_of

# File, variable, options, latitudes and longitudes of stations, smallest and largest value.
FOUND = {
    "miroc6": ("cmip6_miroc6_tas_day.nc", "tas", {}, (48.1, -33.9, 1.3), (11.6, 151.2, 103.8)),
    "awi": ("cmip6_awi_tas_mon.nc", "tas", {}, (48.1, -33.9, 1.3), (11.6, 151.2, 103.8)),
    "orca": ("geocat_ctorca.nc", "sosstsst", {}, (45, 0, -40), (-30, -140, 80)),
    "mm5": ("geocat_mm5_d1.nc", "TERRAIN", {}, (48.1, 40.4, 52.5), (11.6, -3.7, 13.4)),
    "healpix": ("smm_healpix_0.nc", "tas", {"grid": "healpix"}, (48, -34, 1), (12, 151, 104)),
    "cordex": ("cordex_arc44_wrf_tas.nc", "tas", {}, (70, 80, 85), (20, -40, 100)),
    "grib": ("cf_regular_gg_sfc.grib", "u10", {}, (48.1, -33.9, 1.3), (11.6, 151.2, 103.8)),
}


def opened(data_dir, name):
    path = data_dir / "found" / name
    if not path.is_file():
        pytest.skip(f"no file {path}")
    if path.suffix == ".grib":
        if importlib.util.find_spec("cfgrib") is None:
            pytest.skip("cfgrib is not installed")
        return xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""})
    return xr.open_dataset(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOUND)
def test_files_are_regridded(data_dir, kind):
    name, variable, options, lat, lon = FOUND[kind]
    ds = opened(data_dir, name)
    values = ds[variable]
    low, high = float(values.min()), float(values.max())
    degrees = ds.flex.regrid(1.0, **options)
    found = float(degrees[variable].min()), float(degrees[variable].max())
    assert low - 1e-6 < found[0] < found[1] < high + 1e-6
    if not values.isnull().any():
        source = cells_of(ds, options.get("grid"))
        whole = degrees[variable].where(degrees[variable].notnull(), 0)
        ones = ds.assign({variable: xr.ones_like(values)})
        share = flexclim.regrid(ones, 1.0, nan_threshold=1, **options)[variable]
        assert np.nanmax(abs(share - 1)) < 1e-6
        if source.areas.sum() > 4 * np.pi - 1e-3:
            weights = np.cos(np.deg2rad(degrees.lat))
            mean = whole.weighted(weights).mean(("lat", "lon")).values.ravel()
            flat = values.values.reshape(mean.size, -1)
            np.testing.assert_allclose(mean, flat @ source.areas / source.areas.sum(), rtol=1e-5)
    stations = xr.Dataset(coords={"lat": ("station", list(lat)), "lon": ("station", list(lon))})
    there = ds.flex.regrid(stations, "bilinear", **options)[variable]
    assert there.sizes["station"] == 3
    assert there.notnull().all()
    box = shapely.box(lon[0] - 3, lat[0] - 3, lon[0] + 3, lat[0] + 3)
    mean = ds.flex.regrid(box, **options)[variable]
    near = ds.flex.regrid(stations.isel(station=[0]), **options)[variable]
    assert mean.sizes["region"] == 1
    assert float(abs(mean.mean() - near.mean())) < 0.5 * (high - low)


def test_bounds_of_a_subsample_leave_holes(data_dir):
    """Every hundredth row and column of ERA5, with the bounds of single cells."""
    ds = opened(data_dir, "c3s_era5_psl.nc").isel(time=[0])
    with pytest.raises(flexclim.GridError, match="cells of 'lat' leave holes: 99 % of their ext"):
        ds.flex.regrid(1.0)
    found = ds.flex.regrid(1.0, "bilinear").psl
    assert found.notnull().all()
    assert 90000 < found.min() < found.max() < 110000


# Rows and columns that a factor fits, and what the output has.
CROPS = {
    "miroc6": ({}, ("lat", "lon"), (256, 512)),
    "awi": ({}, ("lat", "lon"), (192, 384)),
    "orca": ({"y": slice(0, 148), "x": slice(1, -1)}, ("y", "x"), (296, 360)),
    "mm5": ({}, ("x_cross", "y_cross"), (148, 118)),
    "healpix": ({"level_full": slice(0, 1)}, ("cell",), (48,)),
    "cordex": ({}, ("rlat", "rlon"), (266, 232)),
    "grib": ({}, ("latitude", "longitude"), (192, 384)),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::flexclim.FlexclimWarning")
@pytest.mark.parametrize("kind", FOUND)
def test_files_are_downscaled(data_dir, kind):
    """Block means equal the values of the file."""
    name, variable, options, *_ = FOUND[kind]
    crop, dims, shape = CROPS[kind]
    ds = opened(data_dir, name).isel(crop)
    for time in ("time", "time_counter"):
        ds = ds.isel({time: [0]}) if time in ds.dims else ds
    fine = ds.flex.downscale(2, members=1, steps=1, **options).isel(realization=0)
    assert tuple(fine[variable].sizes[dim] for dim in dims) == shape
    coarse, given = (one.values.squeeze() for one in (fine.flex.coarsen(2)[variable], ds[variable]))
    close = 1e-3 if kind in ("orca", "mm5") else 1e-4  # positions in float32
    np.testing.assert_allclose(
        np.nan_to_num(coarse), np.nan_to_num(given), atol=close * float(np.nanstd(given))
    )
