"""The plan that a store was begun with, in the attributes of its root."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flexclim.errors import StoreError
from flexclim.stores.metadata import has_own_codecs
from flexclim.stores.place import Place

PLAN, PLAN_SHA256 = "flexclim_plan", "flexclim_plan_sha256"
# The numbers of members that a store had when it was extended.
BREAKS = "flexclim_breaks"


@dataclass(frozen=True)
class Begun:
    """How an earlier call began a store.

    Parameters
    ----------
    plan
        Everything that determines the values, by name.
    breaks
        The numbers of members that the store had each time it was extended.
    """

    plan: dict[str, Any]
    breaks: tuple[int, ...]


def begun_run(place: Place) -> Begun | None:
    """Return how a store was begun; None if it is not a store of flexclim's.

    Neither is what another program wrote with the attributes of one: it has no shards, or
    other codecs.
    """
    try:
        attributes = place.group().attrs.asdict()
        plan, breaks = (json.loads(str(attributes.get(k, "[]"))) for k in (PLAN, BREAKS))
        ours = PLAN in attributes and has_own_codecs(place)
        return Begun(dict(plan), tuple(breaks)) if ours else None
    except Exception:  # zarr raises many types for a folder that is not a store
        return None


def check_plan(place: Place, plan: Mapping[str, object]) -> None:
    """Raise if a store was begun with another plan; name up to four differences.

    Raises
    ------
    StoreError
        If the plans differ, or flexclim did not begin the store.
    """
    run = begun_run(place)
    if run is None:
        raise StoreError(f"{place} exists, but flexclim did not begin it. Give another name.")
    begun, plan = _flat(run.plan), _flat(plan)
    if differing := sorted(
        key for key in begun.keys() | plan.keys() if begun.get(key) != plan.get(key)
    ):
        listed = "; ".join(
            f"{key} {_short(begun.get(key))}, not {_short(plan.get(key))}" for key in differing[:4]
        )
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise StoreError(
            f"{place} was begun with {listed}{more}. Repeat that request to continue it, "
            "or give another name."
        )


def plan_attributes(plan: Mapping[str, object]) -> dict[str, str]:
    """Return the attributes that hold a plan."""
    text = json.dumps(plan, sort_keys=True)
    return {PLAN: text, PLAN_SHA256: hashlib.sha256(text.encode()).hexdigest()}


def _flat(plan: Mapping[str, object], before: str = "") -> dict[str, object]:
    """Return the settings of a plan by their path.

    >>> _flat({"seed": 0, "targets": {"tp": {"non_negative": True}}})
    {'seed': 0, 'targets tp non_negative': True}
    """
    flat: dict[str, object] = {}
    for key, value in plan.items():
        path = f"{before} {key}".strip()
        flat |= _flat(value, path) if isinstance(value, Mapping) else {path: value}
    return flat


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
