"""Which model downscales or forecasts which variables if the user names none.

A model of specific variables is chosen if it predicts requested variables, its inputs and static
fields are available, by name or by meaning and in units that convert, and it was trained at this
factor or time step and a similar grid spacing. Every other field is downscaled by flex-nano, which
serves any variable, and is not forecast.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flexclim.errors import FlexclimError, ModelError
from flexclim.grids.arguments import names_of
from flexclim.models.catalogue import list_bundled
from flexclim.models.model import Model, load_model, read_model
from flexclim.models.settings import FORECAST, SUPERRES
from flexclim.planning.bundled_statics import BUNDLED_STATICS
from flexclim.planning.bundled_statics import NAMES as BUNDLED_NAMES
from flexclim.planning.leads import step_hours
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import (
    VariableGroup,
    available_statics,
    group_variables,
    select_fields,
)
from flexclim.planning.variable_matching import match

Loader = Callable[[str], Model]
LOG = logging.getLogger(__name__)
DEFAULT_MODEL = "flex-nano"
# Maximum ratio between the output's grid spacing and those of the training data.
NEAR = 1.5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The user's choice of a model and of variables.

    Parameters
    ----------
    model
        Default: chosen among the bundled models.
    variables
        Variables to return. Default: all that a model serves.
    static_optional
        Whether static fields may be given that no model takes, since others use them.
    """

    model: str | Model | None
    variables: Sequence[str] | str | None
    static_optional: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", names_of(self.variables))


def choose(source: Source, choice: Choice, factor: int) -> list[VariableGroup]:
    """Choose which model downscales which variables together, and log why.

    Raises
    ------
    ModelError
        If the model does not fit the source, or static fields were given that no model takes.
    """
    groups = candidates(source, choice, factor)
    if choice.model is None:
        _log(groups)
    return groups


def candidates(
    source: Source, choice: Choice, factor: int, load: Loader = load_model
) -> list[VariableGroup]:
    """Return what :func:`choose` would choose, without a word.

    ``load`` returns a bundled model by name.
    """
    if choice.model is not None:
        return _requested(source, choice, choice.model, SUPERRES)
    wanted = _wanted(source, choice)

    def unfit(candidate: Model) -> str:
        factors = candidate.settings.factors
        if factor not in factors:
            return f"is for x{', x'.join(map(str, factors))}"
        return _unfit(candidate, candidate.card.inputs, source, factor)

    groups, rejections = _specialised(
        source, wanted, unfit, SUPERRES, "spacing, factor and units", load
    )
    if not choice.static_optional:
        _check_static(source, groups, rejections)
    served = {name for group in groups for name in group.outputs.values()}
    wanted = [name for name in wanted if name not in served]
    if wanted or not groups:
        reason = "; ".join(["serves any field", *rejections])
        groups += group_variables(source, load(DEFAULT_MODEL), wanted or None, reason)
    return _in_order(groups, source)


def expected_choice(source: Source, factor: int) -> list[str]:
    """Say which model would downscale which variables, and what others lack; load no weights.

    >>> import xarray as xr
    >>> from flexclim.planning.source import resolve
    >>> rows = {"lat": np.arange(40.0, 50), "lon": np.arange(10.0)}
    >>> field = xr.DataArray(np.zeros((10, 10)), rows, ["lat", "lon"], "ozone")
    >>> expected_choice(resolve(field), 4)
    ['flex-nano for ozone: serves any field']
    """
    groups = candidates(source, Choice(model=None, variables=None), factor, read_model)
    by_choice: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        known = by_choice.setdefault((group.model.name, group.reason), [])
        known.extend(group.outputs.values())
    return [f"{model} for {', '.join(v)}: {why}" for (model, why), v in by_choice.items()]


def choose_forecast(source: Source, choice: Choice, times: np.ndarray) -> list[VariableGroup]:
    """Choose which model forecasts which variables, and why; ``times`` are the past times.

    Raises
    ------
    ModelError
        If the model can't forecast the source, or no bundled model can.
    """
    if choice.model is not None:
        return _requested(source, choice, choice.model, FORECAST)
    wanted = select_fields(choice.variables, source.fields, FORECAST)
    steps: set[float] = set()

    def unfit(candidate: Model) -> str:
        assert candidate.settings.forecast is not None
        card = candidate.card
        if problem := _unfit(candidate, card.variables, source, 1):
            return problem
        try:
            step = step_hours(times, candidate.settings.forecast, card.name)
        except FlexclimError as error:
            return f"can't forecast these: {str(error).removesuffix('.')}"
        if steps and step not in steps:
            return f"has steps of {step:g} h"
        steps.add(step)
        return ""

    groups, rejections = _specialised(source, wanted, unfit, FORECAST, "time step and units")
    served = {name for group in groups for name in group.outputs.values()}
    lacking = [name for name in wanted if name not in served and (choice.variables or not served)]
    if lacking or not groups:
        raise ModelError(_no_forecast(lacking, rejections))
    _check_static(source, groups, rejections)
    groups = _in_order(groups, source)
    _log(groups)
    return groups


def _no_forecast(lacking: Sequence[str], rejections: Sequence[str]) -> str:
    """Explain that no bundled model forecasts some variables."""
    available = [
        f"{name} ({', '.join(card.variables)} by {' or '.join(f'{h:g}' for h in card.leads)} h)"
        for name, card in list_bundled().items()
        if card.leads
    ]
    why = f"; {'; '.join(rejections)}" if rejections else ""
    return (
        f"no bundled model forecasts {', '.join(lacking) or 'this'}{why}. Available are "
        f"{', '.join(available) or 'none that forecast'}. Name a model of your own with model= "
        "(--model at the shell)."
    )


