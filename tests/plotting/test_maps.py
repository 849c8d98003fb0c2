"""Maps: right place, right outlines, no network."""

import socket

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flexclim.cli.demos.sample import sample_file
from flexclim.errors import GridError
from flexclim.plotting.maps import coastlines, draw_coastlines, draw_map, map_axes


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a map asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def temperature():
    return xr.open_dataset(sample_file())["t2m"].isel(time=0)


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_coastlines_are_degrees_and_hold_known_land():
    points = np.concatenate(coastlines())
    assert points.shape == (5122, 2)
    assert np.abs(points).max(axis=0) == pytest.approx([180, 85.6], abs=0.1)
    madagascar = (points[:, 0] > 43) & (points[:, 0] < 51) & (points[:, 1] < -12)
    assert (madagascar & (points[:, 1] > -26)).sum() > 10


def test_lines_do_not_cross_the_map_at_the_date_line():
    steps = [np.abs(np.diff(line[:, 0])).max() for line in coastlines() if len(line) > 1]
    assert max(steps) < 180


def test_map_shows_a_warm_cell_where_it_lies(temperature):
    field = xr.zeros_like(temperature)
    field.loc[{"latitude": slice(10, 0), "longitude": slice(90, 100)}] = 1.0
    figure = Figure(figsize=(4, 2), dpi=90)
    ax = map_axes(figure, 1, 1, 1, field)
    draw_map(ax, field, cmap="gray", vmin=0, vmax=1)
    image = drawn(figure).astype(float).mean(axis=-1)
    box = ax.get_window_extent()
    row = int(image.shape[0] - (box.y0 + (90 + 5) / 180 * box.height))
    column = int(box.x0 + 95 / 360 * box.width)
    assert image[row, column] > 190
    assert image[row, column + 60] < 130


def test_map_of_a_projected_grid(temperature):
    y, x = np.arange(6) * 1e5, np.arange(5) * 1e5
    at = xr.Dataset(coords={"y": y, "x": x})
    latitude = 50 + at.y / 1e5 + 0.1 * at.x / 1e5
    longitude = 5 + at.x / 1e5 - 0.2 * at.y / 1e5
    field = xr.DataArray(np.ones((6, 5)), {"y": y, "x": x}, ("y", "x"))
    figure = Figure()
    with pytest.raises(GridError, match="no latitude and longitude"):
        map_axes(figure, 1, 1, 1, field)
    field = field.assign_coords(
        latitude=latitude.transpose("y", "x"), longitude=longitude.transpose("y", "x")
    )
    ax = map_axes(figure, 1, 1, 1, field)
    draw_map(ax, field, title="projected")
    drawn(figure)
    assert ax.get_title() == "projected"


def test_plain_axes_keep_their_limits():
    figure = Figure()
    ax = figure.add_subplot()
    ax.set(xlim=(150, 250), ylim=(-60, 10))
    before = drawn(figure).copy()
    draw_coastlines(ax)
    assert (ax.get_xlim(), ax.get_ylim()) == ((150, 250), (-60, 10))
    assert (drawn(figure) != before).any()


def test_cells_without_a_position_are_blank():
    """Such as those that an ocean model leaves out on land."""
    lat, lon = np.meshgrid(np.arange(52.0, 44, -1), np.arange(5.0, 13), indexing="ij")
    lat[0, 0] = lon[0, 0] = lon[4, 4] = np.nan
    axes = {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    field = xr.DataArray(np.full((8, 8), 280.0), axes, ("y", "x"), "t2m")
    figure = Figure()
    mesh = draw_map(map_axes(figure, 1, 1, 1, field), field)
    drawn(figure)
    blank = np.ma.getmaskarray(mesh.get_array()).reshape(8, 8)
    assert blank[0, 0]
    assert blank[4, 4]
    assert blank.sum() == 2
