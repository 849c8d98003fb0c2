"""The plan of a store: everything that determines its values, so that no other request extends it.

What is compared are decisions, such as whether a variable is non-negative, not the names and
options that led to them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from flexclim import stores
from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.missing_values import NOTHING
from flexclim.cf.physical_bounds import Bounds
from flexclim.cf.units import cf_units
from flexclim.errors import warn
from flexclim.planning.downscaling_plan import DownscalingOptions
from flexclim.planning.elevations import OROGRAPHY
from flexclim.planning.output_target import OutputTarget
from flexclim.planning.plan import Attributes
from flexclim.planning.sampling_options import SamplingOptions
from flexclim.sampling.older_stores import (
    bounds_as_begun,
    check_form,
    check_means,
    check_noise,
    in_older_form,
    is_older,
)
from flexclim.sampling.planned_ensemble import (
    CHOICE,
    PlannedEnsemble,
    attributes_by_variable,
    shared_attributes,
)
from flexclim.stores.identity import identity_of

R = TypeVar("R", bound=SamplingOptions)

# The number of the sampling algorithm: raised when equal requests give other values, beyond
# rounding. A store of another number is not continued.
SAMPLING = 1


def store_plan(planned: PlannedEnsemble, keep_bits: int | None) -> dict[str, Any]:
    """Return everything that determines the values in a store."""
    time = stores.time_dimension(planned.fields)
    plan: dict[str, Any] = _made_by(planned) | {
        "sampling": SAMPLING,
        "input": _input_identity(planned),
        "members": planned.fields.sizes[REALIZATION],
        "times": planned.fields.sizes[time] if time else 1,
        "keep_bits": keep_bits,
        "grid": _grid_settings(planned),
        "inputs": _input_settings(planned),
        "targets": _target_settings(planned),
    }
    for number, stage in enumerate(planned.stages[:-1], 1):
        # A store is continued with the batch of its last downscaling in all.
        made = {key: value for key, value in _made_by(stage).items() if key != "batch"}
        plan[f"downscaling {number}"] = made
    if planned.output is not None:
        plan["target"] = _output_settings(planned.output)
    return plan


def _made_by(planned: PlannedEnsemble) -> dict[str, Any]:
    """Return how one downscaling or forecast makes its values, apart from its input."""
    by_variable = attributes_by_variable(planned.plans, planned.groups)
    shared = shared_attributes(by_variable)
    made: dict[str, Any] = _settings(shared)
    own = {
        name: {key: value for key, value in attributes.items() if key not in shared}
        for name, attributes in by_variable.items()
    }
    if variables := {name: _settings(one) for name, one in own.items() if _settings(one)}:
        made["variables"] = variables
    if planned.constraints:
        made["constraints"] = {str(one): one.constraint for one in planned.constraints}
    if fields := planned.source.static_fields:
        assert planned.source.static is not None
        plane_dims = {dim for static in fields.values() for dim in (static.grid.y, static.grid.x)}
        made["static"] = identity_of(planned.source.static[list(fields)], plane_dims)
    return made


def _output_settings(output: OutputTarget) -> dict[str, Any]:
    """Return what determines the values on a target."""
    found: dict[str, Any] = {"is": output.target.text, "hash": output.target.fingerprint}
    if (lapse := output.lapse) is not None:
        own = lapse.orography
        orography = own.field.to_dataset(name=OROGRAPHY).reset_coords(drop=True)
        found |= {
            "lapse_rate": lapse.rate,
            "elevation": hashlib.sha256(lapse.elevation.tobytes()).hexdigest(),
            "orography": identity_of(orography, {own.grid.y, own.grid.x}),
        }
    return found


def as_begun(options: R, begun: stores.Begun, place: stores.Place, time: str | None) -> R:
    """Fill options from the existing store, so that values stay equal.

    These are those of forward passes, such as their precision, the bounds of variables, which
    attributes that were lost on the way do not tell, constraints between variables, and the time
    scale of AR(1) noise of stores that have no other share of it. ``time`` is the dimension along
    which a longer input extends the store.
    """
    plan = begun.plan
    batch, members, times = (plan.get(name) for name in ("batch", "members", "times"))
    if options.batch is None and isinstance(batch, int):
        options = replace(options, batch=batch)
    if isinstance(options, DownscalingOptions) and options.constraints is None:
        named = tuple(dict.fromkeys(plan.get("constraints", {}).values()))
        options = replace(options, constraints=named)
    if isinstance(options, DownscalingOptions):
        options = replace(options, known_timescales=_timescales(plan))
    options = replace(options, known_precisions=_precisions(plan))
    if options.compile is None:
        options = replace(options, compile=plan.get("compiled") == "true")
    if is_older(begun):
        check_form(begun, place)
        bounds = bounds_as_begun(place, options.non_negative)
    else:
        targets = plan.get("targets", {})
        bounds = {name: Bounds(**one["bounds"]) for name, one in targets.items()}
    breaks = (*begun.breaks, members) if isinstance(members, int) else begun.breaks
    held = {time: times} if time is not None and isinstance(times, int) else {}
    return replace(options, breaks=breaks, held=held, known_bounds=bounds)


def _precisions(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the precision that each model computes in, by its SHA-256."""
    found = {}
    for made in _downscalings(plan):
        for own in made.get("variables", {"": {}}).values():
            settings = {**made, **own}
            if {"model_sha256", "precision"} <= settings.keys():
                found[settings["model_sha256"]] = settings["precision"]
    return found