def _requested(
    source: Source, choice: Choice, model: str | Model, task: str
) -> list[VariableGroup]:
    """Return the groups of a model that the user named."""
    loaded = model if isinstance(model, Model) else load_model(model)
    reason = f"as given{_with_bundled(source, loaded)}"
    return group_variables(source, loaded, choice.variables, reason, task, requested=True)


def _with_bundled(source: Source, model: Model) -> str:
    """State that a model reads bundled static fields, if it does."""
    reads = source.static is None and any(not one.computed for one in model.settings.statics)
    return f", with {BUNDLED_STATICS}" if reads else ""


def _specialised(
    source: Source,
    wanted: Sequence[str],
    unfit: Callable[[Model], str],
    task: str,
    alike: str,
    load: Loader = load_model,
) -> tuple[list[VariableGroup], list[str]]:
    """Return groups of models trained for the wanted variables, and why others were rejected."""
    groups: list[VariableGroup] = []
    rejections: list[str] = []
    for name in list_bundled():
        candidate = read_model(name)
        taken = {variable for group in groups for variable in group.outputs.values()}
        named = {v: _name_in(source, candidate, v) for v in candidate.card.variables}
        served = [v for v, own in named.items() if own in wanted and own not in taken]
        if name == DEFAULT_MODEL or not served or task not in candidate.settings.tasks:
            continue
        if problem := unfit(candidate):
            rejections.append(f"{name} {problem}")
            continue
        fields = [own if own == v else f"{own} ({v})" for v, own in named.items() if v in served]
        reason = f"made for {', '.join(fields)} at this {alike}{_with_bundled(source, candidate)}"
        groups += group_variables(source, load(name), served, reason, task)
    return groups, rejections


def _name_in(source: Source, model: Model, variable: str) -> str:
    """Return the name in the source of a model's variable; its own, where the source has none."""
    found = match(source, variable, model.card.units.get(variable))
    return variable if found is None else found.name


def _check_static(
    source: Source, groups: Sequence[VariableGroup], rejections: Sequence[str]
) -> None:
    """Raise if static fields were given that no chosen model takes."""
    if source.static is not None and not any(group.model.settings.statics for group in groups):
        why = f": {'; '.join(rejections)}" if rejections else ""
        raise ModelError(
            f"static was given, but no model that takes it serves these fields{why}. "
            "Leave it out, or name a model."
        )


def _unfit(model: Model, read: Sequence[str], source: Source, factor: int) -> str:
    """Return why a model with these inputs can't serve a source; empty if it can."""
    card, settings = model.card, model.settings
    for name in read:
        expected = card.units.get(name)
        found = match(source, name, expected)
        if found is None:
            return f"reads {name} too"
        have = source.units(found.name)
        if expected and (not have or found.conversion is None):
            return f"reads {name} in {expected}, not in {have or 'no units'}"
        if source.properties(found.name).difference:
            return f"reads {name}, not its differences"
    needed = [static.name for static in settings.statics if not static.computed]
    available = available_statics(source, needed, factor)
    if lacking := [name for name in needed if available is None or name not in available]:
        why = "" if source.static is not None else _static_advice(source, lacking)
        return f"needs static {', '.join(lacking)}{why}"
    if settings.grid and source.grid.domain.kind != settings.grid:
        return f"is for grids of {settings.grid}s"
    return _far_spacing(card.spacing_km, source.grid.spacing_km / factor)


def _static_advice(source: Source, names: Sequence[str]) -> str:
    """Say why bundled static fields don't serve, if they have these names."""
    if not set(names) <= set(BUNDLED_NAMES):
        return ""
    placed = source.grid.geographic or source.grid.latitude_name is not None
    why = "too coarse" if placed else "of no use without latitudes"
    return f" (bundled ones are {why}: pass static=)"


def _far_spacing(trained: tuple[float, float] | None, spacing_km: float) -> str:
    """Return why a model trained at some fine spacings can't serve another; empty if it can."""
    if trained is None:  # simulated flow
        return "states no spacing" if math.isfinite(spacing_km) else ""
    if not math.isfinite(spacing_km):
        return "needs a known grid spacing"
    low, high = trained
    if not low / NEAR <= spacing_km <= high * NEAR:
        return f"is for {low:.3g} to {high:.3g} km, not {spacing_km:.3g} km"
    return ""


def _wanted(source: Source, choice: Choice) -> list[str]:
    """Return the variables to predict: fields, and outputs of models that the user names."""
    predicted = [
        name
        for card in list_bundled().values()
        if card.inputs and set(card.inputs) <= set(source.fields) and choice.variables is not None
        for name in card.variables
    ]
    return select_fields(choice.variables, list(dict.fromkeys([*source.fields, *predicted])))


def _in_order(groups: Sequence[VariableGroup], source: Source) -> list[VariableGroup]:
    """Return groups in the order of the source's variables."""
    places = {str(name): place for place, name in enumerate(source.dataset.data_vars)}
    last = len(places)
    return sorted(groups, key=lambda g: min(places.get(n, last) for n in g.outputs.values()))


def _log(groups: Sequence[VariableGroup]) -> None:
    """Log why each model was chosen."""
    for model, reason in dict.fromkeys((group.model.name, group.reason) for group in groups):
        names = [name for g in groups if g.model.name == model for name in g.outputs.values()]
        LOG.info("%s: %s, %s", ", ".join(names), model, reason)
