"""Constraints between variables of one request: which apply, and which noise is shared for them."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence

from flexclim.cf.related_variables import DEW_POINT, EXTREMES, NEEDS, Relation, relations_of
from flexclim.errors import FlexclimError
from flexclim.grids.arguments import shown
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import VariableGroup

LOG = logging.getLogger(__name__)
# Correlation between the noise of a variable and of the one that bounds it.
NOISE_CORRELATIONS = {EXTREMES: 1.0, DEW_POINT: 0.7}

Names = bool | str | Sequence[str] | None


def constraint_names(given: Names) -> tuple[str, ...] | None:
    """Check the user's choice of constraints; None: those that apply.

    Raises
    ------
    FlexclimError
        If one is unknown.

    >>> constraint_names("dew_point"), constraint_names(False), constraint_names(None)
    (('dew_point',), (), None)
    """
    if given is None or given is True:
        return None
    if given is False:
        return ()
    names = [given] if isinstance(given, str) else given
    known = ", ".join(NEEDS)
    if not isinstance(names, Sequence):
        raise FlexclimError(
            f"constraints={shown(given)} is not a list of names. Choose from {known}, or give "
            "False for none."
        )
    for name in names:
        if name not in NEEDS:
            near = difflib.get_close_matches(str(name), NEEDS, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {known}."
            raise FlexclimError(f"there is no constraint {shown(name)}. {hint}")
    return tuple(dict.fromkeys(names))


def find_constraints(
    given: Source, groups: Sequence[VariableGroup], wanted: Names = None
) -> list[Relation]:
    """Find the constraints between returned variables; no data is computed.

    Parameters
    ----------
    given
        The source with variables under their own names.
    wanted
        Their names; None: those that apply.

    Raises
    ------
    FlexclimError
        If a named one does not apply.
    """
    returned = {output for group in groups for output in group.outputs.values()}
    found = relations_of(given[name] for name in given.fields if name in returned)
    names = constraint_names(wanted)
    if names is None:
        return found
    for name in names:
        if name not in {relation.constraint for relation in found}:
            raise FlexclimError(
                f"the constraint {name!r} needs {NEEDS[name]}, recognised by standard_name or "
                f"usual names; returned are {', '.join(sorted(returned))}. Leave it out, or name "
                "the variables so."
            )
    return [relation for relation in found if relation.constraint in names]


def shared_noise(
    constraints: Sequence[Relation], groups: Sequence[VariableGroup]
) -> dict[str, tuple[str, float]]:
    """Return for targets that are sampled alone whose noise they share, and the correlation.

    Targets of one model that are sampled together vary together by the model itself.

    Returns
    -------
    dict
        By the model's name of the target: the model's name of the other one.
    """
    alone = {
        g.outputs[g.targets[0]]: g.targets[0]
        for g in groups
        if g.targets == g.returned and len(g.targets) == 1
    }
    return {
        alone[one.moved]: (alone[one.others[0]], NOISE_CORRELATIONS[one.constraint])
        for one in constraints
        if one.constraint in NOISE_CORRELATIONS and {one.moved, one.others[0]} <= alone.keys()
    }
