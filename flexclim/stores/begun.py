"""What a store was begun with, in the attributes of its root."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from flexclim.errors import StoreError
from flexclim.stores.place import Place

PLAN, PLAN_SHA256 = "flexclim_plan", "flexclim_plan_sha256"
# While a store is extended: the counts of members from which it grows.
BREAKS = "flexclim_breaks"


@dataclass(frozen=True)
class Begun:
    """What an earlier call began.

    ``breaks`` are the counts of members from which the store grows.
    """

    plan: dict[str, Any]
    breaks: tuple[int, ...]


def begun_run(place: Place) -> Begun | None:
    """Return what a store was begun with; None if there is no store of flexclim."""
    try:
        attributes = place.group().attrs.asdict()
        plan, breaks = (json.loads(str(attributes.get(k, "[]"))) for k in (PLAN, BREAKS))
        return Begun(dict(plan), tuple(breaks)) if PLAN in attributes else None
    except Exception:  # zarr raises many kinds for a folder that is no store
        return None


def check_plan(place: Place, plan: dict[str, Any]) -> None:
    """Refuse a store that this plan did not begin."""
    run = begun_run(place)
    if run is None:
        raise StoreError(f"{place} exists and flexclim did not begin it. Give another name.")
    begun = run.plan
    if differing := sorted(
        key for key in begun.keys() | plan.keys() if begun.get(key) != plan.get(key)
    ):
        told = "; ".join(
            f"{key} {_short(begun.get(key))}, not {_short(plan.get(key))}" for key in differing[:4]
        )
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise StoreError(
            f"{place} was begun with {told}{more}. Ask for the same to continue, or give another "
            "name."
        )


def plan_attributes(plan: dict[str, Any]) -> dict[str, str]:
    """Return the attributes that keep a plan."""
    text = json.dumps(plan, sort_keys=True)
    return {PLAN: text, PLAN_SHA256: hashlib.sha256(text.encode()).hexdigest()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
