import warnings

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import flexclim
from flexclim.errors import FlexclimError, FlexclimWarning, GridError
from flexclim.grids.discovery import find_grid

CENTRES, POLES = np.linspace(75, -75, 6), np.linspace(90, -90, 9)
COLUMNS = np.arange(0, 360, 30.0)
METHODS = ["nearest", "bilinear", "bicubic"]


def field(lat=CENTRES, lon=COLUMNS, *, seed=0, name="t2m", times=2):
    values = np.random.default_rng(seed).normal(280, 5, (times, len(lat), len(lon)))
    time = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[s]")[:times]
    return xr.DataArray(
        values.astype("f4"),
        coords={"time": time, "lat": lat, "lon": lon},
        name=name,
        attrs={"units": "K", "standard_name": "air_temperature", "cell_methods": "time: mean"},
    )


def refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def weighted_mean(da, lat, lon):
    """Average blocks with xarray, weighted by the cosine, exact where rows are equally spaced."""
    weights = np.cos(np.deg2rad(da[lat])).drop_vars(lat).rename("weight")
    with xr.set_options(use_numbagg=False):  # which would compile first
        total = (da.astype(float) * weights).coarsen({lat: 2, lon: 2}).mean()
        return total / weights.coarsen({lat: 2}).mean()


def test_coarsen_is_the_weighted_mean_of_xarray():
    full = field()
    expected = weighted_mean(full, "lat", "lon")
    coarse = flexclim.coarsen(full, 2)
    np.testing.assert_allclose(coarse, expected, rtol=1e-6)
    np.testing.assert_array_equal(coarse.lon, expected.lon)
    np.testing.assert_allclose(coarse.lat, expected.lat)


def test_coarsen_keeps_points():
    coarse = flexclim.coarsen(field(POLES), 4)
    assert coarse.lat.values.tolist() == [90, 0, -90]
    assert coarse.lon.values.tolist() == [0, 120, 240]
    constant = flexclim.coarsen(xr.full_like(field(POLES), 7), 4)
    np.testing.assert_allclose(constant, 7)


@pytest.mark.parametrize("kind", ["cell", "point"])
def test_interpolate_then_coarsen_nests(kind):
    coarse = field(POLES if kind == "point" else CENTRES, np.arange(-180, 180, 30.0))
    fine = flexclim.interpolate(coarse, 4)
    back = flexclim.coarsen(fine, 4)
    for name in ("lat", "lon", "time"):
        np.testing.assert_allclose(back[name].astype(float), coarse[name].astype(float))
    if kind == "point":
        np.testing.assert_allclose(fine[:, ::4, ::4], coarse, rtol=1e-6)
    nearest = flexclim.coarsen(flexclim.interpolate(coarse, 4, "nearest"), 4)
    if kind == "cell":
        np.testing.assert_allclose(nearest, coarse, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [2, 3])
def test_interpolate_regional_points_is_xarrays(method, factor):
    coarse = field([3.0, 2.0, 1.0], [5.0, 6.0, 7.0, 8.0])
    fine = flexclim.interpolate(coarse, factor, method, grid="point")
    assert fine.sizes == {"time": 2, "lat": 2 * factor + 1, "lon": 3 * factor + 1}
    if method == "bilinear":
        expected = coarse.astype(float).interp(lat=fine.lat, lon=fine.lon)
        np.testing.assert_allclose(fine, expected, rtol=1e-6)


CHANGES = [
    lambda da: flexclim.coarsen(da, 2),
    lambda da: flexclim.coarsen(da, 3),
    *(lambda da, method=method: flexclim.interpolate(da, 2, method) for method in METHODS),
]


@pytest.mark.slow
@given(
    change=st.sampled_from(CHANGES),
    roll=st.integers(0, 12),
    low=st.sampled_from([0, -180, -90, -360]),
    flips=st.tuples(st.booleans(), st.booleans()),
    name=st.sampled_from(["t2m", "u10"]),
)
@settings(max_examples=30, deadline=None)
def test_stored_order_and_longitudes_change_no_value(change, roll, low, flips, name):
    """Values belong to places: rolled, flipped or renumbered input gives the same at each."""
    plain = field(name=name).drop_attrs()
    moved = plain.assign_coords(lon=(plain.lon - low) % 360 + low).sortby("lon")
    moved = moved.roll(lon=roll, roll_coords=True)
    moved = moved.isel(
        lat=slice(None, None, -1 if flips[0] else 1), lon=slice(None, None, -1 if flips[1] else 1)
    )

    def at_places(da):
        return da.assign_coords(lon=da.lon % 360).sortby("lon").sortby("lat")

    result, expected = change(moved), change(plain)
    xr.testing.assert_allclose(at_places(result), at_places(expected), rtol=1e-6)
    if result.sizes["lat"] > 1:
        assert (result.lat[0] < result.lat[-1]) == (moved.lat[0] < moved.lat[-1])


