import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify


def plane(shape, step=(1e3, 1e3), seed=0):
    values = np.random.default_rng(seed).normal(5, 2, size=shape)
    y, x = (np.arange(n) * d for n, d in zip(shape[-2:], step, strict=True))
    return xr.DataArray(values, {"y": y, "x": x}, ["time", "y", "x"][-len(shape) :])


@pytest.mark.parametrize(("waves", "axis"), [(3, "x"), (5, "y")])
def test_a_wave_lies_at_its_wavelength_off_the_square(waves, axis):
    field = plane((40, 60), (2e3, 1e3))
    length = {"x": 60e3, "y": 80e3}[axis]
    wave = np.sin(2 * np.pi * waves * field[axis] / length).broadcast_like(field)
    power = verify.spectrum(wave.transpose("y", "x"), edges="periodic")
    peak = int(power.argmax("wavenumber"))
    width = 1 / 60e3
    assert abs(float(power.wavenumber[peak]) - waves / length) <= width / 2
    assert float(power[peak]) == pytest.approx(0.5, rel=1e-9)
    assert power.wavelength.attrs["units"] == "m"


def test_lazy_equals_eager_and_averages():
    field = plane((6, 16, 20))
    whole = verify.spectrum(field)
    each = verify.spectrum(field, dim=())
    xr.testing.assert_allclose(each.mean("time"), whole, rtol=1e-12)
    lazy = verify.spectrum(field.chunk(time=2, y=5))
    assert lazy.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), whole, rtol=1e-12)


def test_zonal_powers_of_forecast_and_truth_have_the_same_weights():
    values = np.random.default_rng(0).normal(size=(6, 16)) * np.arange(1, 7)[:, None]
    axes = {"lat": 80 - 30.0 * np.arange(6), "lon": np.arange(16) * 22.5}
    ds = xr.DataArray(values, axes, ["lat", "lon"], "t").to_dataset()
    edges = np.array([90, 70, 30, 10, -30, -60, -90.0])
    stated = ds.assign(lat_bnds=(("lat", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1)))
    for forecast in (ds, stated):
        assert float(verify.log_spectral_distance(forecast, stated, "zonal").t) == 0
    expected = np.average(values.var(axis=1), weights=-np.diff(np.sin(np.deg2rad(edges))))
    assert float(verify.spectrum(stated, "zonal").t.sum()) == pytest.approx(expected, rel=1e-12)


def test_components_of_a_wind_are_matched():
    u, v = plane((16, 20)), plane((16, 20), seed=1)
    expected = verify.kinetic_energy(u, v)
    other = v.assign_coords(y=v.y + 1e-6).isel(x=slice(None, None, -1))
    xr.testing.assert_identical(verify.kinetic_energy(u, other), expected)
    with pytest.raises(AlignmentError, match=r"'y' differs .* in the northward component"):
        verify.kinetic_energy(u, v.assign_coords(y=v.y + 500))


def test_missing_values_raise_an_error_or_are_filled():
    field = plane((16, 16))
    field[3, 3] = np.nan
    with pytest.raises(FlexclimError, match=r"1 NaN.*fill='mean'"):
        verify.spectrum(field)
    assert float(verify.spectrum(field, fill="mean").sum()) == pytest.approx(
        float(field.fillna(field.mean()).var()), rel=1e-12
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.isel(x=[]), "'x' is empty"),
        (lambda f: f.astype(str), "not real numbers"),
        (lambda f: f.assign_coords(y=list("abcdefgh")), "'y' holds values of type .*, no numbers"),
    ],
)
def test_bad_fields_are_named(change, words):
    with pytest.raises(FlexclimError, match=words):
        verify.spectrum(change(plane((8, 8))))


def test_empty_selections_and_nonsense_are_named():
    field = plane((2, 8, 8))
    for empty in (field.isel(time=[]), field.isel(x=[])):
        with pytest.raises(FlexclimError, match="is empty: the selection holds no values"):
            verify.spectrum(empty)
        with pytest.raises(FlexclimError, match="is empty"):
            verify.kinetic_energy(empty, empty)
    with pytest.raises(AlignmentError, match="the field is of type ndarray"):
        verify.spectrum(field.values)
    with pytest.raises(FlexclimError, match="names variables of a Dataset"):
        verify.spectrum(field, vector=["u", "v"])
    for vector in (["u"], "u", ["u", "w"]):
        with pytest.raises(FlexclimError, match="does not name the eastward and"):
            verify.spectrum(field.to_dataset(name="u"), vector=vector)


@pytest.mark.parametrize("kind", ["uint8", "bool", "float16", "object"])
def test_types_of_numbers_have_the_spectrum_of_their_values(kind):
    field = (plane((16, 16)) > 5).astype(kind)
    xr.testing.assert_allclose(verify.spectrum(field), verify.spectrum(field.astype(float)))


@pytest.mark.parametrize(("rows", "columns"), [(1, 8), (8, 1), (1, 1), (2, 2)])
@pytest.mark.parametrize("kind", ["radial", "zonal"])
def test_one_row_or_column_has_its_variance(rows, columns, kind):
    field = plane((rows, columns))
    power = verify.spectrum(field, kind)
    expected = field.var("x").mean() if kind == "zonal" else field.var()
    assert float(power.sum()) == pytest.approx(float(expected), abs=1e-12)


def test_planes_without_values_do_not_count():
    field = plane((3, 16, 20))
    gone = field.where(field.time != 1)
    for fill in (None, "mean"):
        power = verify.spectrum(gone, fill=fill)
        xr.testing.assert_allclose(power, verify.spectrum(field.isel(time=[0, 2])), rtol=1e-12)
    each = verify.spectrum(gone, dim=())
    assert each.isnull().all("wavenumber").values.tolist() == [False, True, False]


def test_components_in_other_units_are_converted():
    east, north = (plane((8, 8), seed=n).assign_attrs(units="m s-1") for n in (1, 2))
    knots = (north / 0.514444).assign_attrs(units="knot")
    xr.testing.assert_allclose(
        verify.kinetic_energy(east, knots), verify.kinetic_energy(east, north), rtol=1e-5
    )
