"""The channels of a recipe that splits days: each variable at each time of the day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flexclim.models.channels import hours_of, interpolated_at, value_at

if TYPE_CHECKING:
    from flexclim.train.recipes.data_settings import Data


def split_channels(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs and targets of a data section that names variables alone.

    Each becomes one input and one target for each of ``times`` of the day; the target is added to
    the input. Channels that name their time already, as in a resolved recipe, are kept.

    >>> split_channels({"times": 2, "inputs": ["t2m"]})["targets"]
    [{'name': 't2m+00', 'base': 't2m~00'}, {'name': 't2m+12', 'base': 't2m~12'}]
    """
    count, inputs = values["times"], values.get("inputs") or ()
    named = [one if isinstance(one, dict) else {"name": one} for one in inputs]
    alone = [one for one in named if "~" not in str(one.get("name"))]
    if not 1 < count <= 24 or 24 % count or not alone:
        return {}
    pairs = [(one, str(one.get("name")), hour) for one in alone for hour in hours_of(count)]
    return {
        "inputs": [one | {"name": interpolated_at(name, hour)} for one, name, hour in pairs],
        "targets": [
            one | {"name": value_at(name, hour), "base": interpolated_at(name, hour)}
            for one, name, hour in pairs
        ],
    }


def check_times(data: Data) -> None:
    """Raise ValueError if a data section can't split days."""
    if 24 % data.times:
        raise ValueError(f"times {data.times} does not divide the 24 hours of a day")
    if not data.named or data.scaling != "fixed":
        raise ValueError("times needs inputs by name and scaling: fixed")
    if data.forecasts or any(source.coarse or source.predictors for source in data.sources):
        raise ValueError("times goes without forecasts and without coarse partners or predictors")
    if set(data.factors) != {1} or data.points:
        raise ValueError("times splits days, not cells: set factors: {1: 1} and points: 0")
