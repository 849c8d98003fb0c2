"""What a forecast takes, settled before any work: plain data, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from flexclim.cf.quantities import non_negative
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.models.model import Model
from flexclim.models.settings import FORECAST, Variable
from flexclim.planning.leads import Leads, kept_steps, step_hours
from flexclim.planning.plan import Plan, Request, TargetPlan, settle
from flexclim.planning.tiles import plan_tiles
from flexclim.sampling.local_scaling import Rows
from flexclim.sampling.network_inputs import see_past


@dataclass(frozen=True, kw_only=True, eq=False)
class ForecastPlan(Plan):
    """How the last snapshots of some variables become the next ones, again and again.

    ``time`` is the dimension of time, ``past`` the snapshots that are read, ``lead`` the hours of
    a step, ``kept`` the numbers of the steps that are returned, from 1 on and rising.
    """

    time: str
    past: int
    lead: float
    kept: tuple[int, ...]

    @property
    def task(self) -> str:
        """The task encoder that reads the inputs."""
        return FORECAST

    @property
    def told(self) -> dict[str, Any]:
        """What the label tells of the task."""
        return {"lead": self.lead}

    @property
    def read(self) -> tuple[Variable, ...]:
        """The channels that the task encoder reads before static fields."""
        return (self.settings.targets or ()) * self.past

    def seen(self, given: np.ndarray, statics: np.ndarray | None = None) -> Rows:
        """Return what makes some rows of what the network sees, and of how to read its answer."""
        return see_past(given, self.lead, self.settings, statics)

    @property
    def request(self) -> tuple[object, ...]:
        """What one request of the user has in common."""
        return self.model.sha256, self.inputs, self.lead, self.seed

    def attributes(self) -> dict[str, str | int | float]:
        """Return what the output's attributes tell."""
        return super().attributes() | {
            "flexclim_lead_hours": self.lead,
            "flexclim_past": self.past,
        }


def plan_forecast(
    source: xr.Dataset,
    inputs: Sequence[str],
    model: Model,
    options: Request,
    leads: Leads,
    time: str,
    kind: Kind | None = None,
) -> ForecastPlan:
    """Settle how variables are forecast together; no data is computed.

    Parameters
    ----------
    source
        Holds the inputs, with the dimension ``time``.
    inputs
        Names in the order of the model's targets.
    leads
        See :func:`flexclim.planning.leads.kept_steps`.

    Raises
    ------
    GridError
        If the grid can't be found.
    FlexclimError
        If the past times or the leads do not do.
    ModelError
        If the model does not know the time step.
    """
    settings, field = model.settings, source[inputs[0]]
    assert settings.targets is not None
    assert settings.forecast is not None
    grid = replace(find_grid(field, kind or settings.grid), latitude=None, longitude=None)
    lead = step_hours(source[time].values, settings.forecast, model.name)
    overlap = options.overlap or settings.halo
    tile = tuple(settings.network.tile)
    targets = []
    for name, target in zip(inputs, settings.targets, strict=True):
        known = source[name]
        said = options.non_negative, target.non_negative, non_negative(known)
        targets.append(
            TargetPlan(
                name=name,
                dtype="float64" if known.dtype == "float64" else "float32",
                non_negative=next(one for one in said if one is not None),
            )
        )
    tiles = plan_tiles(grid.domain, (tile[0], tile[1]), 1, overlap)
    return ForecastPlan(
        **settle(source, inputs, model, settings, options, grid, tiles),
        targets=tuple(targets),
        time=time,
        past=settings.forecast.past,
        lead=lead,
        kept=kept_steps(leads, lead),
    )
