"""Downscalings that follow on each other: member i of one refines member i of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import dask
import dask.array as da

from flexclim.models.model import keep_loaded
from flexclim.planning.downscaling_plan import (
    DownscalingOptions,
    DownscalingPlan,
    plan_downscaling,
)
from flexclim.planning.member_numbers import member_numbers
from flexclim.planning.model_choice import Choice
from flexclim.planning.plan import Attributes
from flexclim.planning.refinement import Refinement
from flexclim.planning.source import Source, resolve
from flexclim.planning.variable_constraints import find_constraints, shared_noise
from flexclim.planning.variable_groups import (
    VariableGroup,
    with_attributes_of,
    with_matches,
    with_statics,
    with_targets,
)
from flexclim.sampling.downscaling_graph import lazy_members
from flexclim.sampling.healpix_members import on_pixels
from flexclim.sampling.imposed_constraints import constrained
from flexclim.sampling.lazy_planes import lazy_planes
from flexclim.sampling.output import log_precision, warn_of_spacing, warn_of_steps
from flexclim.sampling.part_readers import StaticsReader, means_reader, statics_reader
from flexclim.sampling.planned_ensemble import PlannedEnsemble, describe


def next_source(planned: PlannedEnsemble, given: Source) -> Source:
    """Return the lazy output of a downscaling as the source of the next one.

    ``given`` is the user's source, whose static fields may serve again.
    """
    kind = planned.plans[0].sampling.grid.domain.kind
    return resolve(planned.fields, kind, given.static, planned.returned)


def next_options(
    options: DownscalingOptions, planned: PlannedEnsemble | None, factor: int
) -> DownscalingOptions:
    """Return the options of the next downscaling: members follow from the one before."""
    if planned is None:
        return replace(options, factor=factor)
    given = (field.data for field in planned.inputs.data_vars.values())
    entire = options.entire or not any(map(dask.is_dask_collection, given))
    stage = len(planned.stages)
    return replace(options, factor=factor, stage=stage, entire=entire, members=None)


def next_choice(choice: Choice, groups: Sequence[VariableGroup]) -> Choice:
    """Return the choice for the next downscaling: the same variables."""
    names = [name for group in groups for name in group.outputs.values()]
    return replace(choice, variables=names, static_optional=True)


def with_all_targets(groups: Sequence[VariableGroup]) -> list[VariableGroup]:
    """Return groups that return all that they predict, since the next model may read it."""
    return [replace(group, returned=group.targets) for group in groups]


def plan_stage(
    source: Source,
    groups: list[VariableGroup],
    options: DownscalingOptions,
    run: str,
    earlier: PlannedEnsemble | None,
) -> PlannedEnsemble:
    """Plan one downscaling, and describe the lazy ensemble on rows and columns."""
    assert options.factor is not None
    given = source = with_statics(source, groups, options.factor)
    source = with_matches(source, groups)
    for group in groups:
        source = with_targets(source, group.model)
    constraints = find_constraints(given, groups, options.constraints)
    noise_of = shared_noise(constraints, groups)
    read = [source[name] for group in groups for name in group.inputs]
    options = replace(options, numbers=member_numbers(read, options.members))
    plans = [
        plan_downscaling(source, group.inputs, group.targets, group.model, options, run, noise_of)
        for group in groups
    ]
    warn_of_spacing(plans, groups)
    warn_of_steps(plans, groups)
    log_precision(plans, groups)
    arrays: dict[str, da.Array] = {}
    statics: dict[str, StaticsReader | None] = {}
    for group, plan in zip(groups, plans, strict=True):
        keep_loaded(group.model)  # the graph holds its reference
        if group.model.sha256 not in statics:
            statics[group.model.sha256] = statics_reader(source, plan, group)
        inputs = [source[name] for name in group.inputs]
        readers = statics[group.model.sha256], means_reader(source, plan)
        if plan.blocks is None:
            parts = ([one(part) for part in plan.parts] if one else [] for one in readers)
            members = lazy_members(inputs, plan, *parts)
        else:
            members = lazy_planes(inputs, plan, *readers)
        arrays |= group.restored(members)
    fields = describe(
        with_attributes_of(given, source), arrays, plans, groups, f"downscaled x{options.factor}"
    )
    return PlannedEnsemble(
        source=source,
        fields=fields,
        groups=groups,
        plans=plans,
        follows=tuple(map(str, source.dataset.dims)),
        constraints=constraints,
        earlier=earlier,
    )


def finished(planned: PlannedEnsemble, given: Source, refinement: Refinement) -> PlannedEnsemble:
    """Return members on HEALPix where the input was, with constraints, and their record.

    Parameters
    ----------
    planned
        The last downscaling, on rows and columns.
    given
        The user's source.
    refinement
        The factors of all downscalings.
    """
    plans, groups = cast("Sequence[DownscalingPlan]", planned.plans), planned.groups
    fields = on_pixels(planned.fields, given, plans, groups, refinement.factor)
    fields = constrained(fields, planned.constraints, plans, groups, planned.source.grid)
    attributes: Attributes = {}
    if refinement.reason:
        attributes["flexclim_factor_choice"] = refinement.reason
    if planned.earlier is not None:
        models = (dict.fromkeys(g.model.name for g in stage.groups) for stage in planned.stages)
        pairs = zip(refinement.factors, models, strict=True)
        chain = [f"x{factor} with {' and '.join(names)}" for factor, names in pairs]
        attributes |= {"flexclim_factor": refinement.factor, "flexclim_chain": ", ".join(chain)}
    return replace(planned, fields=fields.assign_attrs(attributes))
