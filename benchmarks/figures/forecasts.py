"""Test times that a model forecasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import xarray as xr

import flexclim
from benchmarks.figures.shown import Shown
from benchmarks.forecast.cases import CASES, Case
from benchmarks.forecast.rivals import persistence, statics
from benchmarks.skill.fields import spread_out
from flexclim.models.model import Model

SHOWN = "gfs-wind", "gfs-wind-2026", "mrms", "turbulence-unseen"
MEMBERS, LATEST = 8, 10


def pictures(model: Model, folder: Path, count: int) -> Iterator[Shown]:
    for case in cases(model):
        yield from forecasts(model, case, folder, count)


def cases(model: Model) -> list[Case]:
    return [case for case in CASES if case.model == model.name and case.name in SHOWN]


def forecasts(model: Model, case: Case, folder: Path, count: int) -> list[Shown]:
    """Return what is shown of the first lead and of the last, at most the tenth."""
    assert model.settings.forecast is not None
    past, last = model.settings.forecast.past, min(case.leads, LATEST)
    every = list(case.load(folder, case, past, last))
    chosen = [every[index] for index in spread_out(len(every), count)]
    name = (case.scored or case.variables)[0]
    kept: dict[int, list[xr.Dataset]] = {1: [], last: []}
    # Boxes of rain lie in different places; their maps show cells, so the first one's place does.
    here = chosen[0].drop_vars("time").coords
    for fields in chosen:
        known, truth = fields.isel(time=slice(past)), fields.isel(time=slice(past, None))
        members = flexclim.forecast(
            known, last, model=model, members=MEMBERS, static=statics(model, folder)
        ).load()
        simple = persistence(known, truth, model, folder, case)
        for lead, parts in kept.items():
            each = {
                "truth": truth[name].isel(time=lead - 1),
                "given": known[name].isel(time=-1),
                "simple": simple[name].isel(time=lead - 1),
                "members": members[name].isel(time=lead - 1),
            }
            plain = {part: field.drop_vars(field.coords) for part, field in each.items()}
            parts.append(xr.Dataset(plain).assign_coords(here))
    joined = {lead: xr.concat(parts, "time") for lead, parts in kept.items()}
    return [
        Shown(
            name=f"{model.name}-{case.name}-{lead * case.hours:g}h",
            title=f"{case.title}, {lead * case.hours:g} h ahead",
            truth=fields.truth.rename(name),
            given=fields.given,
            simple=fields.simple,
            members=fields.members.transpose("realization", "time", ...),
            given_title="last snapshot",
            rival="persistence",
            how=f"{len(chosen)} test starts",
        )
        for lead, fields in joined.items()
    ]
