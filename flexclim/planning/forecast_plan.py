"""The plan of a forecast, fixed before any computation: plain data, equal on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flexclim.cf.description import LEAD_HOURS
from flexclim.grids.grid import Grid
from flexclim.models.channels import Target
from flexclim.models.model import Model
from flexclim.models.settings import FORECAST
from flexclim.planning.leads import Leads, kept_steps, step_hours
from flexclim.planning.plan import (
    Attributes,
    SamplingPlan,
    TargetPlan,
    bounds_of,
    plan_sampling,
)
from flexclim.planning.sampling_options import SamplingOptions
from flexclim.planning.source import Source
from flexclim.planning.tiles import choose_tile, plan_tiles
from flexclim.planning.tokenized import Tokenized


@dataclass(frozen=True, kw_only=True, eq=False)
class ForecastPlan(Tokenized):
    """How the last snapshots of some variables are rolled out to later times.

    Parameters
    ----------
    sampling
        The settings shared by all sampling.
    time
        The dimension of time.
    past
        Number of snapshots that the network reads.
    lead
        The time step in hours.
    kept
        Numbers of the steps that are returned, ascending from 1.
    """

    sampling: SamplingPlan
    time: str
    past: int
    lead: float
    kept: tuple[int, ...]

    @property
    def parts(self) -> list[ForecastPlan]:
        """The plans of all regions: a forecast is computed as a whole."""
        return [self]

    @property
    def spacings_km(self) -> tuple[float, ...]:
        """Distance between neighbouring rows of the output in km; NaN where it is unknown."""
        return self.sampling.grid.spacings_km

    def fine_grid(self, grid: Grid) -> Grid:
        """Return the output's grid: that of the input."""
        return grid

    def attributes(self, target: TargetPlan) -> Attributes:
        """Return the attributes that record how an output variable was made."""
        attributes = self.sampling.attributes() | {
            LEAD_HOURS: self.lead,
            "flexclim_past": self.past,
        }
        if rule := target.bounds.describe():
            attributes["flexclim_bounds"] = rule
        return attributes


def plan_forecast(
    source: Source,
    inputs: Sequence[str],
    model: Model,
    options: SamplingOptions,
    leads: Leads,
    time: str,
    run: str = "",
) -> ForecastPlan:
    """Plan how variables are forecast together; compute nothing.

    Parameters
    ----------
    source
        Holds the inputs, with the dimension ``time``.
    inputs
        Names in the order of the model's targets.
    leads
        See :func:`flexclim.planning.leads.kept_steps`.
    run
        See :class:`~flexclim.planning.plan.SamplingPlan`.

    Raises
    ------
    FlexclimError
        If the past times or the leads can't be used.
    ModelError
        If the model was not trained for the time step.
    """
    settings = model.settings
    assert settings.targets is not None
    assert settings.forecast is not None
    grid = source.grid_for(settings.grid).without_positions()
    lead = step_hours(source[time].values, settings.forecast, model.name)
    tile, overlap = choose_tile(
        settings.network.tiles, grid.domain, 1, settings.halo, options.overlap
    )
    sampling = plan_sampling(
        source,
        inputs,
        [
            _plan_target(source, name, target, options)
            for name, target in zip(inputs, settings.targets, strict=True)
        ],
        model,
        settings,
        options,
        task=FORECAST,
        grid=grid,
        spacing_km=source.grid.spacing_km,
        tiles=plan_tiles(grid.domain, tile, 1, overlap),
        run=run,
    )
    kept = kept_steps(leads, lead)
    return ForecastPlan(
        sampling=sampling, time=time, past=settings.forecast.past, lead=lead, kept=kept
    )


def _plan_target(source: Source, name: str, target: Target, options: SamplingOptions) -> TargetPlan:
    """Plan how one output is finished: by the options, else the model, else names and units."""
    field = source[name]
    return TargetPlan(
        name=name,
        dtype="float64" if field.dtype == "float64" else "float32",
        bounds=bounds_of(
            source.properties(name),
            options.non_negative,
            target.non_negative,
            known=options.known_bounds.get(name),
        ),
    )
