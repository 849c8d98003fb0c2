import numpy as np
import pytest

from flexclim.errors import RecipeError
from flexclim.train import examine_recipe, load_recipe
from flexclim.train.examination import _span
from flexclim.train.loop import checkpoint_files


def test_choices_and_data_are_named_without_a_run(folder, read):
    text = examine_recipe(read(folder))
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert lines["network"].endswith("476 k parameters")
    assert "from 16 fields" in lines["samples"]
    assert lines["mirrored"].endswith("flip_y, flip_x, turn")
    assert lines["rates"].endswith("0.0004 and 0.0001, then cosine decay")
    assert lines["run"].endswith("anew")
    sources = text[text.index("wind.nc") :]
    assert sources.count("wind.nc") == 2
    assert "  variables u10\n  grid      65 x 128 cells, 313 km\n  train     8 times, " in sources
    assert "2018-10-03T18:00:00" in sources.splitlines()[4]
    assert not (folder / "run").exists()


def test_a_run_that_would_continue_says_at_which_step(folder, read):
    checkpoint_files.save(folder, 3, {})
    text = examine_recipe(read(folder, f"output={folder}"))
    assert "continues at step 3" in text


def test_the_period_is_from_the_earliest_to_the_latest_time():
    times = np.array(["2018-04-01", "2018-12-31", "2018-01-01"], "datetime64[s]")
    assert _span(times) == "3 times, 2018-01-01T00:00:00 to 2018-12-31T00:00:00"


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("data.sources.0.variables=[u99]", "u99"),
        ("data.sources.0.path=none.nc", "none.nc"),
        ("network.tile=[256, 256]", "larger than the field"),
        ("start=none", "there is no model"),
    ],
)
def test_data_and_start_are_checked(folder, read, override, match):
    with pytest.raises(RecipeError, match=match):
        examine_recipe(load_recipe(folder / "tiny.yaml", [override]))
