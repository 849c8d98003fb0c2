import json
import time
import warnings

import pytest
import torch
from filelock import FileLock

from flexclim.errors import FlexclimWarning, RecipeError
from flexclim.models.channels import Static, Target, Variable
from flexclim.nn.configuration import Architecture
from flexclim.nn.flex import Flex
from flexclim.train import fit
from flexclim.train.loop.starting_model import check_start, starting_weights

NAMED = ("data.inputs=[u10, v10]", "data.sources.0.variables=[]", "data.sources.0.signed=false")


@pytest.fixture
def started(folder, read, make_toy):
    """Return a function that checks the small recipe with the start of a toy model."""

    def check(*overrides, channels=1, read_channels=1, **settings):
        network = {
            name: settings.pop(name)
            for name in ("label_size", "num_heads", "conditioning")
            if name in settings
        }
        model = make_toy(channels, read_channels, network=network, **settings)
        start = model.save(folder / "start")
        sizes = model.settings.network.model_dump(mode="json")
        own = {name: sizes[name] for name in Architecture.model_fields if name not in network}
        own |= {"dropout": 0.5, "other_tiles": [[16, 16]]}
        recipe = read(folder, f"start={start}", f"network={json.dumps(own)}", *overrides)
        check_start(recipe)

    return check


def wind(**settings):
    variables = tuple(Variable(name=name) for name in ("u10", "v10"))
    targets = tuple(Target(name=name, base=name) for name in ("u10", "v10"))
    return {"channels": 2, "inputs": variables, "targets": targets} | settings


def message(check, *overrides, **settings):
    with pytest.raises(RecipeError) as caught:
        check(*overrides, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_that_fits_is_silent(started):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        started()


def test_statics_of_the_model_are_named(started):
    statics = tuple(Static(name=name) for name in ("orog", "lsm", "latitude"))
    found = message(started, *NAMED, **wind(read_channels=5, statics=statics))
    assert found == (
        "start: model 'toy' reads u10, v10 and the statics orog, lsm, latitude, predicts u10, v10 "
        "as v, and has the label factor; the recipe reads u10, v10 and the statics none, predicts "
        "u10, v10 as v, and has the label factor. Set data.statics=[orog,lsm,latitude]."
    )


def test_variables_of_the_model_are_named(started):
    found = message(started, **wind(read_channels=2))
    assert "the recipe reads one variable at a time" in found
    assert found.endswith(
        "Set data.inputs to 2 variables such as [u10,v10] and data.targets to 2 variables such as "
        "[u10,v10]."
    )


def test_the_label_of_the_model_is_named(started):
    found = message(started, "data.label=[day_of_year]", "trainer.label_dropout=0.2")
    assert "has the label factor; " in found
    assert found.endswith("has the label day_of_year, given. Set data.label=[factor].")


def test_a_label_may_become_longer(started):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        started("data.label=[factor, spacing, component]")


def test_a_longer_label_starts_without_effect(tmp_path, make_toy):
    model = make_toy()
    longer = model.settings.network.model_copy(update={"label_size": 4})
    network = Flex(longer)
    network.load_state_dict(starting_weights(str(model.save(tmp_path / "start")), network))
    field, label = torch.randn(2, 1, *longer.tile), torch.tensor([[1.0], [-1.0]])
    wide = torch.cat([label, torch.randn(2, 3)], 1)
    found, expected = (
        one(field, torch.tensor([0.5, 0.5]), one.encode("superres", field, given), given)
        for one, given in ((network, wide), (model.network, label))
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"num_heads": 2}, "model 'toy' has another network. Set network.num_heads to 2, not 4."),
        ({"conditioning": "weak"}, 'Set network.conditioning to "weak", not "both".'),
        (
            {"num_heads": 2, "conditioning": "weak"},
            'Set network.num_heads to 2, not 4; network.conditioning to "weak", not "both".',
        ),
    ],
)
def test_an_architecture_of_the_same_shapes_is_refused_too(started, change, advice):
    assert advice in message(started, **change)


def test_tasks_of_the_model_are_named(started, read):
    forecasts = ("data.tasks={forecast: 1}", "data.scaling=fixed", "data.forecast.leads={6h: 1}")
    found = message(started, *NAMED, *forecasts, **wind(read_channels=2))
    assert "is for superres, the recipe for forecast. Set data.tasks" in found


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("data.inputs=[v10, u10]",), r"reads u10, v10 and .* the recipe reads v10, u10"),
        (("diffusion.prediction=eps",), "predicts u10, v10 as v, .* predicts u10, v10 as eps"),
    ],
)
def test_channels_of_another_meaning_give_a_warning(started, change, text):
    with pytest.warns(FlexclimWarning, match=text):
        started(*NAMED, *change, **wind(read_channels=2))


@pytest.mark.parametrize(
    "override", ["start=flex-nano", "start=nope", "data.sources.0.path=nope.nc", "data.gap=99D"]
)
def test_a_refused_run_leaves_no_folder(folder, tiny, override):
    began = time.perf_counter()
    with pytest.raises(RecipeError):
        fit(tiny(folder, "runs/a/b", override))
    assert time.perf_counter() - began < 5
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.yaml", "wind.nc"]


def test_folders_of_others_are_kept(folder, tiny):
    (folder / "runs").mkdir()
    with pytest.raises(RecipeError):
        fit(tiny(folder, "runs/a", "data.sources.0.path=nope.nc"))
    assert list((folder / "runs").iterdir()) == []
    (folder / "runs" / "a").mkdir()
    with FileLock(folder / "runs" / "a" / ".lock"), pytest.raises(RecipeError, match="is training"):
        fit(tiny(folder, "runs/a"))
    assert (folder / "runs" / "a").exists()