def test_rolled_by_whole_blocks_the_array_is_rolled():
    plain = field()
    rolled = flexclim.coarsen(plain.roll(lon=4, roll_coords=True), 2)
    xr.testing.assert_identical(
        rolled.drop_attrs(), flexclim.coarsen(plain, 2).roll(lon=2, roll_coords=True).drop_attrs()
    )


@pytest.mark.parametrize("change", CHANGES)
def test_lazy_is_eager(change):
    plain = field()
    lazy = plain.chunk(time=1, lat=2, lon=5)
    with dask.config.set(scheduler=refuse):
        result = change(lazy)
    assert result.chunks[0] == (1, 1)
    assert result.dtype == change(plain).dtype == np.float32
    xr.testing.assert_equal(result.compute(), change(plain))


def test_missing_cells():
    holes = field()
    holes[0, :2, :2] = np.nan
    holes[1, 0, 0] = np.nan
    coarse = flexclim.coarsen(holes, 2)
    assert np.isnan(coarse[0, 0, 0])
    assert int(coarse.isnull().sum()) == 1
    fine = flexclim.interpolate(holes, 2, "nearest")
    assert int(fine.isnull().sum()) == 4 * 5


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 9.97e36, -1e32])
def test_fill_values_are_named_when_values_are_computed(bad):
    broken = field(name="u10")
    broken[1, 2, 3] = bad
    lazy = flexclim.coarsen(broken.chunk(time=1), 2)
    message = r"'u10' has 1 infinite or fill values.*Mask them with \.where\(abs\(u10\) < 1e30\)"
    with pytest.raises(FlexclimError, match=message):
        lazy.compute()
    lazy[0].compute()
    with pytest.raises(FlexclimError, match=message):
        flexclim.interpolate(broken, 2)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_declared_missing_values_are_decoded(change, lazy):
    holes = field().where(lambda f: f < 285)
    coded = holes.fillna(1e20).assign_attrs(missing_value=1e20, valid_range=[100.0, 400.0])
    result = change(coded.chunk(time=1) if lazy else coded)
    assert not {"missing_value", "valid_range"} & set(result.attrs)
    assert result.dtype == np.float32
    xr.testing.assert_equal(result.compute(), change(holes))
    whole = holes.round().fillna(-999).astype("i2").assign_attrs(_FillValue=-999)
    whole = change(whole.chunk(time=1) if lazy else whole)
    xr.testing.assert_allclose(whole.compute(), change(holes.round()))
    with pytest.raises(FlexclimError, match=r"'t2m' has .* values of 1e\+20, far from all others"):
        change(coded.drop_attrs()).compute()


def types(dtype="i1"):
    """Return blocks of 2 x 2 cells with most of a type on a grid of cells."""
    values = np.repeat(np.repeat(np.arange(18).reshape(3, 6), 2, 0), 2, 1)
    values[::2, ::2] = 0
    return xr.DataArray(
        values.astype(dtype),
        coords={"lat": CENTRES, "lon": COLUMNS},
        name="soil",
        attrs={"flag_values": np.arange(18, dtype="i1"), "flag_meanings": "sand " * 18},
    )


@pytest.mark.parametrize("lazy", [False, True])
def test_the_most_frequent_category_of_a_block_is_taken(lazy):
    soil = types().chunk() if lazy else types()
    with pytest.warns(FlexclimWarning, match="'soil' holds flags or categories: the most frequent"):
        coarse = flexclim.coarsen(soil, 2)
    assert coarse.dtype == "i1"
    assert coarse.values.ravel().tolist() == list(range(18))
    assert coarse.attrs["cell_methods"] == "area: mode"
    assert "most frequent category" in coarse.attrs["comment"]
    assert coarse.attrs["flag_values"].dtype == "i1"
    coded = soil.assign_attrs(missing_value=np.int8(100))
    with pytest.warns(FlexclimWarning, match="most frequent"):
        assert flexclim.coarsen(coded, 2).compute().dtype == "f4"
    holes = types("f4").where(lambda f: f > 0)
    with pytest.warns(FlexclimWarning, match="most frequent"):
        coarse = flexclim.coarsen(holes, 2)
    assert coarse.dtype == coarse.attrs["flag_values"].dtype == "f4"
    np.testing.assert_array_equal(coarse.values.ravel(), [np.nan, *range(1, 18)])


