import os
import pickle
import warnings

import pytest
import torch

from flexclim import files
from flexclim.errors import RecipeError
from flexclim.train.loop import checkpoint_files


def save(folder, *steps, keep=2):
    return [
        checkpoint_files.save(folder, step, {"text": "{}", "x": torch.ones(3)}, keep)
        for step in steps
    ]


def test_what_was_saved_is_read(tmp_path):
    (path,) = save(tmp_path, 7)
    found = checkpoint_files.load(path)
    assert (found["step"], found["text"], found["x"].tolist()) == (7, "{}", [1.0, 1.0, 1.0])
    assert checkpoint_files.step_of(path) == 7
    assert path == checkpoint_files.path_of(tmp_path, 7)


def test_the_last_ones_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3, 4, keep=3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        f"checkpoint-0000000{step}.{kind}" for step in (2, 3, 4) for kind in ("pt", "sha256")
    ]


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_one_is_passed_over_and_set_aside(tmp_path, damage):
    first, second = save(tmp_path, 1, 2)
    content = bytearray(second.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
    second.write_bytes({"cut": content[:100], "bit": content, "empty": b""}[damage])
    with pytest.warns(UserWarning, match="is damaged: its sha256"):
        assert checkpoint_files.newest(tmp_path) == first
    assert second.with_suffix(".damaged").exists()
    # It does not count among those that are kept.
    (third,) = save(tmp_path, 3, keep=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint_files.newest(tmp_path) == third


def test_no_folder_no_checkpoint(tmp_path):
    assert checkpoint_files.newest(tmp_path / "elsewhere") is None


def test_a_pickle_is_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (path,) = save(tmp_path, 1)
    torch.save({"step": 1, "x": Evil()}, path)
    path.with_suffix(".sha256").write_text(files.sha256(path))
    with pytest.raises(RecipeError, match="so it is not loaded"):
        checkpoint_files.load(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(RecipeError, match="damaged"):
        checkpoint_files.load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("same", [False, True])
def test_killed_at_any_moment_of_a_save(tmp_path, monkeypatch, same):
    """Whatever file operation is the last one, the newest good checkpoint can be read.

    Also if a step is saved again, as at a signal just after a run was resumed.
    """
    save(tmp_path, 1, 2, 3)
    operations = ("open", "replace", "unlink")
    killed = 0

    def dies(original, left):
        def wrapped(*args, **kwargs):
            if not left:
                raise KeyboardInterrupt
            left.pop()
            return original(*args, **kwargs)

        return wrapped

    for last in range(12):
        left = [None] * last
        with monkeypatch.context() as patch:
            for name in operations:
                original = getattr(checkpoint_files.Path, name)
                patch.setattr(checkpoint_files.Path, name, dies(original, left))
            content = {"text": str(last), "x": torch.ones(3)}
            try:
                checkpoint_files.save(tmp_path, 3 if same else 4 + last, content)
            except KeyboardInterrupt:
                killed += 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = checkpoint_files.newest(tmp_path)
        assert checkpoint_files.load(found)["x"].tolist() == [1.0, 1.0, 1.0]
        assert checkpoint_files.step_of(found) >= 3
    assert killed > 4
    save(tmp_path, 50)
    assert not list(tmp_path.glob("*.partial"))
