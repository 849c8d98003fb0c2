import numpy as np
import pytest

from flexclim.errors import RecipeError
from flexclim.fields import scale
from flexclim.regrid import block_mean
from flexclim.train import load_recipe
from flexclim.train.patches import Patches, open_sources


@pytest.fixture
def patches(recipe):
    return Patches(open_sources(recipe.data, "train"), recipe.data, (32, 32), {2: 1.0, 4: 1.0}, 0)


def test_a_patch_is_a_function_of_step_and_position(patches):
    whole = patches.batch(5, 4)
    part = patches.batch(5, 2, first=2)
    for name in ("inputs", "residual", "factor"):
        np.testing.assert_array_equal(getattr(whole, name)[2:], getattr(part, name))
    streamed = list(patches.stream(range(4, 6), 4))
    np.testing.assert_array_equal(streamed[1].inputs, whole.inputs)
    assert not np.array_equal(streamed[0].inputs, whole.inputs)


def test_patches_have_unit_residuals_and_both_factors(patches):
    batch = patches.batch(0, 32)
    assert batch.inputs.shape == batch.residual.shape == (32, 1, 32, 32)
    assert set(batch.factor) == {2, 4}
    assert 0.1 < batch.residual.std() < 3


def test_splits_are_by_time(recipe):
    train = open_sources(recipe.data, "train")[0].field.time.values
    validate = open_sources(recipe.data, "validate")[0].field.time.values
    assert train.max() < validate.min()


@pytest.mark.parametrize("kind", ["cell", "point"])
def test_base_and_residual_make_the_true_field(recipe, kind, monkeypatch):
    """What the network learns is what downscaling adds to its interpolated input."""
    share = 1.0 if kind == "point" else 0.0
    data = recipe.data.model_copy(update={"points": share, "factors": {2: 1.0}})
    source = open_sources(data, "train")[0]
    source.field.load()
    made = Patches([source], data, (32, 32), {2: 1.0}, 3)
    seen = []
    window = made._window

    def remembered(*args):
        seen.append(window(*args))
        return seen[-1]

    monkeypatch.setattr(made, "_window", remembered)
    inputs, residual, _ = made.patch(0, 0)
    values, domain, area, (rows, columns) = seen[0]
    found = scale(block_mean(values, domain, 2, area), domain.coarsen(2), 2)
    np.testing.assert_allclose(
        found.base[rows, columns] + found.amplitude[rows, columns] * residual[0],
        values[rows, columns],
        atol=1e-3,
    )
    np.testing.assert_allclose(inputs[0], found.inputs[rows, columns].clip(-10, 10), atol=1e-5)


def test_missing_data_gets_one_line(folder):
    for override, message in (
        ("data.folder=/nowhere", "is not there; set data.folder"),
        (
            "data.sources=[{path: wind.nc, variables: [u11], train: ['0', '1']}]",
            "no variable 'u11'",
        ),
        (
            "data.sources=[{path: wind.nc, variables: [u10], train: ['1999', '2000']}]",
            "no time from 1999 to 2000",
        ),
    ):
        data = load_recipe(folder / "tiny.yaml", [override]).data
        with pytest.raises(RecipeError, match=message):
            open_sources(data, "train")
    only = "data.sources=[{path: wind.nc, variables: [u10], train: ['0', '1']}]"
    data = load_recipe(folder / "tiny.yaml", [only]).data
    with pytest.raises(RecipeError, match="no source has times to validate"):
        open_sources(data, "validate")


def test_a_patch_larger_than_the_field(folder):
    recipe = load_recipe(folder / "tiny.yaml", ["network.tile=[128, 128]"])
    sources = open_sources(recipe.data, "train")
    with pytest.raises(RecipeError, match="larger than the field"):
        Patches(sources, recipe.data, (128, 128), {2: 1.0, 4: 1.0}, 0).batch(0, 1)