def test_the_category_of_the_nearest_cell_is_taken():
    with pytest.warns(FlexclimWarning, match="the category of the nearest cell is taken"):
        fine = flexclim.interpolate(types(), 2)
    np.testing.assert_array_equal(fine, types().values.repeat(2, 0).repeat(2, 1))
    assert fine.dtype == "i1"
    with warnings.catch_warnings():
        warnings.simplefilter("error", FlexclimWarning)
        xr.testing.assert_equal(flexclim.interpolate(types(), 2, "nearest"), fine)


def test_directions_are_averaged_on_the_circle():
    """As the direction of the mean of unit vectors, also across a pole and in any range."""
    degrees = (field(name="wd") * 40 % 360).assign_attrs(
        standard_name="wind_from_direction", units="degree"
    )
    angle = np.deg2rad(degrees.astype(float))
    for change in CHANGES:
        result = change(degrees)
        east, north = (
            change(f.rename(n).drop_attrs())
            for f, n in zip((np.sin(angle), np.cos(angle)), "uv", strict=True)
        )
        expected = np.rad2deg(np.arctan2(east, north)) % 360
        np.testing.assert_allclose((result - expected + 180) % 360, 180, atol=1e-3)
        assert 0 <= float(result.min()) <= float(result.max()) < 360
        assert "unit vectors" in result.attrs["comment"]
        turned = change((degrees + 180) % 360 - 180)
        np.testing.assert_allclose((result - turned + 180) % 360, 180, atol=1e-3)


def test_inputs_are_never_changed():
    ds = field().to_dataset()
    ds["lat"].attrs["bounds"] = "edges"
    before = ds.copy(deep=True)
    for change in CHANGES:
        change(ds)
        change(ds.t2m)
        xr.testing.assert_identical(ds, before)


def test_datasets_carry_the_rest():
    ds = xr.Dataset(
        {
            "u10": field(name="u10").transpose("lon", "lat", "time"),
            "t2m": field(),
            "mask": (("lat", "lon"), np.ones((6, 12), bool)),
            "lead": ("time", [0, 6]),
            "lat_bnds": (("lat", "bnds"), np.zeros((6, 2))),
            "label": ((), "run"),
        },
        attrs={"history": "made", "title": "a run"},
    )
    coarse = flexclim.coarsen(ds, 2)
    assert set(coarse.data_vars) == {"u10", "t2m", "mask", "lead", "label"}
    assert coarse.u10.dims == ("lon", "lat", "time")
    assert float(coarse.mask.min()) == 1
    np.testing.assert_allclose(coarse.lat_bnds[:, 0], [90, 30, -30])
    assert coarse.t2m.attrs["cell_methods"] == "time: mean area: mean"
    assert flexclim.coarsen(coarse, 3).t2m.attrs["cell_methods"] == "time: mean area: mean"
    assert coarse.attrs["title"].endswith(" made by flexclim from a run")
    first, last = coarse.attrs["history"].split("\n")
    assert first == "made"
    assert last.endswith(f"flexclim {flexclim.__version__}: coarsen(factor=2)")
    assert ds.history == "made"


@pytest.mark.parametrize("members", [["r1", "r2"], [1.5, 2.0], [2**40, 1], [7, 3]], ids=str)
def test_members_keep_their_numbers_or_names(members):
    ensemble = field().rename(time="realization").assign_coords(realization=members)
    for change in CHANGES:
        assert change(ensemble)["realization"].values.tolist() == members


def test_arrays_keep_name_order_and_history():
    coarse = flexclim.coarsen(field(name=None).transpose("lat", "time", "lon"), 2)
    assert coarse.name is None
    assert coarse.dims == ("lat", "time", "lon")
    assert "bounds" not in coarse.lat.attrs
    fine = flexclim.interpolate(coarse, 2, "bilinear")
    assert [line.split(": ")[1] for line in fine.attrs["history"].split("\n")] == [
        "coarsen(factor=2)",
        "interpolate(factor=2, method='bilinear')",
    ]
    assert fine.attrs["units"] == "K"


