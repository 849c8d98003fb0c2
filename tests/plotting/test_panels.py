"""Small multiples: the right statistics, one colour scale a variable, and no surprises."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

import flexclim
from flexclim import FlexclimError
from flexclim.plotting.panels import plot

pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.fixture
def ensemble():
    """Two winds at two times, 10 members, with NaN in one cell of one member."""
    values = np.random.default_rng(0).normal(3, 4, (10, 2, 4, 6))
    values[3, :, 0, 0] = np.nan
    dims = "number", "time", "lat", "lon"
    return xr.Dataset(
        {
            "u10": (dims, values, {"units": "m s-1", "long_name": "zonal wind"}),
            "ws": (dims, abs(values), {"units": "m s-1"}),
        },
        {
            "number": range(1, 11),
            "time": np.array(["2020-01-01", "2020-01-02"], "M8[ns]"),
            "lat": [53.0, 52.0, 51.0, 50.0],
            "lon": np.arange(5.0, 11.0),
        },
    )


def shown(ax):
    return np.ma.filled(ax.collections[0].get_array().astype(float), np.nan)


def test_an_ensemble_has_members_mean_quantiles_and_spread(ensemble):
    one = ensemble["u10"].isel(time=0)
    figure, axes = one.flex.plot(members=1, quantiles=(0.75, 0.25))
    assert [ax.get_title() for ax in axes] == ["member 1", "mean", "25 %", "75 %", "spread"]
    values = one.values
    expected = [
        values[0],
        values.mean(0),
        np.quantile(values, 0.25, axis=0),
        np.quantile(values, 0.75, axis=0),
        values.std(0, ddof=1),
    ]
    for ax, field in zip(axes, expected, strict=True):
        np.testing.assert_allclose(shown(ax), field)
    assert np.isnan(shown(axes[1])[0, 0])  # a mean of fewer members would be another one
    assert figure.subfigs[0].get_suptitle() == "zonal wind, 2020-01-01 00:00"
    assert pyplot.get_fignums() == [figure.number]


def test_maps_of_a_variable_share_one_scale_and_a_spread_has_its_own(ensemble):
    _, axes = flexclim.plot(ensemble.isel(time=0))
    meshes = [ax.collections[0] for ax in axes]
    assert len(meshes) == 12
    assert len({mesh.get_clim() for mesh in meshes[:5]}) == 1
    assert [mesh.cmap.name for mesh in meshes[4:7]] == ["RdBu_r", "YlOrRd", "YlGnBu"]
    assert meshes[5].get_clim()[0] == 0


def test_fields_without_members_have_a_map_for_each_time(ensemble):
    _, axes = plot(ensemble.isel(number=0), variables="u10")
    assert [ax.get_title() for ax in axes] == ["2020-01-01 00:00", "2020-01-02 00:00"]
    assert len({ax.collections[0].get_clim() for ax in axes}) == 1
    np.testing.assert_array_equal(shown(axes[1]), ensemble["u10"][0, 1])


def test_planes_without_coordinates_all_have_a_map(ensemble):
    one = ensemble["u10"].isel(number=0)
    _, axes = plot(one.drop_vars("time"))
    np.testing.assert_array_equal(shown(axes[0]), one[0])
    np.testing.assert_array_equal(shown(axes[1]), one[1])
    seconds = np.array(["2020-01-01T00:00:10", "2020-01-01T00:00:20"], "M8[ns]")
    _, axes = plot(one.assign_coords(time=seconds))
    assert [ax.get_title() for ax in axes] == ["2020-01-01 00:00", "2020-01-01 00:00 (1)"]


def test_stations_and_grids_without_positions_are_drawn(ensemble):
    stations = ensemble.isel(time=0).stack(station=("lat", "lon")).reset_index("station")
    _, axes = plot(stations["u10"], members=1, quantiles=())
    np.testing.assert_allclose(axes[0].collections[0].get_offsets()[:2, 1], [53, 53])
    np.testing.assert_array_equal(shown(axes[0]), stations["u10"][0])
    metres = ensemble.isel(time=0, number=0).rename(lat="y", lon="x")
    metres = metres.assign_coords(y=metres.y * 1e3, x=metres.x * 1e3)
    assert plot(metres).axes.shape == (2,)


def test_a_figure_does_not_get_too_many_maps(ensemble):
    with pytest.raises(FlexclimError, match=r"make 60 maps; .* such as with \.isel\(time=0\)"):
        plot(ensemble, members=9, quantiles=np.linspace(0.1, 0.9, 4))
    assert not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": -1}, "members=-1 is no number"),
        ({"quantiles": (10, 90)}, "are not between 0 and 1"),
        ({"variables": ["t2m"]}, "'t2m'"),
        ({"variable": "u10"}, "did you mean 'variables'"),
    ],
)
def test_wrong_arguments_are_errors(ensemble, options, message):
    with pytest.raises(FlexclimError, match=message):
        plot(ensemble, **options)


def test_directions_have_no_mean():
    direction = xr.DataArray(
        np.full((3, 2, 2), 359.0),
        {"lat": [1.0, 0.0], "lon": [0.0, 1.0]},
        ("realization", "lat", "lon"),
        name="wdir",
        attrs={"units": "degree"},
    )
    assert [ax.get_title() for ax in plot(direction).axes] == ["member 0", "member 1"]
