from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train import load_recipe
from flexclim.train.data.downscaling_patches import Patches
from flexclim.train.data.model_settings import model_settings
from flexclim.train.data.normalisation import fit_normalisation
from flexclim.train.data.sources import check_sources, open_sources
from flexclim.train.recipes.data_settings import Data

TIMES = pd.date_range("2020-01-01", periods=6, freq="6h")


def plane(latitude, longitude):
    """A field that is linear in both, so that linear interpolation is exact."""
    return 3 * latitude[:, None] + 2 * longitude


def noise(latitude, longitude):
    """A field whose values tell where they are from."""
    cells = np.random.default_rng(0).permutation(latitude.size * longitude.size)
    return cells.reshape(latitude.size, longitude.size)


def write(path, name, latitude, longitude, times=TIMES, field=plane):
    values = field(latitude, longitude) + 100.0 * np.arange(len(times))[:, None, None]
    xr.Dataset(
        {name: (("time", "latitude", "longitude"), values)},
        coords={"time": times, "latitude": latitude, "longitude": longitude},
    ).to_netcdf(path)


def pair(folder, **changes):
    values = {
        "folder": str(folder),
        "scaling": "fixed",
        "inputs": ["wind"],
        "targets": [{"name": "gust", "base": "wind"}],
        "sources": [
            {
                "path": "fine.nc",
                "coarse": {"path": "coarse.nc"},
                "train": ["0", "3"],
                "validate": ["4", "5"],
            }
            | changes
        ],
    }
    return Data.model_validate(values)


def cut(source, tile=(8, 12), seed=0, **kwargs):
    random = np.random.default_rng(seed)
    return source.cut(random, 4, "cell", tile, **({"reach": 2} | kwargs))


def positions(source, window):
    """Latitude and longitude of the patch, from its statics."""
    return window.predictors["latitude"], window.predictors["longitude"]


def with_positions(source):
    grid = source.grid
    latitude = np.sort(grid.y_values)[::-1]
    longitude = grid.canonical(np.broadcast_to(grid.x_values, grid.domain.shape))
    fields = {
        "latitude": np.broadcast_to(latitude[:, None], grid.domain.shape),
        "longitude": longitude,
    }
    return replace(source, statics=fields)


FINE = {
    # Fine centres between the nested ones: a third of a cell off, and another spacing.
    "off": (50 - 0.0083 - 0.026 * np.arange(160), 3.004 + 0.026 * np.arange(200)),
    # South to north, within the coarse grid.
    "ascending": (46 + 0.025 * np.arange(140), 3 + 0.025 * np.arange(180)),
    # Longitudes of 0 to 360 against the coarse ones of -180 to 180.
    "shifted": (50 - 0.025 * np.arange(160), 363 + 0.025 * np.arange(180)),
}


