"""Archives of torch.save: read without executing anything, and only those."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from minflex_checkpoints import refuse, save


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_nothing_is_executed(tmp_path, content):
    marker = tmp_path / "marker"
    evil = Malicious(marker)
    for place in ("encoder", "ema", "optimizer", "epoch"):
        refuse(save(tmp_path / "evil.pt", content | {place: evil}), "not loaded")
    refuse(save(tmp_path / "evil.pt", evil), "not loaded")
    torch.save(content | {"x": evil}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    refuse(tmp_path / "old.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(content | {"x": evil}))
    refuse(tmp_path / "plain.pt")
    for name in ("archive/data.pkl", "data.pkl"):
        with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
            archive.writestr(name, pickle.dumps(evil))
            archive.writestr("archive/version", "3\n")
        refuse(tmp_path / "zip.pt")
    assert not marker.exists()
    # The same object does write the file where it is trusted: the test can fail.
    pickle.loads(pickle.dumps(evil))
    assert marker.exists()


def test_packed_archives_are_refused(path, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", b"\x80\x02}.")
        bomb.writestr("archive/data/0", bytes(10**7))
    refuse(tmp_path / "bomb.pt", "compressed or malformed")
    with zipfile.ZipFile(path) as own, zipfile.ZipFile(tmp_path / "two.pt", "w") as two:
        for entry in own.infolist():
            two.writestr(entry.filename, own.read(entry))
        two.writestr("../../outside/data.pkl", b"\x80\x02}.")
    refuse(tmp_path / "two.pt", "not one of torch.save")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bomb.pt", "epoch_7.pt", "two.pt"]


def test_records_shorter_than_their_tensors_are_refused_or_stay_in_the_file(path, tmp_path):
    with zipfile.ZipFile(path) as own, zipfile.ZipFile(tmp_path / "short.pt", "w") as short:
        for entry in own.infolist():
            data = own.read(entry)
            short.writestr(entry.filename, data[:4] if "/data/" in entry.filename else data)
    refuse(tmp_path / "short.pt")


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "npz", "zip", "tensor"])
def test_foreign_files_are_refused(tmp_path, kind):
    path = tmp_path / "file.pt"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("CDF\x01 not a model\n" * 100)
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, a=np.zeros(3))
    elif kind == "zip":
        zipfile.ZipFile(path, "w").close()
    elif kind == "tensor":
        torch.save(torch.zeros(3), path)
    refuse(path)