def _downscalings(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the settings of each downscaling, in order; of a forecast, its own."""
    return [*(plan[key] for key in plan if key.startswith("downscaling ")), plan]


def _timescales(plan: Mapping[str, Any]) -> dict[int, float]:
    """Return the time scale of AR(1) noise of each downscaling, if there is no other share of it.

    Variables that differ in it, or in its shares, have those of their model's card.
    """
    found = {}
    for stage, one in enumerate(_downscalings(plan)):
        parts = one, *one.get("variables", {}).values()
        seconds = one.get("noise_timescale_seconds")
        if seconds is not None and not any("noise_constant_share" in part for part in parts):
            found[stage] = seconds
    return found


def plan_so_far(
    plan: dict[str, Any], begun: stores.Begun, planned: PlannedEnsemble, place: stores.Place
) -> dict[str, Any]:
    """Return the plan of the members and times that a store already holds."""
    first: dict[str, slice] = {}
    sizes = {"members": REALIZATION, "times": stores.time_dimension(planned.fields)}
    for name, dim in sizes.items():
        count = begun.plan.get(name)
        if isinstance(count, int) and 0 < count < plan[name]:
            plan = plan | {name: count}
            if dim in planned.follows:
                first[str(dim)] = slice(count)
    if first:
        plan = plan | {"input": _input_identity(planned, first)}
    if plan["input"] != begun.plan.get("input"):
        # Times may have been stored in another resolution when the store was begun.
        forms = itertools.product(
            ("ns", "us", "ms", "s", None), (False, True)[: 1 + is_older(begun)]
        )
        others = (_input_identity(planned, first, *form) for form in forms)
        same = [one for one in others if one == begun.plan.get("input")]
        plan = plan | {"input": same[0]} if same else plan
    if is_older(begun):
        plan = _as_older(plan, begun, planned, place)
    return plan


def _as_older(
    plan: dict[str, Any], begun: stores.Begun, planned: PlannedEnsemble, place: stores.Place
) -> dict[str, Any]:
    """Return a plan in the form of an older store, if that was begun in the same way."""
    for each in planned.plans:
        check_means(place, each)
        check_noise(place, planned.source[each.sampling.inputs[0]], each.sampling)
        for target in each.sampling.targets:
            today = planned.source.properties(target.name).bounds
            if today.upper is not None and target.bounds.upper is None:
                warn(
                    f"{place} was begun by flexclim 0.1.0, which did not limit {target.name!r} to "
                    f"{today.upper:g}; nor is it limited in what is added. Begin a new store to "
                    "limit it."
                )
    groups = [group for group in planned.groups if group.model.settings.inputs is None]
    any_variable = {name for group in groups for name in group.outputs.values()}
    return in_older_form(plan, begun, place, any_variable)


def _settings(attributes: Attributes) -> Attributes:
    """Return attributes as settings of a store's plan."""
    return {
        key.removeprefix("flexclim_"): value for key, value in attributes.items() if key != CHOICE
    }


def _grid_settings(planned: PlannedEnsemble) -> dict[str, Any]:
    """Return what areas and neighbours of cells depend on, besides coordinates."""
    grid = planned.stages[0].plans[0].sampling.grid
    domain = grid.domain
    settings = {
        "kind": domain.kind,
        "wrap": domain.wrap,
        "north": domain.north,
        "south": domain.south,
        "units": grid.units,
    }
    # Means of curvilinear cells had equal weights once.
    curvilinear = grid.y_values is None and domain.kind == "cell"
    return settings | ({"areas": "of cells"} if curvilinear else {})


def _input_settings(planned: PlannedEnsemble) -> dict[str, Any]:
    """Return the units of inputs, and what attributes declare as missing, by name."""
    found: dict[str, dict[str, Any]] = {}
    planned = planned.stages[0]
    for plan, group in zip(planned.plans, planned.groups, strict=True):
        for name, properties in zip(plan.sampling.inputs, plan.sampling.properties, strict=True):
            found[name] = {"units": cf_units(planned.source.units(name) or "")}
            # Fields in other units than the model's were decoded before they were converted.
            missing = group.matches[name].missing if name in group.matches else properties.missing
            if missing.codes or missing.valid != NOTHING.valid:
                found[name]["missing"] = dataclasses.asdict(missing)
    return found


def _target_settings(planned: PlannedEnsemble) -> dict[str, Any]:
    """Return how each returned variable is finished, by name in the output."""
    found = {}
    for plan, group in zip(planned.plans, planned.groups, strict=True):
        channels = plan.sampling.settings.targets or ()
        for target, channel in zip(plan.sampling.targets, channels, strict=True):
            if target.name in group.returned:
                name = group.output(target.name)
                settings = dataclasses.asdict(target)
                del settings["name"]
                if target.noise_of is None:  # so that plans are those of earlier versions
                    del settings["noise_of"]
                shown = planned.fields.get(planned.made_into.get(name, name))
                if shown is None:
                    continue
                units = str(shown.attrs.get("units", ""))
                found[name] = settings | {"vector": channel.vector, "units": units}
    return found


def _input_identity(
    planned: PlannedEnsemble,
    part: Mapping[str, slice] | None = None,
    resolution: str | None = None,
    by_attributes: bool = False,
) -> str:
    grid = planned.stages[0].source.grid
    plane_dims = grid.y, grid.x
    return identity_of(
        planned.inputs, plane_dims, part, resolution=resolution, by_attributes=by_attributes
    )
