"""Commands that train models and list recipes."""

from command_line import run


def test_recipes_are_listed_by_the_name_that_train_takes(capsys):
    from flexclim.train import load_recipe

    assert run("recipes") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names
    for name in names:
        assert load_recipe(name).name


def test_train_passes_overrides_on(monkeypatch, capsys):
    from flexclim import train

    calls = []
    monkeypatch.setattr(train, "load_recipe", lambda *given: given)
    monkeypatch.setattr(train, "fit", lambda *given, **named: calls.append((given, named)) or "out")
    assert run("train", "flex_nano", "trainer.steps=2", "--restart") == 0
    assert calls == [((("flex_nano", ["trainer.steps=2"]),), {"resume": False})]
    assert capsys.readouterr().out == "out\n"


def test_explain_lists_settings_then_what_a_run_would_choose(monkeypatch, capsys):
    from flexclim import train

    monkeypatch.setattr(train, "examine_recipe", lambda recipe: f"{recipe.name} is fine")
    assert run("train", "flex_nano", "--explain") == 0
    out = capsys.readouterr().out
    assert out.startswith("* name = flex-nano")
    assert out.endswith("\n\nflex-nano is fine\n")
    assert "clip" not in out
    assert "--defaults lists them" in out
    assert run("train", "flex_nano", "--explain", "--defaults") == 0
    assert "clip = 1.0" in capsys.readouterr().out
    assert run("train", "flex_nano", "--defaults") == 2


def test_a_recipe_is_copied(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("recipes", "--copy", "gfs_wind_x4") == 0
    assert capsys.readouterr().out == "gfs_wind_x4.yaml\n"
    assert run("recipes", "--copy", "gfs_wind_x4", "mine.yaml") == 0
    assert (tmp_path / "mine.yaml").read_text() == (tmp_path / "gfs_wind_x4.yaml").read_text()
    assert run("recipes", "mine.yaml") == 2
