"""Test fields that a model downscales."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from benchmarks.figures.shown import Shown
from benchmarks.skill import sampling
from benchmarks.skill.cases import CASES, Case
from benchmarks.skill.fields import spread_out
from flexclim.models.model import Model

# A model of any field is shown on one data set of each kind.
SHOWN = "gfs-wind-x4", "arome-wind-x4", "mrms-rain-x4", "era5-t2m-x4"


def pictures(model: Model, folder: Path, count: int) -> Iterator[Shown]:
    for case in cases(model):
        yield downscaled(model, case, folder, count)


def cases(model: Model) -> list[Case]:
    every = [case for case in CASES if sampling.made(model, case)]
    return [case for case in every if model.settings.inputs is not None or case.name in SHOWN]


def downscaled(model: Model, case: Case, folder: Path, count: int) -> Shown:
    if model.settings.inputs is None:
        case = replace(case, variables=case.variables[:1])
    fields = case.split(folder).test
    chosen = [fields[index] for index in spread_out(len(fields), count)]
    name = sampling.made(model, case)[0]
    kept: dict[str, list[xr.DataArray]] = {"truth": [], "given": [], "simple": [], "members": []}
    # Boxes of rain lie in different places; their maps show cells, so the first one's place does.
    here = {dim: chosen[0][dim] for dim in chosen[0][name].dims[-2:]}
    for number, field in enumerate(chosen):
        field = field.assign_coords(here)
        if number and (field.time.values == chosen[0].time.values).all():
            field = field.assign_coords(time=field.time + np.timedelta64(number, "h"))
        coarse = flexclim.coarsen(field, case.factor, grid="cell")
        fine = sampling.sample(model, case, coarse, model.settings.steps, folder)
        bicubic = flexclim.interpolate(coarse, case.factor, grid="cell")
        kept["truth"].append(field[name])
        kept["given"].append(coarse[name])
        kept["simple"].append(bicubic[name].assign_coords(field[name].coords))
        kept["members"].append(fine[name].assign_coords({d: field[d] for d in field[name].dims}))
    joined = {part: xr.concat(arrays, "time") for part, arrays in kept.items()}
    joined["members"] = joined["members"].transpose("realization", "time", ...)
    return Shown(
        **joined,
        name=f"{model.name}-{case.name}",
        title=case.title,
        given_title="coarse",
        rival="bicubic",
        how=f"{len(chosen)} test fields",
        step=case.factor,
        spectrum=case.spectrum,
    )