def test_winds_turn_at_the_pole_and_temperatures_do_not():
    constant = xr.full_like(field(), 1)
    over_pole = {}
    for name in ("u10", "t2m"):
        fine = flexclim.interpolate(constant.rename(name).drop_attrs(), 4, "bilinear")
        over_pole[name] = float(fine[0, 0, 0])
    assert over_pole["t2m"] == 1
    assert over_pole["u10"] == pytest.approx(1 / 4)


def test_what_can_not_be_done():
    with pytest.raises(GridError, match=r"method 'cubic' is not known. Pass one of nearest"):
        flexclim.interpolate(field(), 2, "cubic")
    with pytest.raises(GridError, match=r"factor 4 does not fit 6 x 12 cells.*crop.*4 x 12"):
        flexclim.coarsen(field(), 4)
    with pytest.raises(GridError, match=r"factor 3 does not fit 9 x 12 points.*7 x 12"):
        flexclim.coarsen(field(POLES), 3)
    with pytest.raises(GridError, match="no variable of the dataset has numbers along 'lat'"):
        flexclim.coarsen(xr.Dataset(coords=field().coords), 2)


def test_accessor_is_the_function():
    full = field()
    xr.testing.assert_equal(full.flex.coarsen(2), flexclim.coarsen(full, 2))
    xr.testing.assert_equal(
        full.flex.interpolate(2, method="nearest"), flexclim.interpolate(full, 2, "nearest")
    )
    assert repr(full.flex.grid) == repr(find_grid(full))


# Real fields


def test_gfs_keeps_its_poles(data_dir):
    with xr.open_dataset(data_dir / "gfs_wind_1deg_2018.nc") as ds:
        wind = ds[["u10", "v10", "lead_hours"]].isel(time=slice(0, 2)).load()
    coarse = flexclim.coarsen(wind, 4)
    assert coarse.u10.sizes == {"time": 2, "latitude": 46, "longitude": 90}
    fine = flexclim.interpolate(coarse, 4)
    xr.testing.assert_allclose(fine.latitude.drop_attrs(), wind.latitude.drop_attrs())
    xr.testing.assert_allclose(fine.longitude.drop_attrs(), wind.longitude.drop_attrs())
    errors = {
        method: float(np.sqrt(((flexclim.interpolate(coarse, 4, method) - wind).u10 ** 2).mean()))
        for method in METHODS
    }
    assert errors["bicubic"] < errors["bilinear"] < errors["nearest"]
    belt = wind.sel(latitude=slice(60, -59))
    assert flexclim.coarsen(belt, 4).u10.shape == (2, 30, 90)


def test_small_gfs_crop_is_xarrays_weighted_mean(data_dir):
    with xr.open_dataset(data_dir / "small" / "gfs_1deg_6x64x64.nc") as ds:
        u10 = ds.u10.load()
    expected = weighted_mean(u10, "latitude", "longitude")
    np.testing.assert_allclose(flexclim.coarsen(u10, 2), expected, rtol=1e-6, atol=1e-6)


def test_small_arome_crop_keeps_its_projection(data_dir):
    with xr.open_dataset(data_dir / "small" / "arome_2p5km_6x128x128.nc") as ds:
        ds = ds.isel(time=slice(0, 2)).load()
    coarse = flexclim.coarsen(ds, 4)
    expected = ds.x_wind_10m.coarsen(y=4, x=4).mean()
    np.testing.assert_allclose(coarse.x_wind_10m, expected, rtol=1e-5)
    np.testing.assert_allclose(coarse.y, expected.y, rtol=1e-7)
    assert coarse.latitude.dims == ("y", "x")
    assert np.abs(coarse.latitude.values - expected.latitude.values).max() < 1e-4


def test_small_mrms_crop_keeps_dry_blocks_dry(data_dir):
    with xr.open_dataset(data_dir / "small" / "mrms_1km_6x128x128.nc") as ds:
        rain = ds.qpe_01h.isel(time=0).load()
    coarse = flexclim.coarsen(rain, 4)
    dry = (rain == 0).coarsen(latitude=4, longitude=4).min().astype(bool)
    assert float(np.abs(coarse.values[dry.values]).max(initial=0)) == 0
