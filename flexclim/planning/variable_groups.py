"""Which variables of a source go through a network together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import dask.array as da
import xarray as xr

from flexclim.errors import FlexclimError, GridError, ModelError
from flexclim.grids.arguments import names_of
from flexclim.models.channels import Static
from flexclim.models.model import Model
from flexclim.models.settings import FORECAST, SUPERRES
from flexclim.planning.bundled_statics import bundled_statics
from flexclim.planning.source import Source, resolve_static
from flexclim.planning.static_matching import matched_statics
from flexclim.planning.static_units import convert_statics, static_units
from flexclim.planning.variable_matching import Match, adopted, match

VERBS = {SUPERRES: "downscale", FORECAST: "forecast"}


@dataclass(frozen=True)
class VariableGroup:
    """Variables that one evaluation of a network reads, predicts and returns.

    Names are the model's. ``matches`` gives for its inputs the fields that they are read from;
    ``reason`` states why this model was chosen; ``requested`` whether the user named it.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    returned: tuple[str, ...]
    model: Model
    reason: str = ""
    requested: bool = False
    matches: Mapping[str, Match] = field(default_factory=dict)

    @property
    def outputs(self) -> dict[str, str]:
        """Names of the returned variables in the output, by the model's names."""
        return {name: self.output(name) for name in self.returned}

    def output(self, target: str) -> str:
        """Return the name of a target in the output: that of its field in the source."""
        return self.matches[target].name if target in self.matches else target

    def restored(self, members: Mapping[str, da.Array]) -> dict[str, da.Array]:
        """Return the members to return, under the names and in the units of the source."""
        return {
            output: self.matches[name].restored(members[name])
            if name in self.matches
            else members[name]
            for name, output in self.outputs.items()
        }


def group_variables(
    source: Source,
    model: Model,
    variables: Sequence[str] | str | None,
    reason: str = "",
    task: str = SUPERRES,
    *,
    requested: bool = False,
) -> list[VariableGroup]:
    """Group the variables that the model reads together: those of its card, else one by one.

    Parameters
    ----------
    variables
        Variables to return. Default: all.
    reason
        Why this model was chosen.
    task
        ``superres`` or ``forecast``; a forecast reads what it predicts.
    requested
        Whether the user named the model.

    Raises
    ------
    ModelError
        If the model was not trained for the task, or the source lacks an input of the model or
        has it in other units.
    FlexclimError
        If a variable does not exist.
    """
    check_task(model, task)
    settings = model.settings
    if settings.inputs is None or settings.targets is None:
        _check_any(source)
        return [
            VariableGroup((name,), (name,), (name,), model, reason, requested)
            for name in select_fields(variables, source.fields)
        ]
    targets = tuple(target.name for target in settings.targets)
    read = settings.targets if task == FORECAST else settings.inputs
    inputs = tuple(variable.name for variable in read)
    matches = _match_inputs(source, inputs, model)
    returned = select_fields(_by_model_names(variables, matches), targets, task)
    return [VariableGroup(inputs, targets, tuple(returned), model, reason, requested, matches)]


def check_task(model: Model, task: str) -> None:
    """Raise ModelError if a model was not trained for a task."""
    if task not in model.settings.tasks:
        (other,) = model.settings.tasks
        raise ModelError(
            f"model {model.name!r} can only {VERBS[other]}. Name one that can {VERBS[task]}; "
            "flexclim.list_models() (flexclim models at the shell) lists what each is for."
        )


def with_targets(source: Source, model: Model) -> Source:
    """Add a template variable for each target that the source lacks, with names and units.

    Attributes and units come from the card; where it has none, attributes are those of the input
    that the target is added to.
    """
    dataset = source.dataset
    for target in model.settings.targets or ():
        if target.name in dataset:
            continue
        assert model.settings.inputs is not None
        template = dataset[target.base or model.settings.inputs[0].name].copy(deep=False)
        own = model.card.attributes.get(target.name)
        if target.base is None or own is not None:
            template.attrs = {k: v for k, v in template.attrs.items() if k == "grid_mapping"}
            template.attrs |= own or {}
        if target.name in model.card.units:
            template.attrs = template.attrs | {"units": model.card.units[target.name]}
        dataset = dataset.assign({target.name: template})
    return source.with_dataset(dataset)


