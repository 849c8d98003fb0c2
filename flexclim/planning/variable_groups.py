"""Which variables of a dataset go through a network together."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import xarray as xr

from flexclim.cf.description import REALIZATION
from flexclim.cf.fields import check_field
from flexclim.cf.units import cf_units
from flexclim.errors import FlexclimError, GridError, ModelError
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.models.model import Model
from flexclim.models.settings import FORECAST, SUPERRES

VERBS = {SUPERRES: "downscale", FORECAST: "forecast"}


@dataclass(frozen=True)
class Group:
    """Variables that are read together, those that are made of them, and which are returned.

    ``reason`` says why this model makes them.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    returned: tuple[str, ...]
    model: Model
    reason: str = ""


def group_variables(
    source: xr.Dataset,
    model: Model,
    variables: list[str] | str | None,
    grid: Kind | None,
    reason: str = "",
    task: str = SUPERRES,
) -> list[Group]:
    """Settle what is made: what the model names, else each variable on its own.

    Parameters
    ----------
    variables
        Which of them; None: all.
    reason
        Why this model was taken.
    task
        What the model is to do: a forecast reads what it makes.

    Raises
    ------
    ModelError
        If the model has not learnt the task, or the source lacks an input of the model or has it
        in other units.
    FlexclimError
        If there is no such variable.
    """
    check_task(model, task)
    fields = fields_of(source, grid)
    settings = model.settings
    if settings.inputs is None or settings.targets is None:
        if not fields:
            found = find_grid(source, grid)
            kinds = [f"{name} is {field.dtype}" for name, field in source.data_vars.items()][:4]
            raise GridError(
                f"no variable of numbers has the dimensions {found.y!r} and {found.x!r}: "
                f"{', '.join(kinds) or 'there is none'}. Give one as float."
            )
        names = chosen_fields(variables, fields)
        return [Group((name,), (name,), (name,), model, reason) for name in names]
    targets = tuple(target.name for target in settings.targets)
    read = settings.targets if task == FORECAST else settings.inputs
    inputs = tuple(variable.name for variable in read)
    _check_inputs(source, inputs, fields, model)
    returned = tuple(chosen_fields(variables, list(targets), task))
    return [Group(inputs, targets, returned, model, reason)]


def check_task(model: Model, task: str) -> None:
    """Refuse a model that has not learnt a task.

    Raises
    ------
    ModelError
        Saying what it does.
    """
    if task not in model.settings.tasks:
        (other,) = model.settings.tasks
        raise ModelError(
            f"model {model.name!r} can only {VERBS[other]}. Name one that can {VERBS[task]}; "
            "flexclim.list_models() (flexclim models at the shell) says what each is for."
        )


def fields_of(source: xr.Dataset, grid: Kind | None) -> list[str]:
    """Return the names of variables of numbers on the grid."""
    found = find_grid(source, grid)
    fields = [
        name
        for name, field in source.data_vars.items()
        if {found.y, found.x} <= set(field.dims) and field.dtype.kind in "fiu"
    ]
    for name in fields:
        check_field(source[name])
        if name == REALIZATION:
            raise FlexclimError(f"a field can't have the name {name!r}, of members. Rename it.")
    return [str(name) for name in fields]


def with_targets(source: xr.Dataset, model: Model) -> xr.Dataset:
    """Add what is known of targets that the source does not hold: dimensions, names, units.

    They take their attributes from the input that they add to, and units from the card.
    """
    for target in model.settings.targets or ():
        if target.name in source:
            continue
        assert model.settings.inputs is not None
        like = source[target.base or model.settings.inputs[0].name].copy(deep=False)
        if target.base is None:
            like.attrs = {k: v for k, v in like.attrs.items() if k == "grid_mapping"}
        if target.name in model.card.units:
            like.attrs = like.attrs | {"units": model.card.units[target.name]}
        source = source.assign({target.name: like})
    return source


def chosen_fields(
    variables: list[str] | str | None, fields: list[str], task: str = SUPERRES
) -> list[str]:
    """Return the variables that were asked for; None asks for all.

    Raises
    ------
    FlexclimError
        If none is named, or there is none of that name.
    """
    if variables is None:
        return fields
    if isinstance(variables, str):
        variables = [variables]
    if not variables:
        raise FlexclimError("variables names none. Leave it out for all that there are.")
    for name in variables:
        if name not in fields:
            raise FlexclimError(
                f"there is no field {name!r} to {VERBS[task]}; there are {', '.join(fields)}."
            )
    return list(variables)


def _check_inputs(
    source: xr.Dataset, inputs: tuple[str, ...], fields: list[str], model: Model
) -> None:
    for name in inputs:
        if name not in fields:
            near = difflib.get_close_matches(name, fields) or fields
            raise ModelError(
                f"model {model.name!r} reads {', '.join(inputs)}, and the input has no field "
                f"{name!r}; it has {', '.join(near) or 'none'}. Rename the one that is meant."
            )
        found, meant = source[name].attrs.get("units"), model.card.units.get(name)
        if found and meant and cf_units(str(found)) != cf_units(meant):
            raise ModelError(
                f"{name!r} is in {found!r}, and model {model.name!r} reads it in {meant!r}. "
                "Convert it first."
            )
