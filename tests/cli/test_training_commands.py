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
