"""Model folders that were tampered with, also by a forger who makes the hashes agree."""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile

import pytest
import torch
from safetensors.torch import load as decode
from safetensors.torch import save as encode

from flexclim.models.model import load_model
from flexclim.models.model_file import digest

HUGE = [8192] * 8
FIRST = "decoder.norm.bias"


@pytest.fixture(scope="module")
def intact(toy_model, tmp_path_factory):
    """Return a folder that each test copies, and what it holds."""
    return toy_model.save(tmp_path_factory.mktemp("intact") / "toy")


@pytest.fixture
def folder(intact, tmp_path):
    def fresh():
        shutil.rmtree(tmp_path / "toy", ignore_errors=True)
        (tmp_path / "toy").unlink(missing_ok=True) if (tmp_path / "toy").is_symlink() else None
        return shutil.copytree(intact, tmp_path / "toy")

    return fresh


@pytest.fixture
def check(guard, toy_model):
    """Return what loads a folder, and fails unless it is refused or the same model as before."""
    weights = toy_model.network.state_dict()

    def same(path):
        model = load_model(path)
        own = model.network.state_dict()
        return (
            model.settings == toy_model.settings
            and model.card == toy_model.card
            and all(torch.equal(own[name], part) for name, part in weights.items())
        )

    return lambda path, what: guard.load(lambda: same(path), what)


def forge(folder, **parts):
    """Rewrite model.json, with hashes that agree with whatever lies there."""
    path = folder / "model.json"
    values = json.loads(path.read_text()) | parts
    content = (folder / "weights.safetensors").read_bytes()
    values["sha256"] = {
        "weights": hashlib.sha256(content).hexdigest(),
        "settings": digest(values["settings"]),
        "card": digest(values["card"]),
    }
    path.write_text(json.dumps(values))


