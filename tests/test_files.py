"""Files and folders are written completely or not at all."""

import os

import pytest

from flexclim.errors import StoreError
from flexclim.files import sha256, store_errors, write, write_folder


def test_a_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    write(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_is_replaced_unless_it_holds_other_files(tmp_path):
    folder = tmp_path / "model"
    for content in ({"a": b"1", "b": b"2"}, {"a": b"3", "b": b"4"}):
        write_folder(folder, content)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == content
    with pytest.raises(FileExistsError):
        write_folder(folder, {"a": b"5"})
    assert (folder / "a").read_bytes() == b"3"
    assert os.listdir(tmp_path) == ["model"]


def test_the_hash_is_that_of_the_standard(tmp_path):
    """The example "abc" of FIPS 180-2."""
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "a") == expected


def test_what_can_not_be_written_is_told_in_one_line():
    message = r"^a\.nc can't be written: No space left on device\. Free some\.$"
    with pytest.raises(StoreError, match=message), store_errors("a.nc", " Free some."):
        raise OSError(28, "No space left\non device")