@pytest.mark.parametrize("grid", ["cell", "point"])
@pytest.mark.parametrize("name", list(FINE))
def test_truth_is_brought_to_the_nested_grid(tmp_path, name, grid):
    latitude, longitude = FINE[name]
    write(tmp_path / "fine.nc", "gust", latitude, longitude)
    write(tmp_path / "coarse.nc", "wind", 50 - 0.1 * np.arange(60), 2 + 0.1 * np.arange(80))
    source = with_positions(open_sources(pair(tmp_path, grid=grid), "train")[0])
    assert source.domain.kind == grid
    for seed in range(8):
        window = cut(source, seed=seed)
        where_y, where_x = positions(source, window)
        index = int(np.flatnonzero(TIMES.values == window.time)[0])
        turn = 360 if name == "shifted" else 0
        truth = 3 * where_y + 2 * (where_x + turn) + 100.0 * index
        # Half a cell beyond the last centre takes that centre's value.
        np.testing.assert_allclose(window.truth[0], truth, atol=0.08 if grid == "cell" else 0.03)
        inside = window.truth[0, 2:-2, 2:-2]
        np.testing.assert_allclose(inside, truth[2:-2, 2:-2], atol=1e-3)
        # The coarse window lies around the patch: its linear field tells where.
        rows, columns = window.inner
        coarse = window.inputs[0] - 100.0 * index
        offset = 0.0 if grid == "point" else 1.5
        first = 3 * where_y[0, 0] + 2 * where_x[0, 0]
        at = coarse[rows.start // 4, columns.start // 4]
        assert first == pytest.approx(at + 0.025 * offset * (3 - 2), abs=1e-3)


def test_shared_points_need_no_interpolation(tmp_path):
    latitude, longitude = 50 - 0.025 * np.arange(161), 3 + 0.025 * np.arange(201)
    write(tmp_path / "fine.nc", "gust", latitude, longitude, field=noise)
    write(tmp_path / "coarse.nc", "wind", latitude[::4], longitude[::4])
    source = open_sources(pair(tmp_path), "train")[0]
    assert source.domain.kind == "point"
    assert source.grid.domain.shape == (161, 201)
    assert source.rows.taps(8, 16)[2] is None
    true = xr.open_dataset(tmp_path / "fine.nc").gust.values
    window = cut(source, seed=3)
    flat = true.astype("float32")[TIMES.values == window.time][0]
    row, column = np.argwhere(flat == window.truth[0, 0, 0])[0]
    assert row % 4 == column % 4 == 0
    np.testing.assert_array_equal(window.truth[0], flat[row : row + 8, column : column + 12])


def test_a_global_pair_wraps(tmp_path):
    latitude, longitude = np.arange(59.5, -60, -1.0), np.arange(0.5, 360, 1.0)
    write(tmp_path / "fine.nc", "gust", latitude, longitude, field=noise)
    write(tmp_path / "coarse.nc", "wind", np.arange(58.0, -60, -4), np.arange(2.0, 360, 4))
    source = open_sources(pair(tmp_path), "train")[0]
    assert source.domain.wrap
    assert source.domain.kind == "cell"
    true = xr.open_dataset(tmp_path / "fine.nc").gust.values.astype("float32")
    crossed = 0
    for seed in range(20):
        window = cut(source, tile=(16, 160), seed=seed)
        plane_ = true[TIMES.values == window.time][0]
        row, column = np.argwhere(plane_ == window.truth[0, 0, 0])[0]
        columns = (column + np.arange(160)) % 360
        crossed += columns[0] > columns[-1]
        np.testing.assert_array_equal(window.truth[0], plane_[row : row + 16][:, columns])
    assert crossed


def test_only_times_of_both_count(tmp_path):
    latitude, longitude = 50 - 0.025 * np.arange(161), 3 + 0.025 * np.arange(201)
    write(tmp_path / "fine.nc", "gust", latitude, longitude, TIMES[2:])
    write(tmp_path / "coarse.nc", "wind", latitude[::4], longitude[::4], TIMES[:5])
    data = pair(tmp_path, train=("0", "1"), validate=("2", "2"))
    source = open_sources(data, "train")[0]
    np.testing.assert_array_equal(source.stamps, TIMES.values[2:4])
    assert source.coarse_series["wind"].read(0)[0, 0] == pytest.approx(156 + 200)
    assert source.fine_series["gust"].read(0)[0, 0] == pytest.approx(156)


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard"])
def test_calendars_are_paired_by_date(tmp_path, calendar):
    latitude, longitude = 50 - 0.025 * np.arange(161), 3 + 0.025 * np.arange(201)
    fine = pd.date_range("2020-02-27", "2020-03-03")  # with 29 February
    coarse = xr.date_range("2020-02-27", periods=6, calendar=calendar, use_cftime=True)
    write(tmp_path / "fine.nc", "gust", latitude, longitude, fine)
    write(tmp_path / "coarse.nc", "wind", latitude[::4], longitude[::4], coarse)
    source = open_sources(pair(tmp_path, train=("0", "3"), validate=("4", "4")), "train")[0]
    days = {"noleap": [27, 28, 1, 2], "360_day": [27, 28, 29, 1]}.get(calendar, [27, 28, 29, 1])
    assert pd.DatetimeIndex(source.stamps).day.tolist() == days
    dates = [(date.month, date.day) for date in coarse]
    for n, stamp in enumerate(pd.DatetimeIndex(source.stamps)):
        before = dates.index((stamp.month, stamp.day))
        assert source.coarse_series["wind"].read(n)[0, 0] == pytest.approx(156 + 100 * before)


@pytest.mark.parametrize(
    ("fine", "times", "changes", "message"),
    [
        ("same", TIMES + pd.Timedelta("30D"), {}, "the pair has no time in common: coarse.nc from"),
        ("far", TIMES, {}, "grids of coarse.nc and fine.nc do not overlap"),
        ("finer", TIMES, {}, "that is a factor of 8, not 4"),
        ("same", TIMES, {"train": ("1999", "2000")}, "has no time from 1999 to 2000"),
        ("same", TIMES, {"path": "absent.nc"}, "absent.nc is not there"),
        ("same", TIMES, {"coarse": {"path": "absent.nc"}}, "absent.nc is not there"),
    ],
)
def test_pairs_that_do_not_match_get_one_line(tmp_path, fine, times, changes, message):
    latitude, longitude = 50 - 0.025 * np.arange(161), 3 + 0.025 * np.arange(201)
    write(tmp_path / "coarse.nc", "wind", latitude[::4], longitude[::4])
    if fine == "far":
        longitude = longitude + 40
    if fine == "finer":
        latitude, longitude = 50 - 0.0125 * np.arange(321), 3 + 0.0125 * np.arange(401)
    write(tmp_path / "fine.nc", "gust", latitude, longitude, times)
    with pytest.raises(RecipeError, match=message) as caught:
        open_sources(pair(tmp_path, **changes), "train")
    assert "\n" not in str(caught.value)


def test_meteonet_is_a_pair_of_points(data_dir):
    """Every fourth AROME point is an ARPEGE one; inputs and targets are different variables."""
    recipe = load_recipe("meteonet_arpege_arome", [f"data.folder={data_dir}"])
    sources = open_sources(recipe.data, "train")
    check_sources(sources, recipe.data, recipe.network.tile)
    assert sources[0].grid.domain.shape == (225, 313)
    settings = model_settings(recipe, fit_normalisation(sources, recipe))
    assert not settings.conserve
    batch = Patches(sources, recipe.data, settings, 0).batch(0, 8)
    assert batch.inputs.shape == (8, 8, 64, 64)
    assert batch.residual.shape == (8, 1, 64, 64)
    assert np.isfinite(batch.inputs).all()
    assert 0.2 < batch.residual.std() < 5
