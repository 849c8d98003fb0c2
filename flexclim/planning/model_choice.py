"""Which model downscales or forecasts which variables where the user names none.

A model of named variables is chosen where it makes what is asked, reads what is there in the same
units, and was trained at this factor or time step and near this spacing. All else is downscaled by
flex-nano, which serves any variable, and not forecast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from flexclim.cf.units import cf_units
from flexclim.errors import FlexclimError, ModelError
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.models.catalogue import list_bundled
from flexclim.models.model import Model, load_model, read_model
from flexclim.models.settings import FORECAST, SUPERRES
from flexclim.planning.leads import step_hours
from flexclim.planning.variable_groups import Group, chosen_fields, fields_of, group_variables

DEFAULT_MODEL = "flex-nano"
GIVEN = "as given"
# A model is chosen up to this ratio between the field's fine spacing and those of training.
NEAR = 1.5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the user says of models and fields; the rest is chosen here.

    Parameters
    ----------
    model
        None: of those that ship.
    variables
        Which to return; None: all that a model serves.
    grid
        Where coordinates can't tell; None: as the model was trained.
    static
        Fields that models read besides.
    """

    model: str | Model | None
    variables: list[str] | str | None
    grid: Kind | None
    static: xr.Dataset | None


def choose(source: xr.Dataset, choice: Choice, factor: int) -> list[Group]:
    """Settle which variables go together through which model, and why.

    Raises
    ------
    ModelError
        If the model does not serve the source, or static fields were given that none takes.
    """
    grid = choice.grid
    if choice.model is not None:
        return _given(source, choice, choice.model, SUPERRES)
    wanted = _asked(source, choice)

    def unfit(candidate: Model) -> str:
        factors = candidate.settings.factors
        if factor not in factors:
            return f"is for x{', x'.join(map(str, factors))}"
        return _unfit(candidate, candidate.card.inputs, source, factor, choice)

    groups, passed = _made_for(source, wanted, unfit, grid, SUPERRES, "spacing, factor and units")
    _check_static(choice.static, groups, passed)
    made = {name for group in groups for name in group.returned}
    wanted = [name for name in wanted if name not in made]
    if wanted or not groups:
        reason = "; ".join(["serves any field", *passed])
        default = load_model(DEFAULT_MODEL)
        groups += group_variables(source, default, wanted or None, grid, reason=reason)
    return _in_order(groups, source)


def choose_forecast(source: xr.Dataset, choice: Choice, times: np.ndarray) -> list[Group]:
    """Settle which model forecasts which variables, and why; ``times`` are those of the past.

    Raises
    ------
    ModelError
        If the model can't forecast the source, or none that ships can.
    """
    if choice.model is not None:
        return _given(source, choice, choice.model, FORECAST)
    wanted = chosen_fields(choice.variables, fields_of(source, choice.grid), FORECAST)
    steps: set[float] = set()

    def unfit(candidate: Model) -> str:
        assert candidate.settings.forecast is not None
        card = candidate.card
        if problem := _unfit(candidate, card.variables, source, 1, choice):
            return problem
        try:
            step = step_hours(times, candidate.settings.forecast, card.name)
        except FlexclimError as error:
            return f"can't: {str(error).removesuffix('.')}"
        if steps and step not in steps:
            return f"has steps of {step:g} h"
        steps.add(step)
        return ""

    groups, passed = _made_for(source, wanted, unfit, choice.grid, FORECAST, "time step and units")
    made = {name for group in groups for name in group.returned}
    lacking = [name for name in wanted if name not in made and (choice.variables or not made)]
    if lacking or not groups:
        there = [
            f"{name} ({', '.join(card.variables)} by {' or '.join(f'{h:g}' for h in card.leads)} h)"
            for name, card in list_bundled().items()
            if card.leads
        ]
        why = f"; {'; '.join(passed)}" if passed else ""
        raise ModelError(
            f"no model that ships forecasts {', '.join(lacking) or 'this'}{why}. There are "
            f"{', '.join(there) or 'none that forecast'}. Name a model of your own with model= "
            "(--model at the shell)."
        )
    _check_static(choice.static, groups, passed)
    return _in_order(groups, source)


