"""Archives of torch.save that were tampered with: published checkpoints and those of training."""

import io
import json
import pickle
import zipfile
from types import SimpleNamespace

import pytest
import torch

from flexclim import files
from flexclim.errors import RecipeError
from flexclim.models.minflex import PARTS, import_minflex
from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.flex import Flex
from flexclim.train import load_recipe
from flexclim.train.loop import checkpoint_files, snapshot
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.optimizers import make_optimizer

KINDS = "ema", "raw"
RECIPE = """
name: tiny
data:
  factors: {4: 1}
  sources: [{path: a.nc, variables: [t], train: ["0", "1"], validate: ["2", "3"]}]
network: {tile: [32, 32], model_channels: [32], res_blocks: [1], depth: 1, num_heads: 2}
"""


def stored(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def repacked(content, change=lambda name, data: (name, data), packing=zipfile.ZIP_STORED):
    """Return an archive whose records were changed one by one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", packing) as new:
        for entry in old.infolist():
            new.writestr(*change(entry.filename, old.read(entry)))
    return buffer.getvalue()


def records(change):
    """Return a way to change the data of tensors."""
    return lambda content, payload: repacked(
        content, lambda name, data: (name, change(data) if "/data/" in name else data)
    )


def pickled(change):
    return lambda content, payload: repacked(
        content, lambda name, data: (name, change(data, payload) if "data.pkl" in name else data)
    )


def bomb(content, payload):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(10**7))
    return buffer.getvalue()


def crowd(content, payload):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(3000):
            archive.writestr(f"archive/data/{number}", b"")
    return buffer.getvalue()


ARCHIVES = {
    "a plain pickle": lambda content, payload: pickle.dumps({"encoder": payload}),
    "an archive with a pickle": lambda content, payload: stored({"encoder": payload, "text": "{}"}),
    "an old archive": lambda content, payload: stored(
        {"encoder": payload}, _use_new_zipfile_serialization=False
    ),
    "another pickle inside": pickled(lambda data, payload: pickle.dumps(payload)),
    "a pickle before": pickled(lambda data, payload: pickle.dumps(payload)[:-1] + data),
    "a module by name": pickled(lambda data, payload: b"cos\nsystem\n(S'true'\ntR."),
    "an evaluation": pickled(lambda data, payload: b"cbuiltins\neval\n(S'1'\ntR."),
    "no end": pickled(lambda data, payload: data[:-1]),
    "memory of 2 GB by name": pickled(lambda data, payload: b"\x80\x02B\xff\xff\xff\x7f" + data),
    "packed records": lambda content, payload: repacked(content, packing=zipfile.ZIP_DEFLATED),
    "a zip bomb": bomb,
    "thousands of records": crowd,
    "records cut short": records(lambda data: data[:4]),
    "empty records": records(lambda data: b""),
    "a program for TorchScript": lambda content, payload: repacked(
        content, lambda name, data: (name.replace("data.pkl", "constants.pkl"), data)
    ),
    "paths out of the archive": lambda content, payload: repacked(
        content, lambda name, data: (f"../../{name}", data)
    ),
    "nothing": lambda content, payload: stored({}),
    "a list": lambda content, payload: stored([1, 2]),
    "a tensor": lambda content, payload: stored(torch.zeros(3)),
    "text": lambda content, payload: b"CDF\x01 no archive\n" * 50,
}


@pytest.fixture(scope="module")
def network():
    """Return a network of as few weights as can be."""
    return Flex(
        NetworkSettings(
            tile=(32, 32), model_channels=(32,), res_blocks=(1,), depth=1, num_heads=2, unshuffle=4
        )
    )


@pytest.fixture(scope="module")
def published(network):
    """Return the content of a checkpoint as minFLEX writes them."""
    parts = network.encoder, network.decoder, network.tasks["superres"]
    shadow = [weight / 2 for part in parts for weight in part.parameters()]
    content = {name: part.state_dict() for name, part in zip(PARTS, parts, strict=True)}
    return content | {"ema": {"shadow_params": shadow}, "epoch": 7}


@pytest.fixture(scope="module")
def check_published(guard, published, tmp_path_factory):
    """Return what imports bytes, and fails unless they are refused or give the same model."""
    path = tmp_path_factory.mktemp("published") / "epoch.pt"
    path.write_bytes(stored(published))
    expected = {kind: import_minflex(path, num_heads=2, weights=kind).sha256 for kind in KINDS}

    def check(content, what, kind="ema"):
        path.write_bytes(content)
        return guard.load(
            lambda: import_minflex(path, num_heads=2, weights=kind).sha256 == expected[kind], what
        )

    return check


@pytest.mark.parametrize("what", ARCHIVES)
def test_forged_publications_are_refused(check_published, published, guard, randoms, what):
    for _ in randoms:
        content = ARCHIVES[what](stored(published), guard.payload)
        assert check_published(content, what) or what == "paths out of the archive"


def test_damaged_publications_are_refused_or_the_same(check_published, published, damage, randoms):
    refused = 0
    for random in randoms:
        for what, change in damage.items():
            refused += check_published(change(stored(published), random), what)
    assert refused > 0.6 * len(damage) * len(randoms)


WEIGHTS = {
    "another shape": lambda weight: weight[:1],
    "a transposed shape": lambda weight: weight.movedim(0, -1).clone(),
    "a number spread over all": lambda weight: torch.zeros(1).expand(weight.shape),
    "a terabyte of one number": lambda weight: torch.zeros(1).expand(2**20, 2**20),
    "no memory": lambda weight: weight.to("meta"),
    "sparse": lambda weight: weight.to_sparse(),
    "integers": lambda weight: weight.int(),
    "complex": lambda weight: weight.cfloat(),
    "NaN": lambda weight: torch.full_like(weight, torch.nan),
    "infinity": lambda weight: torch.full_like(weight, torch.inf),
    "text": lambda weight: "weights",
    "none": lambda weight: None,
    "a list": lambda weight: weight.flatten()[:3].tolist(),
}


def is_kernel(weight):
    """Whether a weight has many numbers and sides of different lengths."""
    return weight.ndim > 1 and 1 < weight.shape[0] != weight.shape[-1] and weight.numel() > 64


def first_kernel(weights):
    return next(place for place, weight in weights if is_kernel(weight))


@pytest.mark.parametrize("what", WEIGHTS)
def test_publications_of_odd_weights_are_refused(check_published, published, what):
    name = first_kernel(published["encoder"].items())
    odd = {name: WEIGHTS[what](published["encoder"][name])}
    content = published | {"encoder": dict(published["encoder"]) | odd}
    assert check_published(stored(content), f"{name}: {what}", "raw")
    shadow = list(published["ema"]["shadow_params"])
    place = first_kernel(enumerate(shadow))
    shadow[place] = WEIGHTS[what](shadow[place])
    content = published | {"ema": {"shadow_params": shadow}}
    assert check_published(stored(content), f"averaged {place}: {what}")


@pytest.fixture(scope="module")
def training(network, tmp_path_factory):
    """Return a small run: its recipe, what it moves, and the content of its checkpoint."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "tiny.yaml").write_text(RECIPE)
    recipe = load_recipe(folder / "tiny.yaml", [f"output={folder}/run"])
    (folder / "run").mkdir()

    def fresh():
        learner = Flex(network.config)
        learner.load_state_dict(network.state_dict())
        optimizer = make_optimizer("adamw", learner.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        return learner, optimizer, Averages(learner, 0.9), scaler

    learner, optimizer, averages, scaler = fresh()
    for weight in learner.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    fitted = {"inputs": {}, "targets": {}, "statics": {}, "residual_scale": {"4": [1.0]}}
    standing = snapshot.RunState(step=3, losses={"rmse": 0.5})
    content = snapshot.pack(recipe, fitted, standing, learner, optimizer, averages, scaler)
    return SimpleNamespace(recipe=recipe, fresh=fresh, content={"step": 3, **content})


@pytest.fixture(scope="module")
def check_training(guard, training):
    """Return what resumes from bytes, and fails unless they are refused or the same state."""
    path = checkpoint_files.path_of(training.recipe.folder, 3)

    def resumed():
        snap = snapshot.unpack(checkpoint_files.load(path), training.recipe)
        network, optimizer, averages, scaler = training.fresh()
        snap.restore(network, optimizer, averages, scaler)
        wanted = training.content
        own = network.state_dict()
        moments = optimizer.state_dict()["state"][0]["exp_avg"]
        return (
            all(torch.equal(own[name], part) for name, part in wanted["network"].items())
            and torch.equal(moments, wanted["optimizer"]["state"][0]["exp_avg"])
            and all(map(torch.equal, averages.shadow_params, wanted["averages"]["shadow_params"]))
        )

    def check(content, what, *, agree=True):
        path.write_bytes(content)
        if agree:
            path.with_suffix(".sha256").write_text(files.sha256(path))
        return guard.load(resumed, what)

    return check


@pytest.mark.parametrize("what", ARCHIVES)
def test_forged_checkpoints_are_refused(check_training, training, guard, randoms, what):
    for _ in randoms:
        content = ARCHIVES[what](stored(training.content), guard.payload)
        assert check_training(content, what) or what == "paths out of the archive"


def test_damaged_checkpoints_are_refused(check_training, training, damage, randoms):
    """By their hash; where a forger made the hash agree, refused or the same."""
    intact = stored(training.content)
    assert not check_training(intact, "intact")
    for random in randoms:
        for what, change in damage.items():
            assert check_training(change(intact, random), what, agree=False)
            check_training(change(intact, random), f"{what}, with a hash that agrees")


def test_a_damaged_checkpoint_is_set_aside(check_training, training):
    check_training(stored(training.content), "intact")
    checkpoint_files.path_of(training.recipe.folder, 3).write_bytes(b"PK")
    with pytest.warns(UserWarning, match="damaged"):
        assert checkpoint_files.newest(training.recipe.folder) is None


@pytest.mark.parametrize("what", [name for name in WEIGHTS if name != "a number spread over all"])
@pytest.mark.parametrize("part", ["network", "averages", "optimizer"])
def test_checkpoints_of_odd_weights_are_refused(check_training, training, part, what):
    content = dict(training.content)
    odd = WEIGHTS[what]
    if part == "network":
        first = first_kernel(content[part].items())
        content[part] = dict(content[part]) | {first: odd(content[part][first])}
    elif part == "averages":
        shadow = content[part]["shadow_params"]
        place = first_kernel(enumerate(shadow))
        content[part] = content[part] | {
            "shadow_params": [*shadow[:place], odd(shadow[place]), *shadow[place + 1 :]]
        }
    else:
        moments = content[part]["state"]
        place = first_kernel((number, own["exp_avg"]) for number, own in moments.items())
        own = moments[place] | {"exp_avg": odd(moments[place]["exp_avg"])}
        content[part] = content[part] | {"state": moments | {place: own}}
    assert check_training(stored(content), f"{part}: {what}")


TEXTS = {
    "no text": None,
    "a number": 3,
    "no JSON": "{",
    "a list": "[]",
    "depth": "[" * 10**5,
    "no recipe": {"recipe": None},
    "a recipe of text": {"recipe": "tiny"},
    "a trainer of text": {"recipe": {"trainer": "tiny"}},
    "no standing": {"standing": None},
    "a step of text": {"standing": {"step": "3"}},
    "a setting of the standing": {"standing": {"step": 3, "evil": 1}},
    "seconds that are no number": {"standing": {"step": 3, "seconds": float("nan")}},
    "nothing fitted": {"fitted": {}},
    "fitted to none": {"fitted": None},
    "fitted to zero": {"fitted": {"statics": {}, "residual_scale": {"4": [0.0]}}},
    "fitted to text": {"fitted": {"statics": {}, "residual_scale": {"4": ["one"]}}},
}


@pytest.mark.parametrize("what", TEXTS)
def test_checkpoints_of_odd_text_are_refused(check_training, training, what):
    change = TEXTS[what]
    text = json.loads(training.content["text"])
    content = training.content | {
        "text": json.dumps(text | change) if isinstance(change, dict) else change
    }
    assert check_training(stored(content), what)
    with pytest.raises(RecipeError):
        snapshot.unpack({"step": 3}, training.recipe)
