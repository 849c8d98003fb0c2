"""Commands that list, publish, fetch and import models."""

from command_line import run


def test_models_are_listed_and_shown(capsys):
    assert run("models") == 0
    assert "flex-nano" in capsys.readouterr().out
    assert run("info", "flex-nano") == 0
    assert "flex-nano" in capsys.readouterr().out


def test_import_minflex_refuses_a_foreign_file(capsys, tmp_path):
    checkpoint = tmp_path / "c.pt"
    checkpoint.write_bytes(b"not a checkpoint")
    assert run("import-minflex", checkpoint, tmp_path / "model") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_a_model_is_published_and_fetched(tmp_path, capsys):
    assert run("models", "push", "flex-t2m", tmp_path / "group") == 0
    assert capsys.readouterr().out == f"{tmp_path}/group/flex-t2m\n"
    assert run("models", "pull", tmp_path / "group" / "flex-t2m", tmp_path / "mine") == 0
    assert capsys.readouterr().out == f"{tmp_path}/mine\n"
    assert run("models", "pull", tmp_path / "group", tmp_path / "other") == 1
    assert "holds no model.json" in capsys.readouterr().err