def _given(source: xr.Dataset, choice: Choice, model: str | Model, task: str) -> list[Group]:
    """Return the groups of a model that the user gave."""
    loaded = model if isinstance(model, Model) else load_model(model)
    return group_variables(source, loaded, choice.variables, choice.grid, GIVEN, task)


def _made_for(
    source: xr.Dataset,
    wanted: Sequence[str],
    unfit: Callable[[Model], str],
    grid: Kind | None,
    task: str,
    alike: str,
) -> tuple[list[Group], list[str]]:
    """Return groups of models that are made for what is wanted, and why others were passed."""
    groups: list[Group] = []
    passed: list[str] = []
    for name in list_bundled():
        candidate = read_model(name)
        taken = {one for group in groups for one in group.returned}
        made = [v for v in candidate.card.variables if v in wanted and v not in taken]
        if name == DEFAULT_MODEL or not made or task not in candidate.settings.tasks:
            continue
        if problem := unfit(candidate):
            passed.append(f"{name} {problem}")
            continue
        reason = f"made for {', '.join(made)} at this {alike}"
        groups += group_variables(source, load_model(name), made, grid, reason, task)
    return groups, passed


def _check_static(
    static: xr.Dataset | None, groups: Sequence[Group], passed: Sequence[str]
) -> None:
    """Refuse static fields that no chosen model takes."""
    if static is not None and not any(group.model.settings.statics for group in groups):
        why = f": {'; '.join(passed)}" if passed else ""
        raise ModelError(
            f"static was given, but no model that takes it serves these fields{why}. "
            "Leave it out, or name a model."
        )


def _unfit(
    model: Model, read: Sequence[str], source: xr.Dataset, factor: int, choice: Choice
) -> str:
    """Say why a model that reads these variables does not serve a source; empty: it does."""
    card, settings, grid = model.card, model.settings, choice.grid
    fields = fields_of(source, grid)
    for name in read:
        if name not in fields:
            return f"reads {name} too"
        found, meant = source[name].attrs.get("units"), card.units.get(name)
        if meant and (not found or cf_units(str(found)) != cf_units(meant)):
            return f"reads {name} in {meant}, not in {found or 'no units'}"
    if lacking := [
        s.name for s in settings.statics if not s.computed and s.name not in (choice.static or ())
    ]:
        return f"needs static {', '.join(lacking)}"
    if settings.grid and find_grid(source, grid).domain.kind != settings.grid:
        return f"is for grids of {settings.grid}s"
    spacing = find_grid(source, grid).spacing_km / factor
    if card.spacing_km is None:  # of a simulated flow
        return "tells no spacing" if math.isfinite(spacing) else ""
    if not math.isfinite(spacing):
        return "needs to know the spacing"
    low, high = card.spacing_km
    if not low / NEAR <= spacing <= high * NEAR:
        return f"is for {low:.3g} to {high:.3g} km, not {spacing:.3g} km"
    return ""


def _asked(source: xr.Dataset, choice: Choice) -> list[str]:
    """Return the variables to make: fields, and what models make besides where they are named."""
    fields = fields_of(source, choice.grid)
    made = [
        name
        for card in list_bundled().values()
        if card.inputs and set(card.inputs) <= set(fields) and choice.variables is not None
        for name in card.variables
    ]
    return chosen_fields(choice.variables, list(dict.fromkeys([*fields, *made])))


def _in_order(groups: Sequence[Group], source: xr.Dataset) -> list[Group]:
    """Return groups in the order of the source's variables."""
    places = {str(name): place for place, name in enumerate(source.data_vars)}
    return sorted(groups, key=lambda g: min(places.get(name, len(places)) for name in g.returned))
