"""What a store says of its making, and requests that do not match it."""

import json
import warnings

import coarse_fields
import grid_kinds
import numpy as np
import pytest
import zarr

import flexclim
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimError, FlexclimWarning, StoreError


def field(times):
    return coarse_fields.region(times, 6, 9)


@pytest.fixture
def region():
    return field(3)


def test_another_beginning_or_algorithm_is_refused_but_not_another_version(
    region, toy_model, tmp_path, monkeypatch
):
    options = {"factor": 4, "model": toy_model, "members": 1, "batch": 4, "steps": 1}
    downscale_to_zarr(region, tmp_path / "a.zarr", **options)
    other = field(5)
    other[0] += 1
    with pytest.raises(StoreError, match="begun with input"):
        downscale_to_zarr(other, tmp_path / "a.zarr", **options)
    with pytest.raises(StoreError, match="keep_bits null, not 9"):
        downscale_to_zarr(region, tmp_path / "a.zarr", keep_bits=9, **options)
    monkeypatch.setattr("flexclim.cf.provenance.__version__", "9.9")
    downscale_to_zarr(region, tmp_path / "a.zarr", **options)
    monkeypatch.setattr("flexclim.sampling.store_plan.SAMPLING", 2)
    with pytest.raises(StoreError, match=r"begun with sampling 1, not 2"):
        downscale_to_zarr(region, tmp_path / "a.zarr", **options)


def test_a_store_tells_how_it_was_made(region, toy_model, tmp_path):
    options = {"model": toy_model, "members": 1, "batch": 4, "steps": 1}
    stored = downscale_to_zarr(region, tmp_path / "a.zarr", 4, keep_bits=8, **options)
    assert stored.attrs["flexclim_version"] == flexclim.__version__
    assert "torch" in stored.attrs["flexclim_software"]
    assert stored.attrs["flexclim_command"]
    assert stored.attrs["flexclim_keep_bits"] == 8
    plan = json.loads(stored.attrs["flexclim_plan"])
    assert plan["model_sha256"] == toy_model.sha256
    assert (plan["seed"], plan["members"], plan["times"]) == (0, 1, 3)
    assert zarr.open_group(tmp_path / "a.zarr").metadata.consolidated_metadata is not None
    exact = downscale(region, 4, **options)
    error = np.abs(stored["t"] / exact - 1)
    assert 2**-11 < float(error.max()) <= 2**-9
    again = downscale_to_zarr(region, tmp_path / "a.zarr", 4, keep_bits=np.int64(8), **options)
    assert again.attrs["flexclim_keep_bits"] == 8
    for wrong in (0, 5.0, True):
        with pytest.raises(FlexclimError, match="is not a whole number from 1 to 23"):
            downscale_to_zarr(region, tmp_path / "b.zarr", 4, keep_bits=wrong, **options)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"members": 1}, "members 2, not 1"),
        ({"steps": 1}, "steps"),
        ({"conserve": False}, "conserve"),
        ({"factor": 2}, "factor"),
    ],
)
def test_another_request_is_refused(region, toy_model, tmp_path, change, named):
    options = {"factor": 4, "model": toy_model, "members": 2, "batch": 4, "steps": 2}
    downscale_to_zarr(region, tmp_path / "a.zarr", **options)
    with pytest.raises(StoreError, match=named):
        downscale_to_zarr(region, tmp_path / "a.zarr", **(options | change))
    with pytest.raises(StoreError, match="input"):
        downscale_to_zarr(region + 1, tmp_path / "a.zarr", **options)


@pytest.fixture
def split(monkeypatch):
    """Let every forward pass leave the note that it was split."""
    note = flexclim.sampling.planes.record

    def noted(sampler, run):
        note(run, "memory did not suffice")

    monkeypatch.setattr("flexclim.sampling.planes._note_split", noted)


def test_notes_of_fields_in_memory_are_kept(region, toy_model, split):
    """As those of a store are: a split batch changes values by rounding."""
    options = {"model": toy_model, "members": 1, "steps": 1}
    with pytest.warns(FlexclimWarning, match="memory did not suffice") as caught:
        fine = downscale(region.to_dataset(), 4, **options)
    assert fine.attrs["flexclim_notes"] == "memory did not suffice"
    assert len(caught) == 1
    with pytest.warns(FlexclimWarning, match="memory did not suffice"):
        assert downscale(region, 4, **options).attrs["flexclim_notes"] == "memory did not suffice"


def test_notes_of_a_lazy_field_are_warnings(region, toy_model, split):
    fine = downscale(region.chunk(), 4, model=toy_model, members=1, steps=1)
    with pytest.warns(FlexclimWarning, match="memory did not suffice"):
        fine.compute()


@pytest.mark.parametrize(("steps", "weight", "warned"), [(1, 0, 1), (1, 0.5, 0), (2, 0, 0)])
def test_steps_that_members_were_not_trained_for_are_said(toy_model, steps, weight, warned):
    recipe = {"diffusion": {"steps": 2}, "ensemble": {"steps": 9, "one_step": weight}}
    model = toy_model.replace(card={"recipe": recipe})
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        downscale(field(1).chunk(), 4, model=model, members=1, steps=steps)
    assert sum(f"steps={steps} their spread" in str(one.message) for one in found) == warned


def placed(ds):
    """Return a projected grid that has latitudes and longitudes, too."""
    north, east = np.meshgrid(ds["y"] / 1.2e5, ds["x"] / 1.2e5, indexing="ij")
    return ds.assign_coords(
        latitude=(("y", "x"), north, {"standard_name": "latitude", "units": "degrees_north"}),
        longitude=(("y", "x"), east, {"standard_name": "longitude", "units": "degrees_east"}),
    )


@pytest.mark.parametrize("cells", [256, 16])
def test_positions_have_the_chunks_of_lazy_fields(toy_model, cells):
    coarse, fine = placed(grid_kinds.projected(cells)), placed(grid_kinds.projected(4 * cells))
    options = {"factor": 4} if cells == 256 else {"to": fine.drop_vars("t").chunk(y=10)}
    lazy = downscale(coarse.chunk(), model=toy_model, members=1, **options)
    assert lazy["latitude"].chunks is not None
    assert lazy.chunks["y"] == lazy["t"].variable.chunksizes["y"]
