import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, RecipeError
from flexclim.grids.operators import ALL, block_mean
from flexclim.sampling.local_scaling import Scaled, scale_locally
from flexclim.sampling.network_inputs import downscaling_inputs, physical
from flexclim.train import load_recipe
from flexclim.train.data.augment import direction, mirror
from flexclim.train.data.normalisation import fit_normalisation, model_settings
from flexclim.train.data.patches import Patches
from flexclim.train.data.splits import check_sources, open_sources
from flexclim.train.recipes.data_settings import Input

UNIT = {"residual_scale": {"2": [1.0], "4": [1.0]}}
NAMED = ("data.inputs=[u10, v10]", "data.sources.0.variables=[]", "data.sources.0.signed=false")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Fit the normalisation on fewer patches than a run does."""
    monkeypatch.setattr("flexclim.train.data.normalisation.BATCHES", 1)


def read(folder, *overrides):
    return load_recipe(folder / "tiny.yaml", overrides)


def make(recipe, seed=0, fitted=None):
    sources = open_sources(recipe.data, "train")
    fitted = fitted or (UNIT if not recipe.data.named else fit_normalisation(sources, recipe))
    return Patches(sources, recipe.data, model_settings(recipe, fitted), seed)


@pytest.fixture
def patches(recipe):
    return make(recipe)


def test_a_patch_is_a_function_of_step_and_position(patches):
    whole = patches.batch(5, 4)
    part = patches.batch(5, 2, first=2)
    for name in ("inputs", "residual", "label", "scale"):
        np.testing.assert_array_equal(getattr(whole, name)[2:], getattr(part, name))
    streamed = list(patches.stream(range(4, 6), 4))
    np.testing.assert_array_equal(streamed[1].inputs, whole.inputs)
    assert not np.array_equal(streamed[0].inputs, whole.inputs)


def test_ranks_share_a_batch_and_another_seed_changes_it(recipe):
    one, other = make(recipe), make(recipe, seed=1)
    ranks = [one.batch(3, 3, first) for first in (0, 3)]
    whole = one.batch(3, 6)
    np.testing.assert_array_equal(np.concatenate([r.inputs for r in ranks]), whole.inputs)
    assert not np.array_equal(other.batch(3, 6).inputs, whole.inputs)


@pytest.mark.slow
def test_workers_make_the_same_batches(folder):
    alone = list(make(read(folder)).stream(range(2, 6), 3))
    helped = list(make(read(folder, "data.workers=2")).stream(range(2, 6), 3))
    assert len(alone) == len(helped) == 4
    for a, b in zip(alone, helped, strict=True):
        np.testing.assert_array_equal(a.inputs, b.inputs)
        np.testing.assert_array_equal(a.residual, b.residual)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_chunk_that_breaks_on_the_way_gets_one_line(folder, monkeypatch, workers):
    """All looks well while the middle of the split is checked."""
    monkeypatch.setattr("flexclim.train.data.sources.SMALL", 0)
    ds = xr.open_dataset(folder / "wind.nc").chunk(time=1)
    ds.to_zarr(folder / "wind.zarr", zarr_format=2, consolidated=False)
    overrides = "data.sources.0.path=wind.zarr", f"data.workers={workers}"
    patches = make(read(folder, *overrides))
    check_sources(patches.sources, patches.data, patches.tile)
    for chunk in (folder / "wind.zarr").glob("[uv]10/*.0.0"):
        chunk.write_bytes(b"broken")
    with pytest.raises(RecipeError, match=r"10' in wind.zarr can't be read: .*copy it") as caught:
        list(patches.stream(range(2), 2))
    assert "\n" not in str(caught.value)


def test_patches_have_unit_residuals_and_both_factors(patches):
    batch = patches.batch(0, 32)
    assert batch.inputs.shape == batch.residual.shape == (32, 1, 32, 32)
    assert set(batch.label[:, 0]) == {-1.0, 0.0}  # log2(factor) - 2
    assert 0.1 < batch.residual.std() < 3


def test_splits_are_by_time(recipe):
    train = open_sources(recipe.data, "train")[0].stamps
    validate = open_sources(recipe.data, "validate")[0].stamps
    assert train.max() < validate.min()


def test_the_gap_is_kept(folder):
    recipe = read(folder, "data.gap=12h")
    train = open_sources(recipe.data, "train")[0].stamps
    validate = open_sources(recipe.data, "validate")[0].stamps
    assert validate.min() - train.max() > np.timedelta64(12, "h")
    with pytest.raises(RecipeError, match=r"all 8 training times of wind\.nc lie within 9D"):
        open_sources(read(folder, "data.gap=9D").data, "train")


@pytest.mark.parametrize("points", [0.0, 1.0])
def test_base_and_residual_make_the_true_field(folder, points):
    """What the network learns is what downscaling adds to its interpolated input."""
    made = make(read(folder, f"data.points={points}", "data.factors={2: 1}"), seed=3)
    for step in range(4):
        window = made.draw(step, 0).window
        patch = made.patch(step, 0)
        inputs, residual = patch["inputs"], patch["residual"]
        coarse = block_mean(window.inputs[0], window.domain, 2, window.area)
        found = scale_locally(coarse, window.domain.coarsen(2), 2)(ALL)
        inner = window.inner
        assert inner[0].start % 2 == inner[1].start % 2 == 0
        base, amplitude = found.base[inner], found.amplitude[inner]
        np.testing.assert_allclose(base + amplitude * residual[0], window.truth[0], atol=1e-3)
        np.testing.assert_allclose(inputs[0], found.inputs[inner].clip(-10, 10), atol=1e-5)
        np.testing.assert_array_equal(window.truth[0], window.inputs[0][inner])


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_named_variables_come_together(folder, scaling):
    recipe = read(folder, *NAMED, f"data.scaling={scaling}")
    made = make(recipe)
    batch = made.batch(0, 24)
    assert batch.inputs.shape == batch.residual.shape == (24, 2, 32, 32)
    np.testing.assert_allclose(batch.residual.std(axis=(0, 2, 3)), 1, atol=0.5)
    if scaling == "fixed":
        assert 0.3 < batch.inputs.std() < 3
    drawn = made.draw(0, 0)
    coarse = drawn.window.domain.coarsen(drawn.factor)
    seen = downscaling_inputs(drawn.coarse, coarse, drawn.factor, made.settings)(ALL)
    inner = (slice(None), *drawn.window.inner)
    seen = Scaled(seen.base[inner], seen.inputs[inner], seen.amplitude[inner])
    again = physical(seen, batch.residual[0], made.settings.targets)
    np.testing.assert_allclose(again, drawn.window.truth, atol=2e-3)


def test_flips_change_the_sign_of_components(folder):
    """Divergence changes sign with neither flip; the mirror of a jet blows the other way."""
    recipe = read(folder, *NAMED, "data.augment=[flip_x, flip_y]", "data.points=1")
    made = make(recipe)
    signs = made._components[0]
    assert signs == {"inputs y": (1,), "inputs x": (0,), "targets y": (1,), "targets x": (0,)}
    random = np.random.default_rng(0)
    window = made.sources[0].cut(random, 4, "point", (32, 32), 3)
    for axis in (0, 1):
        turned = mirror(window, axis, signs)
        assert turned.inner[axis].start % 4 == 0
        for values, other in ((window.inputs, turned.inputs), (window.targets, turned.targets)):
            back = np.flip(other, axis + 1)
            np.testing.assert_array_equal(back[axis], values[axis])
            np.testing.assert_array_equal(back[1 - axis], -values[1 - axis])
        again = mirror(turned, axis, signs)
        np.testing.assert_array_equal(again.truth, window.truth)
        assert again.inner == window.inner
        # The coarse field of a mirrored window is the mirrored coarse field.
        np.testing.assert_allclose(
            np.flip(turned.coarse(4), axis + 1)[axis], window.coarse(4)[axis], rtol=1e-5, atol=1e-5
        )
        cut = turned.inputs[(slice(None), *turned.inner)]
        np.testing.assert_array_equal(cut, turned.truth)


@pytest.mark.parametrize("kind", ["cell", "point"])
def test_a_turned_patch_is_that_of_the_turned_field(plane, kind):
    made = make(read(plane, "data.augment=[turn]", f"data.points={int(kind == 'point')}"))
    window = made.sources[0].cut(np.random.default_rng(2), 4, kind, (32, 32), 3)
    turned = window.transposed()
    assert turned.domain.shape == window.domain.shape[::-1] != window.domain.shape
    assert turned.inner == window.inner[::-1]
    np.testing.assert_array_equal(turned.truth, window.truth.swapaxes(1, 2))
    np.testing.assert_allclose(turned.coarse(4), window.coarse(4).swapaxes(1, 2), rtol=1e-5)
    cut = turned.inputs[(slice(None), *turned.inner)]
    np.testing.assert_array_equal(cut, turned.truth)


@pytest.mark.parametrize(("where", "share"), [("plane", 0.5), ("folder", 0)])
def test_patches_are_turned_only_where_cells_are_alike(where, share, request):
    """On the sphere a cell is narrower than high."""
    where = request.getfixturevalue(where)
    turning, straight = (
        make(read(where, f"data.augment={augment}", "data.sources.0.signed=false"))
        for augment in ("[turn]", "[]")
    )
    pairs = [[made.draw(0, n).window.truth for made in (turning, straight)] for n in range(16)]
    same = [np.array_equal(one, other) for one, other in pairs]
    turned = [np.array_equal(one, other.swapaxes(1, 2)) for one, other in pairs]
    assert all(a or b for a, b in zip(same, turned, strict=True))
    assert abs(np.mean(turned) - share) < 0.3 * bool(share) + 1e-9


@pytest.fixture
def plane(folder):
    """Return a folder whose wind lies on a projected grid, wider than high."""
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds = ds.isel(latitude=slice(0, 64)).rename(latitude="y", longitude="x")
    kilometres = {"units": "km"}
    ds = ds.assign_coords(
        y=("y", np.arange(64) * 2.5, {"standard_name": "projection_y_coordinate"} | kilometres),
        x=("x", np.arange(128) * 2.5, {"standard_name": "projection_x_coordinate"} | kilometres),
    )
    ds.close()
    (folder / "wind.nc").unlink()
    ds.to_netcdf(folder / "wind.nc")
    return folder


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("u10", {}, "x"),
        ("v100", {}, "y"),
        ("x_wind_10m", {"standard_name": "x_wind"}, "x"),
        ("y_wind_10m", {"standard_name": "y_wind"}, "y"),
        ("a", {"standard_name": "northward_wind"}, "y"),
        ("10m_u_component_of_wind", {}, "x"),
        ("t2m", {}, None),
    ],
)
def test_components_are_known_by_name_or_attribute(name, attributes, expected):
    field = xr.DataArray(0.0, name=name, attrs=attributes)
    assert direction(Input(name=name), field) == expected
    assert direction(Input(name=name, component="y"), field) == "y"


def test_a_component_of_unknown_direction():
    field = xr.DataArray(0.0, name="wind", attrs={"long_name": "a component of wind"})
    with pytest.raises(RecipeError, match="Give it component: x"):
        direction(Input(name="wind"), field)


def test_wrapped_windows_cross_the_date_line(folder):
    made = make(read(folder, "data.points=0"))
    source = made.sources[0]
    true = xr.open_dataset(folder / "wind.nc").u10.values
    crossed = 0
    for seed in range(30):
        window = source.cut(np.random.default_rng(seed), 2, "cell", (32, 32), 3)
        plane = true[np.flatnonzero(source.fields.times == window.time)[0]]
        row, column = np.argwhere(plane == window.truth[0, 0, 0])[0]
        columns = (column + np.arange(32)) % 128
        crossed += columns[0] > columns[-1]
        np.testing.assert_array_equal(window.truth[0], plane[row : row + 32][:, columns])
    assert crossed


@pytest.fixture
def showers(folder):
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


def test_rain_aware_sampling(showers):
    def wet(recipe):
        made = make(recipe)
        drawn = [made.draw(0, position) for position in range(60)]
        return np.array([(one.coarse > 0.1).mean() > 0.2 for one in drawn])

    assert wet(showers()).mean() < 0.6
    assert wet(showers(rain={"wet": 0.2, "above": 0.1})).all()
    half = wet(showers(rain={"wet": 0.2, "above": 0.1, "share": 0.5})).mean()
    assert 0.5 < half < 0.9
    # Where no patch is wet enough, the wettest of some is taken.
    assert not make(showers(rain={"wet": 1.0, "above": 50.0})).draw(0, 0).coarse.any() < 0


def test_missing_values_and_values_beyond_the_limit(showers):
    made = make(showers(), fitted=None)
    batch = made.batch(0, 40)
    assert np.isfinite(batch.inputs).all()
    drawn = [made.draw(0, position) for position in range(40)]
    assert max(float(np.nanmax(one.window.truth)) for one in drawn) < 200
    for one, residual in zip(drawn, batch.residual, strict=True):
        unknown = np.isnan(one.window.truth)
        assert unknown.mean() < 0.5
        assert np.isnan(residual[unknown]).all()


def test_normalisation_sees_the_training_split_only(folder):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    before = fit_normalisation(
        open_sources(read(folder, *NAMED).data, "train"), read(folder, *NAMED)
    )
    outside = ds.time >= np.datetime64("2018-10-03")
    (ds + 1e4 * outside).to_netcdf(folder / "wind.nc")
    recipe = read(folder, *NAMED)
    after = fit_normalisation(open_sources(recipe.data, "train"), recipe)
    assert before == after
    assert before["inputs"]["u10"]["mean"] == 0.0, "a vector's mean is 0"
    assert before["inputs"]["u10"]["vector"]


def test_statics_are_cut_with_the_patch(folder):
    latitude, longitude = np.linspace(90, -90, 65), np.arange(128) * 360 / 128
    height = latitude[:, None] * 1000 + longitude
    xr.Dataset(
        {"orog": (("latitude", "longitude"), height)},
        coords={"latitude": latitude, "longitude": longitude},
    ).to_netcdf(folder / "static.nc")
    recipe = read(
        folder,
        *NAMED,
        "data.statics=[orog, latitude, day_of_year]",
        "data.static_file=static.nc",
        "data.points=1",
    )
    made = make(recipe)
    batch = made.batch(0, 6)
    assert batch.inputs.shape[1] == 2 + 4
    true = xr.open_dataset(folder / "wind.nc").u10.values
    moments = made.settings.statics[0]
    for number in range(6):
        window = made.draw(0, number).window
        row, column = np.argwhere((true == window.truth[0, 0, 0]).any(0))[0]
        columns = (column + np.arange(32)) % 128
        expected = (height[row : row + 32][:, columns] - moments.mean) / moments.std
        np.testing.assert_allclose(batch.inputs[number, 2], expected, atol=1e-3)
        sine = np.sin(np.deg2rad(latitude[row : row + 32]))
        np.testing.assert_allclose(batch.inputs[number, 3][:, 0], sine, atol=1e-4)
    with pytest.raises(FlexclimError, match="no static field 'orok'; did you mean orog"):
        open_sources(read(folder, *NAMED, "data.statics=[orok]", "data.static_file=static.nc").data,
                     "train")  # fmt: skip


def test_missing_data_gets_one_line(folder):
    for override, message in (
        ("data.folder=/nowhere", "is not there; set data.folder"),
        (
            "data.sources=[{path: wind.nc, variables: [u11], train: ['0', '1']}]",
            "no variable 'u11'; did you mean u10",
        ),
        (
            "data.sources=[{path: wind.nc, variables: [u10], train: ['1999', '2000']}]",
            "no time from 1999 to 2000",
        ),
    ):
        data = read(folder, override).data
        with pytest.raises(RecipeError, match=message) as caught:
            open_sources(data, "train")
        assert "\n" not in str(caught.value)
    only = "data.sources=[{path: wind.nc, variables: [u10], train: ['0', '1']}]"
    with pytest.raises(RecipeError, match="no source has times to validate"):
        open_sources(read(folder, only).data, "validate")


def test_a_patch_larger_than_the_field(folder):
    recipe = read(folder, "network.tile=[128, 128]")
    sources = open_sources(recipe.data, "train")
    with pytest.raises(RecipeError, match=r"128 x 128 cells is larger than the field of 65 x 128"):
        check_sources(sources, recipe.data, (128, 128))
    with pytest.raises(RecipeError, match=r"larger than the field of 64 x 128 points.*points to 0"):
        check_sources(sources, recipe.data, (65, 128))


@pytest.mark.parametrize("value", [np.nan, np.inf, 9.97e36])
def test_fields_without_values(folder, value):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    (ds * 0 + value).to_netcdf(folder / "wind.nc")
    recipe = read(folder)
    message = "NaN everywhere" if np.isnan(value) else "infinite or fill values"
    with pytest.raises(FlexclimError, match=message) as caught:
        check_sources(open_sources(recipe.data, "train"), recipe.data, (32, 32))
    assert "\n" not in str(caught.value)


def test_a_variable_that_does_not_vary(folder):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds.assign(v10=ds.v10 * 0 + 3).to_netcdf(folder / "wind.nc")
    recipe = read(folder, *NAMED)
    with pytest.raises(RecipeError, match="'v10' does not vary: it is"):
        fit_normalisation(open_sources(recipe.data, "train"), recipe)
