"""Identities of planes are coordinate values, whatever the order or selection of a field."""

import itertools

import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.sampling.plane_identity import (
    PlaneIdentities,
    PlaneIdentity,
    planes_named_in_errors,
    time_text,
)

STARTS = np.array(["2018-09-14", "2018-09-15"], "datetime64[ns]")
STEPS = np.array([0, 6, 12], "timedelta64[h]").astype("timedelta64[ns]")
REFERENCE, PERIOD = "forecast_reference_time", "forecast_period"
START, LEAD = {"standard_name": REFERENCE}, {"standard_name": PERIOD}
RUN = {
    "time": ((), STARTS[0], START),
    "step": ("step", STEPS, LEAD),
    "valid_time": ("step", STARTS[0] + STEPS, {"standard_name": "time"}),
}
DATES = {"time": ("time", STARTS)}


def field_along(**coords):
    """Return a field of zeros on a small grid with these coordinates."""
    lead = xr.Dataset(coords=coords)
    coords = lead.coords.assign(lat=np.arange(58.0, 50, -1), lon=np.arange(9.0))
    values = np.zeros((*lead.sizes.values(), 8, 9), "float32")
    return xr.DataArray(values, coords, [*lead.sizes, "lat", "lon"], name="t")


@pytest.fixture
def field():
    """Return a field of two times and three levels, at a height."""
    return field_along(
        time=("time", np.array(["2018-09-14T00", "2018-09-14T06"], "datetime64[ns]")),
        level=("level", [1000, 850, 500]),
        height=2.0,
    )


@pytest.fixture(scope="module")
def identities(toy_model):
    """Return a function that finds the identities of a field's planes by their indices."""

    def identities(field, noise="independent"):
        timescale = "6h" if noise == "ar1" else None
        options = DownscalingOptions(
            factor=4, members=1, device="cpu", batch=2, noise=noise, noise_timescale=timescale
        )
        source = resolve(field)
        plan = plan_downscaling(source, ["t"], ["t"], toy_model, options).sampling
        found = PlaneIdentities(source["t"], plan)
        lead = {dim: range(source["t"].sizes[dim]) for dim in plan.dims[:-2]}
        every = [dict(zip(lead, index, strict=True)) for index in itertools.product(*lead.values())]
        parts = [found.part({d: slice(n, n + 1) for d, n in index.items()}) for index in every]
        assert found.every() == [one for part in parts for one in part.every()]
        return {tuple(index.items()): found.at(index) for index in every}

    return identities


def texts(identities, **options):
    return [one.place(**options) for one in identities.values()]


def test_an_identity_holds_values_not_positions(identities, field):
    found = identities(field)[("time", 1), ("level", 2)]
    assert str(found) == "2018-09-14T06:00:00.000000 height=2 level=500"
    assert found.seconds == 1536904800
    for same in (field.isel(time=[1]), field.isel(time=[1]).transpose("level", "time", ...)):
        assert [*identities(same).values()][2] == found
    assert identities(field.isel(time=1, level=2))[()] == found


# What identities of ordinary input were before selected planes kept theirs; noise depends on them.
ORDINARY = {
    "series": (DATES, ["2018-09-14T00:00:00.000000", "2018-09-15T00:00:00.000000"]),
    "one time": ({"time": STARTS[0]}, ["2018-09-14T00:00:00.000000"]),
    "no time": ({}, [""]),
    "levels": (
        DATES | {"plev": ("plev", np.array([100000, 925.5, 0.1], "f4")), "height": 10.0},
        [
            f"2018-09-{day}T00:00:00.000000 height=10 plev={level}"
            for day in (14, 15)
            for level in ("100000", "925.5", "0.1")
        ],
    ),
    "ERA5 by GRIB": (
        {
            "time": ("time", STARTS, START),
            "step": ((), np.timedelta64(0, "ns"), LEAD),
            "valid_time": ("time", STARTS, {"standard_name": "time"}),
            "surface": 0.0,
            "number": 0,
        },
        ["2018-09-14T00:00:00.000000", "2018-09-15T00:00:00.000000"],
    ),
    "ERA5 by NetCDF": (
        {
            "valid_time": ("valid_time", STARTS),
            "number": 0,
            "expver": ("valid_time", ["0001", "0005"]),
        },
        ["2018-09-14T00:00:00.000000", "2018-09-15T00:00:00.000000"],
    ),
    "run by CF": (
        DATES | {REFERENCE: ((), STARTS[0], START), PERIOD: ("time", STEPS[:2], LEAD)},
        ["2018-09-14T00:00:00.000000", "2018-09-15T00:00:00.000000"],
    ),
    "run by GRIB": (
        RUN,
        [f"2018-09-14T00:00:00.000000{step}" for step in ("", " step=2.16e+13", " step=4.32e+13")],
    ),
    "grid mapping": (
        DATES | {"spatial_ref": 0},
        [f"2018-09-{n}T00:00:00.000000" for n in (14, 15)],
    ),
    "parts of dates": (
        DATES | {"month": ("time", [9, 9]), "season": ("time", ["SON", "SON"])},
        ["2018-09-14T00:00:00.000000", "2018-09-15T00:00:00.000000"],
    ),
    "other times": (
        {
            "time_counter": ("time_counter", STARTS, {"axis": "T"}),
            "time_centered": ("time_counter", STARTS + 1, {"standard_name": "time"}),
        },
        ["2018-09-14T00:00:00.000000", "2018-09-15T00:00:00.000000"],
    ),
    "numbers": ({"time": ("time", [0, 6])}, ["time=0", "time=6"]),
}


