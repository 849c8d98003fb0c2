"""Forward passes are counted as the sampler takes them."""

import coarse_fields
import numpy as np
import pytest
import xarray as xr

from flexclim.downscaling import downscale, estimate
from flexclim.sampling import estimation
from flexclim.sampling.tiled_sampler import TiledSampler


@pytest.fixture(autouse=True)
def timed(monkeypatch):
    """Passes of the encoder take a second, those of the network none."""
    monkeypatch.setattr(estimation, "time_passes", lambda plan: (0.0, 1.0))


@pytest.fixture
def counted(monkeypatch):
    """Return a list that gets the name of each pass."""
    calls = []

    def count(name, function):
        def noted(*given):
            calls.append(name)
            return function(*given)

        monkeypatch.setattr(TiledSampler, name, noted)

    for name in ("_denoise", "_encode"):
        count(name, getattr(TiledSampler, name))
    return calls


def check(counted, field, **options):
    found = estimate(field, 4, **options)
    downscale(field, 4, **options)
    assert (found.passes, found.seconds) == tuple(map(counted.count, ("_denoise", "_encode")))
    assert found.passes > 0


@pytest.mark.parametrize(
    ("keeps", "paired", "options"),
    [
        (True, False, {"members": 3, "batch": 4}),
        (True, True, {"members": 2, "batch": 3, "steps": 1}),
        (False, False, {"members": 3, "batch": 4}),
        (False, False, {"members": 2, "batch": 64, "steps": 1}),
        (False, True, {"members": 2, "batch": 4, "steps": 1}),
    ],
)
def test_counts_are_those_of_the_sampler(counted, toy_model, monkeypatch, keeps, paired, options):
    monkeypatch.setattr("flexclim.planning.plan.kept_tiles", lambda *_: 100 * keeps)
    field = coarse_fields.region(1, 9, 9)
    if paired:
        field = field.expand_dims(realization=np.arange(options["members"])).copy()
    check(counted, field, model=toy_model, **options)


@pytest.mark.slow
@pytest.mark.parametrize("keeps", [True, False])
def test_tasks_of_several_planes_share_passes(counted, toy_model, monkeypatch, keeps):
    monkeypatch.setattr("flexclim.planning.plan.kept_tiles", lambda *_: 100 * keeps)
    field = coarse_fields.region(11, 9, 9).expand_dims(level=[850, 500])
    check(counted, field, model=toy_model, members=3, batch=4)


def test_regions_count_their_own_windows(counted, toy_model, monkeypatch):
    monkeypatch.setattr("flexclim.planning.downscaling_plan.region_shape", lambda fine: (64, 64))
    field = coarse_fields.region(1, 17, 17)
    check(counted, field, model=toy_model, members=1, batch=4, steps=1)


def test_places_count_the_windows_around_them(counted, toy_model, monkeypatch):
    monkeypatch.setattr("flexclim.planning.downscaling_plan.FEW_WINDOWS", 8)
    monkeypatch.setattr("flexclim.planning.downscaling_plan.FEW", 16)
    field = coarse_fields.region(1, 24, 24)
    lat, lon = float(field.lat[3]), float(field.lon[4])
    stations = xr.Dataset(coords={"lat": ("s", [lat]), "lon": ("s", [lon])})
    check(counted, field, model=toy_model, members=2, batch=1, to=stations)
    whole = estimate(field, 4, model=toy_model, members=2, batch=1)
    assert counted.count("_denoise") < whole.passes / 2
