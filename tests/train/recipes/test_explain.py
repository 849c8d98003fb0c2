from flexclim.train import explain_recipe, load_recipe


def test_an_explained_recipe_is_the_resolved_one(folder):
    text = explain_recipe(load_recipe(folder / "tiny.yaml", ["trainer.seed=7"]))
    lines = text.splitlines()
    assert any(line.startswith("  * seed = 7 ") for line in lines), "given settings have a star"
    assert any(line.startswith("    clip = 1.0 ") for line in lines), "others show their default"
    assert any("validate = [2018-10-03, 2018-10-03]" in line for line in lines)
    assert max(map(len, lines)) <= 100 or "path" in max(lines, key=len)
    assert text.count("norm at which gradients are clipped") == 1


def test_without_defaults_a_recipe_fits_on_a_screen_and_names_all_that_is_given():
    recipe = load_recipe("gfs_wind_x4", ["trainer.seed=7"])
    whole, short = explain_recipe(recipe), explain_recipe(recipe, defaults=False)
    given = [line.split("  ")[0] for line in map(str.strip, whole.splitlines()) if line[:1] == "*"]
    shown = [line.split("  ")[0] for line in map(str.strip, short.splitlines()) if line[:1] == "*"]
    assert given == shown
    assert "* seed = 7" in shown
    assert "clip" not in short
    assert len(short.splitlines()) < 45
