import numpy as np
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.sources import check_sources
from flexclim.train.data.training_data import open_training_data

FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
)


def test_a_patch_is_a_function_of_step_and_position(patches):
    whole = patches.batch(5, 4)
    part = patches.batch(5, 2, first=2)
    for name in ("inputs", "residual", "label", "scale"):
        np.testing.assert_array_equal(getattr(whole, name)[2:], getattr(part, name))
    streamed = list(patches.stream(range(4, 6), 4))
    np.testing.assert_array_equal(streamed[1].inputs, whole.inputs)
    assert not np.array_equal(streamed[0].inputs, whole.inputs)


def test_ranks_share_a_batch_and_another_seed_changes_it(recipe, make):
    one, other = make(recipe), make(recipe, seed=1)
    ranks = [one.batch(3, 3, first) for first in (0, 3)]
    whole = one.batch(3, 6)
    np.testing.assert_array_equal(np.concatenate([r.inputs for r in ranks]), whole.inputs)
    assert not np.array_equal(other.batch(3, 6).inputs, whole.inputs)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["superres", "forecast"])
def test_steps_take_turns_in_sizes_of_tiles(folder, read, monkeypatch, task):
    """All patches of a step have one size, drawn for the step alone; validation has the large."""
    monkeypatch.setattr("flexclim.train.data.normalisation.BATCHES", 12)
    forecast = FORECAST if task == "forecast" else ()
    data = open_training_data(read(folder, "network.other_tiles=[[16, 16]]", *forecast))
    sizes = [data.train.batch(step, 2, first=2).inputs.shape[-2:] for step in range(12)]
    assert sizes == [data.train.tile_of(step) for step in range(12)]
    assert 2 < sizes.count((16, 16)) < 10
    assert set(sizes) == {(32, 32), (16, 16)}
    held = data.validation[task]
    assert {held.batch(step, 1).inputs.shape[-2:] for step in range(6)} == {(32, 32)}
    alone = open_training_data(read(folder, *forecast), data.fitted).train
    for step in range(12):
        if sizes[step] == (32, 32):
            expected = alone.batch(step, 2).inputs
            np.testing.assert_array_equal(data.train.batch(step, 2).inputs, expected)


@pytest.mark.slow
def test_workers_make_the_same_batches(folder, read, make):
    alone = list(make(read(folder)).stream(range(2, 6), 3))
    helped = list(make(read(folder, "data.workers=2")).stream(range(2, 6), 3))
    assert len(alone) == len(helped) == 4
    for a, b in zip(alone, helped, strict=True):
        np.testing.assert_array_equal(a.inputs, b.inputs)
        np.testing.assert_array_equal(a.residual, b.residual)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_chunk_that_breaks_on_the_way_gets_one_line(folder, monkeypatch, workers, read, make):
    """All looks well while the middle of the split is checked."""
    monkeypatch.setattr("flexclim.train.data.source_fields.IN_MEMORY", 0)
    ds = xr.open_dataset(folder / "wind.nc").chunk(time=1)
    ds.to_zarr(folder / "wind.zarr", zarr_format=2, consolidated=False)
    overrides = "data.sources.0.path=wind.zarr", f"data.workers={workers}"
    patches = make(read(folder, *overrides))
    check_sources(patches.sources, patches.data, patches.tiles[0])
    for chunk in (folder / "wind.zarr").glob("[uv]10/*.0.0"):
        chunk.write_bytes(b"broken")
    with pytest.raises(RecipeError, match=r"10' in wind.zarr can't be read: .*copy it") as caught:
        list(patches.stream(range(2), 2))
    assert "\n" not in str(caught.value)


@pytest.fixture
def showers(folder, read):
    """Return a recipe for rain in one corner of a field with a hole."""
    random = np.random.default_rng(1)
    values = np.zeros((4, 128, 128), "float32")
    values[:, :48, :48] = random.exponential(size=(4, 48, 48))
    values[:, 100:, 100:] = np.nan
    values[0, 5, 5] = 3112.0
    xr.Dataset(
        {"rain": (("time", "lat", "lon"), values)},
        coords={
            "time": np.arange("2020-01-01", "2020-01-05", dtype="M8[D]"),
            "lat": 60 - 0.01 * np.arange(128),
            "lon": 0.01 * np.arange(128),
        },
    ).to_netcdf(folder / "rain.nc")

    def recipe(**changes):
        source = {"path": "rain.nc", "train": ["0", "2"], "validate": ["3", "3"], "largest": 200}
        return read(
            folder,
            f"data.sources=[{source | changes}]",
            "data.inputs=[{name: rain, transform: log1p}]",
            "data.scaling=fixed",
            "data.points=0",
        )

    return recipe


@pytest.mark.slow
def test_rain_aware_sampling(showers, make):
    def wet(recipe):
        made = make(recipe)
        drawn = [made.draw(0, position) for position in range(30)]
        return np.array([(one.coarse > 0.1).mean() > 0.2 for one in drawn])

    assert wet(showers()).mean() < 0.6
    assert wet(showers(rain={"wet": 0.2, "above": 0.1})).all()
    half = wet(showers(rain={"wet": 0.2, "above": 0.1, "share": 0.5})).mean()
    assert 0.5 < half < 0.9
    # Where no patch is wet enough, the wettest of some is taken.
    assert not make(showers(rain={"wet": 1.0, "above": 50.0})).draw(0, 0).coarse.any() < 0


def test_missing_values_and_values_beyond_the_limit(showers, make):
    made = make(showers())
    batch = made.batch(0, 40)
    assert np.isfinite(batch.inputs).all()
    drawn = [made.draw(0, position) for position in range(40)]
    assert max(float(np.nanmax(one.window.truth)) for one in drawn) < 200
    for one, residual in zip(drawn, batch.residual, strict=True):
        unknown = np.isnan(one.window.truth)
        assert unknown.mean() < 0.5
        assert np.isnan(residual[unknown]).all()
