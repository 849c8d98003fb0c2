"""Models that are fetched: from a server on this machine, with pinned hashes."""

import contextlib
import functools
import http.server
import json
import threading
from typing import ClassVar

import pytest

from flexclim.errors import ModelError
from flexclim.models import catalogue, registry
from flexclim.models.catalogue import list_models
from flexclim.models.model import load_model, read_model
from flexclim.models.registry import read_registry, registry_entry

NAME = "flex-large"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; ends the weights early where it is told to."""

    half = False
    asked: ClassVar[list[str]] = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        if not (self.half and self.path.endswith("safetensors")):
            return super().do_GET()
        with open(self.translate_path(self.path), "rb") as file:
            content = file.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        return self.wfile.flush()


@pytest.fixture
def served(toy_model, tmp_path):
    """Return the folder of a model on a server, the handler and the address."""
    folder = toy_model.replace(card={"name": NAME}).save(tmp_path / "www" / NAME)
    handler = type("Own", (Handler,), {"asked": []})
    make = functools.partial(handler, directory=str(tmp_path / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def registered(served, tmp_path, monkeypatch):
    """Register the model; return what changes the registry."""
    folder, _, address = served

    def register(url=address, **changed):
        one = registry_entry(folder, "larger than most").model_dump() | changed
        path = tmp_path / "registry.json"
        path.write_text(json.dumps({"url": url, "models": {NAME: one}}))
        monkeypatch.setenv("FLEXCLIM_REGISTRY", str(path))

    monkeypatch.setenv("FLEXCLIM_CACHE", str(tmp_path / "cache"))
    register()
    return register


def refused(match):
    @contextlib.contextmanager
    def check():
        with pytest.raises(ModelError, match=match) as caught:
            yield
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600

    return check()


def test_a_model_is_fetched_once_by_its_name(served, registered, toy_model, tmp_path):
    _, handler, _ = served
    found = load_model(NAME)
    assert found.sha256 == toy_model.sha256
    assert tmp_path / "cache" in found.folder.parents
    assert sorted(handler.asked) == [f"/{NAME}/model.json", f"/{NAME}/weights.safetensors"]
    assert load_model(NAME).sha256 == toy_model.sha256
    assert len(handler.asked) == 2
    # Another process, perhaps on another machine, finds it by its name.
    assert found.reference.path == NAME


def test_the_list_tells_what_would_be_fetched(served, registered):
    _, handler, _ = served
    line = next(line for line in str(list_models()).splitlines() if line.startswith(NAME))
    assert "larger than most" in line
    assert "MB, downloaded on first use" in line
    assert handler.asked == []


def test_another_address_may_be_given(served, registered, monkeypatch):
    registered(url="http://127.0.0.1:9/nowhere")
    monkeypatch.setenv("FLEXCLIM_MODELS_URL", served[2] + "/")
    assert read_model(NAME).name == NAME


def test_a_wrong_hash_is_refused_and_nothing_is_left(registered, tmp_path):
    registered(weights="0" * 64)
    with refused("sha256 is not the registered one"):
        load_model(NAME)
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert left == ["model.json"]


def test_half_a_file_is_no_file(served, registered, tmp_path, toy_model):
    _, handler, _ = served
    handler.half = True
    with refused("weights.safetensors of model 'flex-large' can't be downloaded from http://127"):
        load_model(NAME)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    handler.half = False
    assert load_model(NAME).sha256 == toy_model.sha256


def test_no_server_and_no_address_and_no_file(served, registered, monkeypatch):
    folder, _, _ = served
    registered(url="http://127.0.0.1:9")
    with refused("no answer. Check the network"):
        load_model(NAME)
    registered(url="")
    with refused("is not downloaded yet and the registry has no address: set FLEXCLIM_MODELS_URL"):
        load_model(NAME)
    registered()
    (folder / "weights.safetensors").unlink()
    with refused("the server answered 404"):
        load_model(NAME)


def test_what_was_fetched_is_checked_at_each_start(registered, toy_model):
    weights = load_model(NAME).folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    # A damaged file is fetched again.
    assert load_model(NAME).sha256 == toy_model.sha256


def test_models_in_the_package_need_no_network(served, registered, monkeypatch, toy_model):
    _, handler, _ = served
    monkeypatch.setattr(catalogue, "BUNDLED", served[0].parent)
    assert load_model(NAME).folder == served[0]
    assert handler.asked == []


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is invalid"),
        ('{"models": {"../x": {}}}', "is invalid"),
        ('{"url": "", "models": {"a": {"description": "", "megabytes": 1}}}', "Field required"),
        (None, "can't be read"),
    ],
)
def test_a_registry_of_another_kind_is_refused(tmp_path, monkeypatch, text, match):
    path = tmp_path / "registry.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("FLEXCLIM_REGISTRY", str(path))
    with refused(match):
        read_registry()


def test_the_registry_that_ships_is_read(monkeypatch):
    monkeypatch.delenv("FLEXCLIM_REGISTRY", raising=False)
    assert isinstance(registry.read_registry().models, dict)