def with_statics(source: Source, groups: Sequence[VariableGroup], factor: int = 1) -> Source:
    """Resolve the static fields that the models of the groups need: the user's, else bundled ones.

    Raises
    ------
    ModelError
        If fields are missing, or were given to a model that takes none.
    GridError
        If the grid of a field is not recognised.
    """
    needed: dict[str, None] = {}
    for group in groups:
        wanted = group.model.settings.statics
        names = [static.name for static in wanted if not static.computed]
        if wanted or group.requested:
            static = available_statics(source, names, factor)
            check_static_names(static, wanted, group.model.name)
            needed |= dict.fromkeys(names)
    static = available_statics(source, needed, factor)
    if static is None:
        return source
    static = convert_statics(static, static_units(group.model for group in groups))
    fields = resolve_static(static, needed, source.grid)
    return replace(source, static=static, static_fields=fields)


def available_statics(source: Source, names: Iterable[str], factor: int) -> xr.Dataset | None:
    """Return static fields for the output: the user's, else bundled ones if these have all."""
    names = list(names)
    if source.static is not None:
        return matched_statics(source.static, names)
    if not names:
        return None
    return bundled_statics(names, source.grid, source.grid.spacing_km / factor)


def check_static_names(static: xr.Dataset | None, wanted: Sequence[Static], model: str) -> None:
    """Raise ModelError if a model's static fields are missing, or it takes none."""
    names = [one.name for one in wanted if not one.computed]
    if static is not None and not names:
        raise ModelError(f"model {model!r} takes no static fields. Leave static out.")
    if static is None and names:
        listed = ", ".join(names)
        raise ModelError(
            f"model {model!r} needs static fields ({listed}). Pass them as static= "
            "(--static at the shell)."
        )
    for name in names:
        assert static is not None
        if name not in static.data_vars:
            has = [str(other) for other in static.data_vars]
            near = difflib.get_close_matches(name, has) or has
            raise ModelError(
                f"static has no {name!r}, which model {model!r} needs; it has "
                f"{', '.join(near) or 'nothing'}. Rename the intended field."
            )


def select_fields(
    variables: Sequence[str] | str | None, fields: Sequence[str], task: str = SUPERRES
) -> list[str]:
    """Return the requested variables, by default all.

    Raises
    ------
    FlexclimError
        If the list is empty, or a variable does not exist.
    """
    if variables is None:
        return list(fields)
    names = names_of(variables) or []
    if not names:
        raise FlexclimError("variables is empty. Leave it out to select all.")
    for name in names:
        if name not in fields:
            raise FlexclimError(
                f"there is no field {name!r} to {VERBS[task]}; there are {', '.join(fields)}."
            )
    return names


def with_matches(source: Source, groups: Sequence[VariableGroup]) -> Source:
    """Return the source with all inputs under the models' names and in their units."""
    return adopted(source, {name: one for group in groups for name, one in group.matches.items()})


def with_attributes_of(given: Source, source: Source) -> Source:
    """Return the source with the attributes of its fields as given, to describe the output."""
    fields = {name: source[name].assign_attrs(given[name].attrs) for name in given.fields}
    variables = {name: field.variable for name, field in fields.items()}
    return source.with_dataset(source.dataset.assign(variables))


def _check_any(source: Source) -> None:
    """Raise if no variable can be downscaled on its own."""
    if source.fields:
        return
    grid, variables = source.grid, source.dataset.data_vars.items()
    kinds = [f"{name} is {field.dtype}" for name, field in variables][:4]
    raise GridError(
        f"no numeric variable has the dimensions {grid.y!r} and {grid.x!r}: "
        f"{', '.join(kinds) or 'there is none'}. Give one as float."
    )


def _match_inputs(source: Source, inputs: Sequence[str], model: Model) -> dict[str, Match]:
    """Find the fields that the model's inputs are read from."""
    matches = {}
    for name in inputs:
        expected = model.card.units.get(name)
        found = match(source, name, expected)
        if found is None:
            near = difflib.get_close_matches(name, source.fields) or source.fields
            raise ModelError(
                f"model {model.name!r} reads {', '.join(inputs)}, and the input has no field "
                f"{name!r}; it has {', '.join(near) or 'none'}. Rename the intended one."
            )
        if found.conversion is None:
            raise ModelError(
                f"{found.name!r} is in {source.units(found.name)!r}, and model {model.name!r} "
                f"reads {name} in {expected!r}. Convert it first."
            )
        matches[name] = found
    return matches


def _by_model_names(
    variables: Sequence[str] | str | None, matches: Mapping[str, Match]
) -> list[str] | None:
    """Return requested variables by the model's names, where they are fields of the source."""
    if variables is None:
        return None
    names = names_of(variables) or []
    by_field = {found.name: name for name, found in matches.items()}
    return [by_field.get(name, name) for name in names]
