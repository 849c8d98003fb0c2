"""A planned ensemble: lazy fields, described, with what they are computed from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dask.array as da
import xarray as xr

from flexclim.cf.description import describe_fields
from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.provenance import provenance
from flexclim.cf.related_variables import Relation
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.output_target import OutputTarget
from flexclim.planning.plan import Attributes
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import VariableGroup
from flexclim.sampling.planes import Plan

CHOICE, TILES = "flexclim_model_choice", "flexclim_tiles"


@dataclass(frozen=True, kw_only=True)
class PlannedEnsemble:
    """Lazy output fields, with the source and the plans that they are computed from.

    Parameters
    ----------
    source, fields
        Input and described output.
    groups, plans
        Variables that are sampled together, and how; in the same order.
    follows
        Dimensions along which a longer source gives a longer output.
    constraints
        Between returned variables.
    earlier
        The ensemble whose members are refined again; None: ``source`` is the user's.
    output
        The target of its fields; None: they lie on the fine grid.
    made_into
        By target, the variable that it became part of; empty: each is a variable of its own.
    also_read
        Variables of ``source`` that are read besides the models' inputs.
    """

    source: Source
    fields: xr.Dataset
    groups: Sequence[VariableGroup]
    plans: Sequence[Plan]
    follows: tuple[str, ...] = ()
    constraints: Sequence[Relation] = ()
    earlier: PlannedEnsemble | None = None
    output: OutputTarget | None = None
    made_into: Mapping[str, str] = field(default_factory=dict)
    also_read: tuple[str, ...] = ()

    @property
    def stages(self) -> list[PlannedEnsemble]:
        """The ensembles of all downscalings, the first one from what the user gave."""
        return [*(self.earlier.stages if self.earlier else ()), self]

    @property
    def inputs(self) -> xr.Dataset:
        """The variables that are read, of what the user gave."""
        first = self.stages[0]
        names = dict.fromkeys(name for group in first.groups for name in group.inputs)
        return first.source.dataset[[*names, *first.also_read]]

    @property
    def returned(self) -> list[str]:
        """The variables that are returned."""
        if self.made_into:
            return list(dict.fromkeys(self.made_into.values()))
        return [name for group in self.groups for name in group.outputs.values()]


def describe(
    source: Source,
    arrays: Mapping[str, da.Array],
    plans: Sequence[Plan],
    groups: Sequence[VariableGroup],
    action: str,
) -> xr.Dataset:
    """Put arrays into a CF dataset with attributes that record how each was made.

    What all variables share stands in the dataset's attributes, what differs in each variable's.
    """
    dims = {
        name: plan.sampling.dims
        for plan, group in zip(plans, groups, strict=True)
        for name in group.outputs.values()
    }
    fields = {
        name: xr.Variable((REALIZATION, *dims[name]), array) for name, array in arrays.items()
    }
    models = dict.fromkeys(group.model.name for group in groups)
    first = plans[0]
    grid = source.grid_for(first.sampling.grid.domain.kind)
    if isinstance(first, DownscalingPlan):
        grid = grid.with_few_corners(first.factor)
    by_variable = attributes_by_variable(plans, groups)
    shared = shared_attributes(by_variable)
    result = describe_fields(
        fields,
        source.dataset,
        first.fine_grid(grid),
        action=f"{action} with {' and '.join(models)}",
        attributes=shared | provenance(),
    )
    for name, attributes in by_variable.items():
        own = {key: value for key, value in attributes.items() if key not in shared}
        # Each DataArray keeps its tiles, which verify.seam reads; they are those of all its cells.
        tiles = json.loads(str(attributes[TILES])) | {"cells": list(result[name].shape[-2:])}
        result[name].attrs |= own | {TILES: json.dumps(tiles)}
    return result


def attributes_by_variable(
    plans: Sequence[Plan], groups: Sequence[VariableGroup]
) -> dict[str, Attributes]:
    """Return for each returned variable the attributes that record how it was made."""
    return {
        group.output(target.name): plan.attributes(target)
        | {CHOICE: f"{group.model.name}: {group.reason}"}
        for plan, group in zip(plans, groups, strict=True)
        for target in plan.sampling.targets
        if target.name in group.returned
    }


def shared_attributes(by_variable: Mapping[str, Attributes]) -> Attributes:
    """Return the attributes with equal values in all variables."""
    first, *others = by_variable.values()
    return {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }
