import coarse_fields
import pytest
import xarray as xr
from grid_kinds import projected

from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.targets import target_of
from flexclim.planning.model_choice import Choice
from flexclim.planning.refinement import choose_refinement
from flexclim.planning.source import resolve

STATIONS = xr.Dataset(coords={"lat": ("s", [46.0]), "lon": ("s", [8.0])})


@pytest.fixture
def choose(toy_model):
    def choose(factor, to, model=toy_model, field=None):
        field = coarse_fields.region(1, 8, 8) if field is None else field
        target = None if to is None else target_of(to, cells_of(field))
        return choose_refinement(
            resolve(field), Choice(model=model, variables=None), factor, target
        )

    return choose


@pytest.mark.parametrize(
    ("to", "factors"),
    [
        (0.9, (2,)),
        (0.5, (2,)),
        (0.499, (2,)),
        (0.45, (4,)),
        (0.125, (8,)),
        (0.1, (4, 4)),
        (1 / 32, (4, 8)),
        (1 / 64, (8, 8)),
        ("healpix:7", (4,)),
        ("healpix:8", (8,)),
        (STATIONS, (8,)),
    ],
)
def test_the_smallest_factor_that_reaches_the_target(choose, to, factors):
    found = choose(None, to)
    assert found.factors == factors
    assert found.reason


def test_the_finer_side_of_a_target_counts(choose):
    field = coarse_fields.region(1, 8, 8)
    target = xr.DataArray(
        [[0.0] * 4] * 4, coords={"lat": [46, 45.5, 45, 44.5], "lon": [6, 6.2, 6.4, 6.6]}
    )
    assert choose(None, target).factors == (8,)
    narrow = field.assign_coords(lon=5 + 0.25 * (field.lon - 5))
    target = target.assign_coords(lon=[6, 6.2, 6.4, 6.6])
    assert choose(None, target, field=narrow).factors == (2,)


def test_rows_of_degrees_count_beside_a_pole(choose):
    field = projected(8, size=4e5).t  # cells of 100 km
    with pytest.raises(GridError, match="no finer than the input"):
        choose(None, 1.0, field=field)
    assert choose(None, 0.4, field=field).factors == (4,)


def test_a_given_factor_is_kept_and_has_no_reason(choose):
    assert choose(8, 0.4).factors == (8,)
    assert choose(16, None).factors == (4, 4)
    assert choose(32, STATIONS).factors == (4, 8)
    assert choose(3, None).factors == (3,)  # which the model refuses
    assert choose(4, 0.3).reason == ""


def test_no_more_than_two_steps(choose):
    with pytest.raises(GridError, match="100 times finer than the input, and models reach 64"):
        choose(None, 0.01)
    assert choose(128, None).factors == (128,)


def test_stations_get_the_largest_factor_that_training_covers(choose, make_toy):
    card = {"spacing_km": (30.0, 80.0)}
    assert choose(None, STATIONS, make_toy(card=card)).factors == (4,)
    card = {"spacing_km": (2000.0, 4000.0)}
    found = choose(None, STATIONS, make_toy(card=card))
    assert found.factors == (2,)
    assert "smallest" in found.reason


@pytest.mark.slow
def test_stations_get_the_factor_of_models_made_for_the_fields(choose):
    ds = coarse_fields.region(1, 8, 8).rename("t2m").assign_attrs(units="K")
    ds = ds.assign_coords(lat=40 - 4 * (ds.lat - 43), lon=4 * ds.lon)
    found = choose(None, STATIONS.assign_coords(lon=("s", [30.0]), lat=("s", [30.0])), None, ds)
    assert found.factors == (4,)
    assert "flex-t2m, made for these fields" in found.reason
    found = choose(None, STATIONS, None)
    assert found.factors == (8,)
    assert "flex-nano" in found.reason
