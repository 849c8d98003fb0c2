"""What an estimate says: models, sizes and shards as they come, times and memory about right."""

import inspect
import re

import coarse_fields
import pytest

import flexclim
from flexclim.errors import FlexclimError, ModelError
from flexclim.sampling import estimation


@pytest.fixture(autouse=True)
def timed(monkeypatch):
    """Passes take 2 s, those of the encoder 1 s."""
    monkeypatch.setattr(estimation, "time_passes", lambda plan: (2.0, 1.0))


@pytest.fixture
def field():
    return coarse_fields.region(20, 8, 8).assign_attrs(units="K")


def test_numbers_worked_by_hand(field, toy_model):
    """A plane of 32 x 32 cells is one window: a pass a step; the encoder takes 4 at once."""
    found = flexclim.estimate(field, 4, model=toy_model, members=4, steps=2, batch=4)
    assert found.sizes == {"realization": 4, "time": 20, "lat": 32, "lon": 32}
    assert found.passes == 20 * 2
    assert found.seconds == 20 * 2 * 2 + 5
    assert found.output_bytes == 4 * 20 * 32 * 32 * 4
    assert found.disk_bytes == int(0.85 * found.output_bytes)
    assert found.shards == 4
    assert found.models == {"t": "toy, as given"}
    assert (found.device, found.precision) == ("cpu", "float32")
    rounded = field.flex.estimate(4, model=toy_model, members=4, batch=4, keep_bits=5)
    assert rounded.disk_bytes == found.output_bytes // 4
    whole = field.flex.estimate(4, model=toy_model, members=4, batch=4, zarr_format=2)
    assert whole.disk_bytes == int(0.95 * found.output_bytes)


@pytest.mark.parametrize("zarr_format", [3, 2])
def test_nothing_is_computed_and_shards_are_those_of_a_store(
    field, toy_model, tmp_path, zarr_format
):
    field, options = field.isel(time=slice(17)), {"model": toy_model, "members": 1, "steps": 1}
    options["zarr_format"] = zarr_format
    lazy = field.chunk(time=3).map_blocks(_fail, template=field.chunk(time=3))
    found = flexclim.estimate(lazy, 4, **options)
    stored = flexclim.downscale_to_zarr(field, tmp_path / "a.zarr", 4, **options)
    files = [path for path in (tmp_path / "a.zarr" / "t").rglob("*") if path.is_file()]
    assert found.shards == len([path for path in files if path.name[0].isdigit()])
    assert stored.t.nbytes == found.output_bytes


def _fail(block):
    raise AssertionError("computed")


def test_text_and_html(field, toy_model):
    found = flexclim.estimate(field, 4, model=toy_model, members=4, batch=4)
    assert repr(found).splitlines() == [
        "<flexclim estimate>",
        "Model:          t: toy, as given",
        "Input:          regional, 8 x 8 cells of 1 x 1 degrees, lat 50 to 43, lon 5 to 12",
        "Output:         realization 4 x time 20 x lat 32 x lon 32",
        "Forward passes: 40 on cpu in float32",
        "Time:           about 1 min 25 s of forward passes",
        f"Memory:         about {estimation.size_text(found.memory_bytes)} beside the model, and "
        "328 kB for a result in memory",
        "Store:          about 279 kB in 4 shards",
    ]
    html = found._repr_html_()
    assert "about 1 min 25 s" in html
    assert "color: inherit" in html


def test_options_are_those_of_downscale(field, toy_model):
    own = inspect.signature(flexclim.estimate).parameters
    assert inspect.signature(flexclim.downscale).parameters.keys() - own.keys() == set()
    assert "options" not in own
    with pytest.raises(
        FlexclimError, match=re.escape("no option 'membrs'; did you mean 'members'")
    ):
        flexclim.estimate(field, 4, membrs=3)
    with pytest.raises(ModelError, match="was not trained at x3"):
        flexclim.estimate(field, 3, model=toy_model)
    with pytest.raises(FlexclimError, match="members=0 is not a whole number"):
        flexclim.estimate(field, 4, members=0)
    with pytest.raises(FlexclimError, match="keep_bits=99 is not a whole number from 1 to 23"):
        flexclim.estimate(field, 4, model=toy_model, keep_bits=99)


def test_memory_grows_with_a_field_and_not_with_time(field, toy_model):
    def memory(times, rows):
        ds = coarse_fields.region(times, rows, rows)
        return flexclim.estimate(ds, 4, model=toy_model, members=4).memory_bytes

    assert memory(600, 8) < 1.1 * memory(300, 8)
    assert memory(4, 64) > 2 * memory(4, 8)


def test_a_pass_is_timed(field, toy_model, monkeypatch):
    monkeypatch.undo()
    found = flexclim.estimate(field, 4, model=toy_model, members=4, batch=4)
    assert 0 < found.seconds < 60