def packed(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()


def stored(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def with_header(content, change):
    """Return a weights file whose JSON header was changed, and its data not."""
    size = int.from_bytes(content[:8], "little")
    header = change(json.loads(content[8 : 8 + size]))
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def entry(**changes):
    return lambda header: header | {FIRST: header[FIRST] | changes}


def weights(change):
    return lambda content, payload: encode(change(decode(content)))


def header(change):
    return lambda content, payload: with_header(content, change)


WEIGHTS = {
    "a pickle": lambda content, payload: pickle.dumps(payload),
    "an archive of torch with a pickle": lambda content, payload: stored({"a": payload}),
    "an old archive of torch": lambda content, payload: pickle.dumps({"state": payload}, 2),
    "a pickle behind": lambda content, payload: content + pickle.dumps(payload),
    "a zip bomb": lambda content, payload: packed(bytes(10**7)),
    "a header of 4 EB": lambda content, payload: struct.pack("<Q", 2**62) + content[8:],
    "a header of 99 MB": lambda content, payload: struct.pack("<Q", 99 * 2**20) + content[8:],
    "a header longer than the file": lambda c, p: struct.pack("<Q", len(c)) + c[8:],
    "spaces in the header": header(lambda h: json.dumps(h).encode() + b" " * 2**21),
    "a header that is a list": header(lambda h: list(h)),
    "a deep header": header(lambda h: b"[" * 10**5),
    "text in the header": header(lambda h: h | {"__metadata__": {"a": "b" * 2**21}}),
    "another shape": header(entry(shape=[33])),
    "a transposed shape": header(entry(shape=[1, 32])),
    "a negative shape": header(entry(shape=[-32])),
    "a shape beyond reason": header(entry(shape=[2**62])),
    "an overflowing shape": header(entry(shape=[2**33, 2**33])),
    "another type": header(entry(dtype="I32")),
    "an unknown type": header(entry(dtype="PICKLE")),
    "offsets beyond the file": header(entry(data_offsets=[0, 2**40])),
    "offsets that overlap": header(entry(data_offsets=[0, 128])),
    "offsets in reverse": header(entry(data_offsets=[128, 0])),
    "a name less": weights(lambda w: {n: v for n, v in w.items() if n != FIRST}),
    "a name more": weights(lambda w: w | {"evil": torch.zeros(1)}),
    "NaN": weights(lambda w: w | {FIRST: torch.full((32,), torch.nan)}),
    "infinity": weights(lambda w: w | {FIRST: torch.full((32,), torch.inf)}),
    "float64": weights(lambda w: {n: v.double() for n, v in w.items()}),
    "integers": weights(lambda w: {n: v.to(torch.int8) for n, v in w.items()}),
    "nothing": weights(lambda w: {}),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_forged_weights_are_refused(folder, check, guard, randoms, what):
    for _ in randoms:
        path = folder()
        file = path / "weights.safetensors"
        file.write_bytes(WEIGHTS[what](file.read_bytes(), guard.payload))
        assert check(path, what)
        forge(path)
        assert check(path, f"{what}, with hashes that agree")


def test_damaged_weights_are_refused(folder, check, damage, randoms):
    for random in randoms:
        for what, change in damage.items():
            path = folder()
            file = path / "weights.safetensors"
            file.write_bytes(change(file.read_bytes(), random))
            assert check(path, what)


def test_damaged_settings_are_refused_or_mean_the_same(folder, check, damage, randoms):
    refused = 0
    for random in randoms:
        for what, change in damage.items():
            path = folder()
            file = path / "model.json"
            file.write_bytes(change(file.read_bytes(), random))
            refused += check(path, what)
    assert refused > 0.8 * len(damage) * len(randoms)


TEXTS = {
    "a pickle": lambda text, payload: pickle.dumps(payload),
    "UTF-16": lambda text, payload: text.encode("utf-16"),
    "a byte order mark": lambda text, payload: b"\xef\xbb\xbf" + text.encode(),
    "no UTF-8": lambda text, payload: text.encode().replace(b"toy", b"\xc3\x28\xff"),
    "half a surrogate": lambda text, payload: text.encode().replace(b"toy", b"\\ud800"),
    "NaN": lambda text, payload: text.encode().replace(b'"steps": 2', b'"steps": NaN'),
    "a number beyond floats": lambda t, p: t.encode().replace(b'"steps": 2', b'"steps": 1e999'),
    "a number of many digits": lambda t, p: t.encode().replace(
        b": 2,", b": " + b"2" * 10**4 + b","
    ),
    "a float for a count": lambda text, payload: text.encode().replace(b": 2,", b": 2.0,"),
    "truth for a count": lambda text, payload: text.encode().replace(b": 1,", b": true,"),
    "text for a count": lambda text, payload: text.encode().replace(b": 2,", b': "2",'),
    "depth": lambda text, payload: b'{"settings": ' * 10**5,
    "a list": lambda text, payload: f"[{text}]".encode(),
    "null": lambda text, payload: b"null",
    "a megabyte of spaces": lambda text, payload: text.encode() + b" " * 5 * 2**20,
    "two documents": lambda text, payload: (text + text).encode(),
    "a comment": lambda text, payload: b"// model\n" + text.encode(),
    "a name twice": lambda t, p: t.encode().replace(b'"steps": 2', b'"steps": 3, "steps": 2'),
    "another name twice": lambda t, p: t.encode().replace(b'"steps": 2', b'"steps": 2, "steps": 3'),
    "a null byte": lambda text, payload: text.encode().replace(b"toy", b"t\\u0000y"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_odd_json_is_refused_or_means_the_same(folder, check, guard, randoms, what):
    for _ in randoms:
        path = folder()
        file = path / "model.json"
        before = file.read_text()
        file.write_bytes(TEXTS[what](before, guard.payload))
        assert file.read_bytes() != before.encode(), what
        check(path, what)


SETTINGS = {
    "code as a name": ("card", {"name": "__import__('os')"}),
    "a path as a name": ("card", {"name": "../../etc/passwd"}),
    "lines in a name": ("card", {"name": "toy\n"}),
    "an unknown field": ("card", {"url": "http://127.0.0.1"}),
    "a channel less": ("network", {"channels": 0}),
    "a channel more": ("network", {"channels": 2}),
    "channels beyond reason": ("network", {"model_channels": HUGE, "res_blocks": [32] * 8}),
    "channels beyond all reason": ("network", {"model_channels": [2**70, 32]}),
    "a depth beyond reason": ("network", {"depth": 100}),
    "a tile beyond reason": ("network", {"tile": [4096, 4096]}),
    "a tile of another size": ("network", {"tile": [64, 64]}),
    "heads that do not divide": ("network", {"num_heads": 3}),
    "another condition": ("network", {"conditions": {"superres": 1, "evil": 1}}),
    "a negative condition": ("network", {"conditions": {"superres": -1}}),
    "a condition beyond reason": ("network", {"conditions": {"superres": 2**40}}),
    "a label beyond reason": ("network", {"label_size": 1024}),
    "an unknown setting": ("settings", {"hook": "os.system"}),
    "another method": ("settings", {"method": "exec"}),
    "a negative halo": ("settings", {"halo": -8}),
    "no steps": ("settings", {"steps": 0}),
    "a factor of one": ("settings", {"factors": [1]}),
    "a scale of zero": ("settings", {"residual_scale": {"2": [0.0], "4": [1.0], "8": [1.0]}}),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_forged_settings_are_refused(folder, check, randoms, what):
    part, change = SETTINGS[what]
    for _ in randoms:
        path = folder()
        values = json.loads((path / "model.json").read_text())
        place = values["settings"]["network"] if part == "network" else values[part]
        place.update(change)
        forge(path, settings=values["settings"], card=values["card"])
        assert check(path, what)


def test_links_and_things_that_are_no_files(folder, check, tmp_path):
    """A link to the same content is the same model; loops, devices and pipes are refused."""
    for name in ("model.json", "weights.safetensors"):
        for what in ("loop", "device", "pipe", "folder", "nothing", "elsewhere"):
            path = folder()
            file = path / name
            other = shutil.copy(file, tmp_path / f"other-{name}")
            file.unlink()
            if what == "pipe":
                os.mkfifo(file)
            elif what == "folder":
                file.mkdir()
            else:
                targets = {"loop": file, "device": "/dev/zero", "elsewhere": other}
                file.symlink_to(targets.get(what, path / "absent"))
            assert check(path, f"{name}: {what}") == (what != "elsewhere")
    shutil.rmtree(tmp_path / "toy")
    (tmp_path / "toy").symlink_to(tmp_path / "toy")
    assert check(tmp_path / "toy", "a folder that is a loop")