@pytest.mark.parametrize("layout", ORDINARY)
def test_identities_of_ordinary_input_are_fixed(identities, layout):
    coords, expected = ORDINARY[layout]
    assert texts(identities(field_along(**coords))) == expected


DISTINCT = ORDINARY | {
    "undecoded": ({"time": ("time", [2018091400, 2018092400])}, 1),
    "Julian days": ({"time": ("time", [2458375.5, 2458375.75])}, 1),
    "months": ({"time": ("time", [1424.0, 1424.0001], {"units": "months since 1900-01-01"})}, 1),
    "close values": ({"quantile": ("quantile", [0.9999991, 0.9999992])}, 2),
    "large numbers": ({"run": ("run", [2**53, 2**53 + 1])}, 2),
    "words": (DATES | {"scenario": ("scenario", ["ssp126", "ssp585"])}, 2),
    "heights": (DATES | {"heightAboveGround": ("heightAboveGround", [2.0, 10.0])}, 2),
    "surfaces": ({"surface": ("surface", [0.0, 1.0])}, 2),
    "months of the year": ({"month": ("month", [1, 2])}, 1),
    "runs by GRIB": (
        RUN
        | {
            "time": ("time", STARTS, START),
            "valid_time": (("time", "step"), STARTS[:, None] + STEPS, {"standard_name": "time"}),
        },
        1,
    ),
    "starts and leads": (
        {"init": ("init", STARTS), "lead": ("lead", [0, 24], {"units": "hours"})},
        1,
    ),
    "times without a coordinate of their own": ({"XTIME": ("Time", STARTS)}, 1),
    "spans in seconds": ({"lag": ("lag", np.array([0, 6], "timedelta64[s]"))}, 1),
    "spans in us": ({"lag": ("lag", np.array([0, 6], "timedelta64[us]"))}, 1),
}


@pytest.mark.parametrize("layout", DISTINCT)
def test_a_selected_plane_keeps_its_identity_and_others_differ(identities, layout):
    coords, frozen = DISTINCT[layout]
    field = field_along(**coords)
    whole = identities(field)
    assert len(set(texts(whole))) == len(whole)
    if isinstance(frozen, int):  # how many differ when time does not count
        assert len(set(texts(whole, timed=False))) == frozen
    for index, identity in whole.items():
        for count in range(1, len(index) + 1):
            for chosen in itertools.combinations(index, count):
                part = identities(field.isel(dict(chosen)))
                found = part[tuple(one for one in index if one not in chosen)]
                assert (found.place(), found.seconds) == (identity.place(), identity.seconds)


def test_resolution_and_precision_change_no_identity(identities):
    fine = field_along(**DATES, q=("q", [0.1, 850.0]), lag=("lag", STEPS))
    coarse = fine.assign_coords(
        time=STARTS.astype("datetime64[s]"),
        lag=STEPS.astype("timedelta64[s]"),
        q=fine.q.astype("f4"),
    )
    assert texts(identities(fine)) == texts(identities(coarse))


def test_valid_times_are_those_of_forecasts(identities):
    expected = [1536883200 + hours * 3600 for hours in (0, 6, 12)]
    for coords in (RUN, {"time": STARTS[0], "step": ("step", STEPS)}):
        found = identities(field_along(**coords))
        assert [one.seconds for one in found.values()] == expected


def test_a_selected_member_differs_but_in_the_noise_of_its_own_number(identities):
    (found,) = identities(field_along(number=3)).values()
    assert found.place(number=3) == ""
    assert found.place(number=0) == found.place() == "number=3"
    (control,) = identities(field_along(number=0)).values()
    assert control.place(number=3) == ""


def test_a_dimension_without_coordinate_counts_by_position(identities, field):
    found = identities(field.drop_vars("level"))[("time", 0), ("level", 2)]
    assert found.rest == ("height=2", "level#2")
    times = identities(field.drop_vars("time").isel(level=0))
    assert texts(times, timed=False) == ["height=2 level=1000"] * 2


@pytest.mark.parametrize("lead", [("lead", [0, 6]), ("lead", [0, 6], {"units": "months"})])
def test_autoregressive_noise_needs_every_valid_time(identities, lead):
    field = field_along(time=STARTS[0], lead=lead)
    with pytest.raises(FlexclimError, match="'lead' of 't' is a time without dates or units"):
        identities(field, noise="ar1")
    assert len(set(texts(identities(field)))) == 2


def test_a_missing_time_is_named(identities):
    dates = xr.DataArray(STARTS, dims="time")
    field = field_along(time=dates.where(dates == STARTS[0]))
    with pytest.raises(FlexclimError, match=r"the time of 't' at position time=1 is missing .NaT"):
        identities(field)


def test_times_of_other_calendars():
    text, seconds = time_text(cftime.Datetime360Day(1970, 2, 30))
    assert text == "1970-02-30T00:00:00.000000"
    assert seconds == 59 * 86400


def test_errors_name_the_plane():
    with pytest.raises(ValueError, match="bad") as caught:  # noqa: SIM117
        with planes_named_in_errors(
            [PlaneIdentity(time="2018", rest=("level=500",))], ", rows 0 to 4"
        ):
            raise ValueError("bad")
    assert caught.value.__notes__ == ["time 2018 level=500, rows 0 to 4"]
    with pytest.raises(ValueError, match="bad") as caught:  # noqa: SIM117
        with planes_named_in_errors([PlaneIdentity(time=f"201{n}") for n in (7, 8, 9)]):
            raise ValueError("bad")
    assert caught.value.__notes__ == ["times 2017 to 2019"]
