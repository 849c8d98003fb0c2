"""Files of models as they are found, downscaled to stations and to half a degree.

They lie in ``found/`` of the real data; each test skips without its file.
"""

import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.errors import GridError

# File, variable, options, the region that is cut out, stations, smallest and largest value.
FOUND = {
    "miroc6": ("cmip6_miroc6_tas_day.nc", "tas", {}, (30, 62, -2, 30), 250, 320),
    "awi": ("cmip6_awi_tas_mon.nc", "tas", {}, None, 200, 330),
    "healpix": ("smm_healpix_0.nc", "tas", {"grid": "healpix"}, None, 200, 330),
}
STATIONS = xr.Dataset(
    coords={
        "station": ["Munich", "Rome"],
        "lat": ("station", [48.1, 41.9]),
        "lon": ("station", [11.6, 12.5]),
        "elevation": ("station", [519.0, 20.0]),
    }
)


def opened(data_dir, kind):
    file, name, options, region, *_ = FOUND[kind]
    path = data_dir / "found" / file
    if not path.is_file():
        pytest.skip(f"no file {path}")
    ds = xr.open_dataset(path)[[name]].isel(time=slice(1))
    if region is not None:
        south, north, west, east = region
        ds = ds.sortby("lat").sel(lat=slice(south, north), lon=slice(max(west, 0), east))
    return ds, options


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::flexclim.errors.FlexclimWarning")
@pytest.mark.parametrize("kind", FOUND)
def test_files_are_downscaled_to_stations(data_dir, kind):
    ds, options = opened(data_dir, kind)
    fine = ds.flex.downscale(to=STATIONS, members=2, factor=2, **options)
    assert fine.tas.sizes == {"realization": 2, "time": 1, "station": 2}
    low, high = FOUND[kind][-2:]
    assert low < float(fine.tas.min()) <= float(fine.tas.max()) < high
    np.testing.assert_array_equal(fine.elevation, STATIONS.elevation)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::flexclim.errors.FlexclimWarning")
def test_a_cmip6_file_is_downscaled_to_half_a_degree(data_dir):
    ds, _ = opened(data_dir, "miroc6")
    fine = ds.flex.downscale(to=0.5, members=2)
    assert fine.attrs["flexclim_factor"] == 4
    assert np.allclose(np.diff(fine.lat), 0.5)
    known = fine.tas.isel(lat=slice(4, -4), lon=slice(4, -4))
    coarse = flexclim.regrid(fine, ds).tas - ds.tas
    assert np.isfinite(known).all()
    assert float(abs(coarse).mean()) < 0.3


@pytest.mark.slow
def test_a_cordex_file_is_finer_than_half_a_degree(data_dir):
    path = data_dir / "found" / "cordex_arc44_wrf_tas.nc"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    ds = xr.open_dataset(path)[["tas"]].isel(time=slice(1))
    with pytest.raises(GridError, match=r"no finer than the input .* Use .flex.regrid"):
        ds.flex.downscale(to=0.5)
