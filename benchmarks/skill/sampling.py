"""What a model makes of the fields of a case."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from benchmarks.skill.borders import moved_borders
from benchmarks.skill.cases import Case
from benchmarks.skill.fields import STATICS
from flexclim import verify
from flexclim.execution.batch_size import PASS_PIXELS
from flexclim.grids.discovery import find_grid
from flexclim.models.model import Model
from flexclim.planning.tiles import plan_tiles

MEMBERS, SEED = 8, 0
# The seam is measured on few members of many times, once with borders where they fall and once
# with borders elsewhere, so that coasts and storm tracks cancel, and edges of coarse cells.
SEAM_MEMBERS = 2


def made(model: Model, case: Case) -> list[str]:
    """Return the variables of a case that a model makes; none where it does not serve it."""
    if case.factor not in model.settings.factors:
        return []
    if model.settings.inputs is None or model.settings.targets is None:
        return list(case.variables)
    if not {variable.name for variable in model.settings.inputs} <= set(case.variables):
        return []
    targets = [target.name for target in model.settings.targets]
    return [name for name in targets if name in case.variables]


def sample(
    model: Model,
    case: Case,
    coarse: xr.Dataset,
    steps: int,
    folder: Path,
    *,
    members: int = MEMBERS,
) -> xr.Dataset:
    """Downscale one field, or several; one step returns the network's first estimate."""
    static = None
    if any(not one.computed for one in model.settings.statics):
        static = xr.open_dataset(folder / STATICS)
    lazy = flexclim.downscale(
        coarse.chunk(),
        case.factor,
        model=model,
        members=members,
        steps=steps,
        seed=SEED,
        variables=made(model, case),
        grid="cell",
        non_negative=case.wet is not None,
        static=static,
        batch=_batch(model, coarse, case.factor),
    )
    return lazy.compute()


def seam(
    model: Model, case: Case, fields: list[xr.Dataset], folder: Path
) -> dict[str, dict[str, float]]:
    """Measure `verify.seam` of the first variable at the steps that the model takes.

    Returns
    -------
    dict
        ``gradient`` and ``variance``, each ``"as it is"``, ``"over the truth's"`` and
        ``"over that with borders elsewhere"``.
    """
    name = made(model, case)[0]
    # Boxes of different places go where the first one lies: a seam does not ask where it is.
    first, times = fields[0], range(len(fields))
    here = {dim: first[dim] for dim in first[name].dims[-2:]}
    moved = [
        field.assign_coords(here).assign_coords(time=first.time.values + np.timedelta64(hour, "h"))
        for hour, field in zip(times, fields, strict=True)
    ]
    truth = xr.concat(moved, "time")
    coarse = flexclim.coarsen(truth, case.factor, grid="cell")
    fine = sample(model, case, coarse, model.settings.steps, folder, members=SEAM_MEMBERS)
    with moved_borders():
        elsewhere = sample(model, case, coarse, model.settings.steps, folder, members=SEAM_MEMBERS)
    field = fine[name].assign_attrs(flexclim_tiles=fine.attrs["flexclim_tiles"])
    references = {
        "as it is": None,
        "over the truth's": truth[name],
        "over that with borders elsewhere": elsewhere[name],
    }
    found: dict[str, dict[str, float]] = {"gradient": {}, "variance": {}}
    for how, reference in references.items():
        ratios = verify.seam(field, reference=reference)
        for kind, kept in found.items():
            kept[how] = float(ratios[kind])
    return found


def _batch(model: Model, coarse: xr.Dataset, factor: int) -> int | None:
    """Return how many tiles fill forward passes without padding; None, the default, on a GPU."""
    import torch

    if torch.cuda.is_available():
        return None
    height, width = model.settings.network.tile
    domain = find_grid(coarse, "cell").domain.refine(factor)
    plan = plan_tiles(domain, (height, width), factor, model.settings.halo)
    windows, most = plan.count, max(1, PASS_PIXELS["cpu"] // math.prod((height, width)))
    if windows <= most:
        return windows * (most // windows)
    return math.ceil(windows / math.ceil(windows / most))
