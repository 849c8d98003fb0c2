"""Publish and fetch: a folder, a server that speaks S3, and one that answers like the hub."""

import hashlib
import http.server
import json
import re
import shutil
import threading
import time
from types import SimpleNamespace

import pytest
import yaml
from model_folders import forge

from flexclim.errors import ModelError
from flexclim.models import registry
from flexclim.models.catalogue import list_models
from flexclim.models.model import load_model
from flexclim.models.sharing import pull, push

COMMIT = "a" * 40


@pytest.fixture
def shared(folder, tmp_path):
    """Return the place of published models, with one in it."""
    push(folder, str(tmp_path / "group"))
    return tmp_path / "group"


@pytest.fixture
def registered(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("FLEXCLIM_REGISTRY", str(shared))
    monkeypatch.setenv("FLEXCLIM_CACHE", str(tmp_path / "cache"))
    return shared


def test_a_published_model_is_fetched_whole(shared, folder, tmp_path, model):
    published = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    assert f"SHA-256 of `model.json`: `{published}`" in (shared / "toy" / "README.md").read_text()
    fetched = pull(str(shared / "toy"), tmp_path / "mine", sha256=published)
    assert fetched.folder == tmp_path / "mine"
    assert load_model(tmp_path / "mine").sha256 == load_model(folder).sha256
    assert (tmp_path / "mine" / "README.md").read_text().startswith("---\nlicense: ")
    assert pull(str(shared / "toy"), tmp_path / "mine").name == "toy"
    with pytest.raises(ModelError, match="not 0000"):
        pull(str(shared / "toy"), tmp_path / "other", sha256="0000")
    assert not (tmp_path / "other").exists()


def test_the_registry_beside_it_is_read_without_editing(registered, folder):
    assert list(json.loads((registered / "registry.json").read_text())["models"]) == ["toy"]
    assert "a toy" in str(list_models()["toy"].description)
    assert load_model("toy").sha256 == load_model(folder).sha256
    assert registered not in load_model("toy").folder.parents


def test_a_forged_card_is_refused_by_the_published_hash(shared, folder, tmp_path):
    """Units of the card change results; settings and weights are the author's."""
    published = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    load_model(shared / "toy").replace(card={"units": {"t": "degC"}}).save(tmp_path / "forged")
    shutil.rmtree(shared)
    place = str(tmp_path / "forged")
    assert load_model(place).sha256 == load_model(folder).sha256
    with pytest.raises(ModelError, match=r"It was changed, or is another version"):
        pull(place, tmp_path / "mine", sha256=published)
    with pytest.raises(ModelError, match="which leaves out the card"):
        pull(place, tmp_path / "mine", sha256=load_model(folder).sha256)
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
def test_a_model_that_was_tampered_with_is_refused(shared, tmp_path, name):
    file = shared / "toy" / name
    content = file.read_bytes()
    place = content.rindex(b"noise_scale") if name == "model.json" else len(content) - 1
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ModelError, match=r"sha256|damaged|edited"):
        pull(str(shared / "toy"), tmp_path / "mine")
    (shared / "registry.json").unlink()
    with pytest.raises(ModelError):
        pull(str(shared / "toy"), tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_forged_model_whose_own_hashes_fit_is_refused_by_the_registry(shared, tmp_path):
    forge(shared / "toy", noise_scale=3.0)
    assert load_model(shared / "toy").settings.noise_scale == 3.0
    with pytest.raises(ModelError, match=r"of .*registry\.json. It was changed after"):
        pull(str(shared / "toy"), tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_another_model_of_the_name_is_kept(shared, folder, model, tmp_path):
    assert push(folder, str(shared)) == str(shared / "toy")
    louder = model.replace(noise_scale=2.0)
    louder.save(tmp_path / "louder")
    with pytest.raises(ModelError, match="holds another model"):
        push(louder, str(shared))
    push(louder, str(shared), overwrite=True)
    assert pull(str(shared / "toy"), tmp_path / "mine").settings.noise_scale == 2.0
    with pytest.raises(ModelError, match=r"holds another model\. Give another folder"):
        pull(str(shared / "toy"), folder)


def test_a_card_that_was_changed_here_is_kept(shared, tmp_path):
    mine = pull(str(shared / "toy"), tmp_path / "mine")
    changed = mine.replace(card={"notes": "my own"}).save(tmp_path / "changed")
    shutil.rmtree(tmp_path / "mine")
    changed.rename(tmp_path / "mine")
    with pytest.raises(ModelError, match="holds this model with another card"):
        pull(str(shared / "toy"), tmp_path / "mine")
    assert load_model(tmp_path / "mine").card.notes == "my own"
    with pytest.raises(ModelError, match=r"holds another model \(model.json \w{12}, not"):
        push(tmp_path / "mine", str(shared))


def test_a_folder_that_no_registry_lists_is_kept(folder, model, tmp_path):
    group = tmp_path / "group"
    model.replace(noise_scale=2.0).save(group / "toy")
    (tmp_path / "notes" / "toy").mkdir(parents=True)
    (tmp_path / "notes" / "toy" / "README.md").write_text("mine")
    for place in (group, tmp_path / "notes"):
        with pytest.raises(ModelError, match=r"or other files, and is in no registry\.json"):
            push(folder, str(place))
    assert load_model(group / "toy").settings.noise_scale == 2.0
    assert (tmp_path / "notes" / "toy" / "README.md").read_text() == "mine"
    push(folder, str(group), overwrite=True)
    (group / "registry.json").unlink()  # as after a push that was interrupted
    push(folder, str(group))
    assert (group / "registry.json").is_file()


def test_what_is_no_model_is_one_line(tmp_path, model):
    with pytest.raises(ModelError, match=r"holds no model\.json"):
        pull(str(tmp_path), tmp_path / "mine")
    with pytest.raises(ModelError, match="was not saved"):
        push(model, str(tmp_path))
    with pytest.raises(ModelError, match=r"can't be opened: .*nowhere"):
        pull("nowhere://bucket/toy", tmp_path / "mine")


def test_pictures_of_the_run_go_with_its_model(model, tmp_path):
    run = tmp_path / "run"
    model.save(run / "model")
    (run / "samples").mkdir()
    for name in ("curves.png", "samples/superres-00000100.png", "samples/superres-00000200.png"):
        (run / name).write_bytes(b"png")
    place = push(run / "model", str(tmp_path / "group"))
    files = sorted(path.name for path in (tmp_path / "group" / "toy").iterdir())
    assert files[0] == "README.md"
    assert [name for name in files if name.endswith("png")] == [
        "curves.png",
        "superres-00000200.png",
    ]
    text = (tmp_path / "group" / "toy" / "README.md").read_text()
    assert "(curves.png)" in text
    assert "(superres-00000200.png)" in text
    assert place.endswith("toy")


@pytest.mark.slow
def test_a_bucket(folder, tmp_path, monkeypatch):
    server = pytest.importorskip("moto.server")
    fsspec, s3fs = pytest.importorskip("fsspec"), pytest.importorskip("s3fs")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    endpoint = "http://{}:{}".format(*running.get_host_and_port())
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": endpoint})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    bucket = f"b{time.time_ns()}"
    s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True).mkdir(bucket)
    place = push(folder, f"s3://{bucket}/models")
    assert place == f"s3://{bucket}/models/toy"
    assert pull(place, tmp_path / "mine").sha256 == load_model(folder).sha256
    monkeypatch.setenv("FLEXCLIM_REGISTRY", f"s3://{bucket}/models")
    monkeypatch.setenv("FLEXCLIM_CACHE", str(tmp_path / "cache"))
    registry._read_once.cache_clear()
    assert load_model("toy").sha256 == load_model(folder).sha256
    running.stop()


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers ``/OWNER/NAME/resolve/REVISION/FILE`` as the hub does."""

    root = None

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(with_content=False)

    def do_GET(self):
        self._answer(with_content=True)

    def _answer(self, with_content):
        _, owner, name, _, revision, file = (self.path.split("?")[0] + "/" * 5).split("/")[:6]
        path = self.root / file
        if (owner, name) != ("group", "toy") or revision not in ("main", COMMIT, "v1"):
            return self._fail("RepoNotFound")
        if not path.is_file():
            return self._fail("EntryNotFound")
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_content:
            self.wfile.write(content)
        return None

    def _fail(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def hub(shared, monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub")
    handler = type("Own", (Hub,), {"root": shared / "toy"})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield SimpleNamespace(files=shared / "toy")
    server.shutdown()
    server.server_close()


def test_the_hub(hub, folder, tmp_path):
    fetched = pull("hf://group/toy@v1", tmp_path / "mine")
    assert fetched.sha256 == load_model(folder).sha256
    weights = hub.files / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(ModelError, match=r"damaged: its sha256 is not the one in model\.json"):
        pull("hf://group/toy", tmp_path / "other")
    weights.unlink()
    with pytest.raises(ModelError, match=r"holds no weights\.safetensors"):
        pull("hf://group/toy", tmp_path / "other")
    with pytest.raises(ModelError, match="hf://group/none can't be fetched"):
        pull("hf://group/none", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_card_is_one_that_the_hub_reads(folder, tmp_path):
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import ModelCard

    push("flex-t2m", str(tmp_path / "group"))
    text = (tmp_path / "group" / "flex-t2m" / "README.md").read_text()
    data = ModelCard(text).data
    assert data.license == "apache-2.0"
    assert data.library_name == "flexclim"
    assert data.eval_results[0].dataset_name == "era5_1deg_t2m_msl_tp.nc"
    crps = load_model("flex-t2m").card.scores["crps"]
    assert {one.metric_type: one.metric_value for one in data.eval_results}["crps"] == crps
    assert "Copernicus/ECMWF, CC-BY 4.0" in text
    assert "0 to 5; validated on 7 to 7" in text
    assert "205 to 316 K" in text
    assert re.search(r"SHA-256 of `model\.json`: `[0-9a-f]{64}`", text)


def test_an_unknown_licence_is_other_with_its_name(model, tmp_path):
    named = model.replace(card={"licence": "Our group only"})
    named.save(tmp_path / "toy")
    push(named, str(tmp_path / "group"))
    _, matter, _ = (tmp_path / "group" / "toy" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(matter)["license"] == "other"
    assert yaml.safe_load(matter)["license_name"] == "our-group-only"
