"""Stores that 0.1.0 began: continued to the same values, though their plans hold less.

Their plans held no bounds and no units. Bounds follow from the values of the store or, where these
don't tell, from the attributes of its variables by the rule of 0.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from flexclim.cf.physical_bounds import NO_BOUNDS, Bounds
from flexclim.cf.quantities import vector_component
from flexclim.cf.times import is_time
from flexclim.cf.units import cf_units
from flexclim.errors import StoreError
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.plan import SamplingPlan
from flexclim.sampling.plane_identity import PlaneIdentities, time_text
from flexclim.stores import Begun, Place

# The settings that a plan of 0.1.0 may hold.
RECORDED = (
    *("model", "model_sha256", "seed", "steps", "sampler", "batch", "device", "precision"),
    *("tiles", "compiled", "static", "factor", "noise", "noise_timescale_seconds", "conserve"),
    *("region", "lead_hours", "past", "input", "members", "times", "keep_bits", "variables"),
)
VERTICAL = "level", "lev", "plev", "pressure_level", "isobaricInhPa", "height", "depth", "altitude"
POSITIVE_STANDARD = (
    r"precipitation|rainfall|snowfall|humidity|mixing_ratio|_speed|^speed|cloud_area_fraction|"
    r"area_fraction|land_binary_mask|mass_fraction|mole_fraction|concentration|_thickness|"
    r"thickness_of|snow_depth|wave_significant_height|significant_height|downwelling|optical_depth|"
    r"atmosphere_mass_content|visibility|runoff"
)
POSITIVE_LONG = (
    r"precipitation|rain(fall)?\b|snowfall|humidity|mixing ratio|wind speed|cloud cover|"
    r"cloud fraction|gust|snow depth|visibility|land.sea mask"
)
POSITIVE_SHORT = (
    r"tp|cp|lsp|sf|pr|prc|prsn|prcp|precip\w*|rain\w*|rr\w?|qpe\w*|apcp\w*|mtpr|tprate|q|hus\w*|"
    r"hur\w*|shum|rh\w*|ws\d*m?|wspd\w*|si10|sfcwind\w*|gust|clt|tcc|lcc|mcc|hcc|tcwv|tcw|swe"
)
POSITIVE_UNITS = ("mm", "mm h-1", "mm d-1", "mm day-1", "%", "kg kg-1", "g kg-1")
SIGNED = r"anomaly|tendency|difference|departure|correlation|error"


def is_older(begun: Begun) -> bool:
    """Return whether a store was begun before plans held the number of the algorithm."""
    return "sampling" not in begun.plan


def check_form(begun: Begun, place: Place) -> None:
    """Raise StoreError if a plan joins the settings of several models in one line."""
    if ": " in str(begun.plan.get("model_sha256")):
        raise StoreError(
            f"{place} was begun by flexclim 0.1.0 with several models, whose settings it recorded "
            "in a form that can't be compared. It can be read, but not continued: give another "
            "name."
        )


def bounds_as_begun(place: Place, non_negative: bool | None) -> dict[str, Bounds]:
    """Return the bounds that variables of a store have, by name: as stated, else as inferred."""
    return {
        name: _bounds(_inferred(name, array) if non_negative is None else non_negative)
        for name, array in _arrays(place).items()
    }


def in_older_form(
    plan: Mapping[str, Any], begun: Begun, place: Place, any_variable: Collection[str]
) -> dict[str, Any]:
    """Return a plan with the settings that 0.1.0 recorded, after a check of the others.

    ``any_variable`` are the outputs of models that infer whether they are vector components.

    Raises
    ------
    StoreError
        If the store's values or attributes show that another setting began it.
    """
    _check_unrecorded(plan, place, any_variable)
    variables = {
        name: kept
        for name, settings in plan.get("variables", {}).items()
        if (kept := _recorded(settings))
    }
    older = _recorded(plan) | ({"variables": variables} if variables else {})
    older |= {"constraints": plan["constraints"]} if "constraints" in plan else {}  # it had none
    return older | {key: begun.plan[key] for key in ("version",) if key in begun.plan}


def _recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in settings.items() if k in RECORDED and k != "variables"}


def _check_unrecorded(plan: Mapping[str, Any], place: Place, any_variable: Collection[str]) -> None:
    for name, array in _arrays(place).items():
        wanted = plan["targets"].get(name)
        if wanted is None:  # a variable that is missing or too many is found later
            continue
        clipped, below = _is_clipped(array), wanted["bounds"]["lower"] is None
        if clipped is not None and clipped is below:
            raise StoreError(
                f"{place} was begun with non_negative={clipped} for {name!r}, as its values show. "
                f"Pass non_negative={clipped} to continue it, or give another name."
            )
        units, now = (cf_units(str(u)) for u in (array.attrs.get("units", ""), wanted["units"]))
        vector = vector_component(xr.DataArray(name=name, attrs=array.attrs.asdict()))
        if units != now or (name in any_variable and vector != wanted["vector"]):
            raise StoreError(
                f"{place} has {name!r} with units {units!r} and long_name "
                f"{str(array.attrs.get('long_name', ''))!r}; the attributes of this input tell "
                f"another quantity (units {now!r}). Give the input with which it was begun, or "
                "another name."
            )


def _arrays(place: Place) -> dict[str, zarr.Array[Any]]:
    """Return the arrays of a store that are divided into shards, those of fields."""
    group = place.group()
    found = {name: group.get(name) for name in place.array_names()}
    return {n: a for n, a in found.items() if isinstance(a, zarr.Array) and a.shards is not None}


def _bounds(non_negative: bool) -> Bounds:
    return Bounds(lower=0.0, stated=True) if non_negative else NO_BOUNDS


def _is_clipped(array: zarr.Array[Any]) -> bool | None:
    """Return whether negative values were raised to 0; None if the first field doesn't show it."""
    values = np.asarray(array[(0,) * (array.ndim - 2)])
    if (values < 0).any():
        return False
    return True if (values == 0).any() and (values > 0).any() else None


def _inferred(name: str, array: zarr.Array[Any]) -> bool:
    """Infer whether values can't be negative: by the values, else by names as 0.1.0 did."""
    if (clipped := _is_clipped(array)) is not None:
        return clipped
    standard = str(array.attrs.get("standard_name", "")).lower()
    long, short = str(array.attrs.get("long_name", "")).lower(), name.lower()
    if long == (standard or short).replace("_", " "):
        long = ""  # added to the output
    if re.search(SIGNED, f"{standard} {long}"):
        return False
    if standard:
        return bool(re.search(POSITIVE_STANDARD, standard))
    if re.search(POSITIVE_LONG, long) or re.fullmatch(POSITIVE_SHORT, short):
        return True
    return not long and cf_units(str(array.attrs.get("units", ""))) in POSITIVE_UNITS


def check_noise(place: Place, field: xr.DataArray, plan: SamplingPlan) -> None:
    """Raise StoreError if 0.1.0 drew other noise for a field, by the first and the last plane."""
    identities = PlaneIdentities(field, plan)
    for end in (0, -1):
        index = {dim: end % field.sizes[dim] for dim in plan.dims[:-2]}
        now, (before, seconds) = identities.at(index), _older_key(field, index)
        for number in plan.member_numbers:
            if (now.place(number=number), now.seconds) != (before, seconds):
                raise StoreError(
                    f"{place} was begun by flexclim 0.1.0, which drew other noise for these "
                    f"coordinates: that of {before!r}, now {now.place(number=number)!r}. It can be "
                    "read, but not continued: give another name."
                )


def check_means(place: Place, plan: object) -> None:
    """Raise StoreError if block means that 0.1.0 conserved had other weights.

    It weighted rows that two blocks of points share by half of the whole row's area.
    """
    if not isinstance(plan, DownscalingPlan) or plan.coarse.kind != "point" or plan.factor % 2:
        return
    names = [repr(target.name) for target in plan.sampling.targets if target.conserve]
    if names:
        raise StoreError(
            f"{place} was begun by flexclim 0.1.0, which weighted the block means of "
            f"{', '.join(names)} otherwise at rows that two blocks share (grid of points, factor "
            f"{plan.factor}). It can be read, but not continued: give another name."
        )


def _older_key(field: xr.DataArray, index: Mapping[str, int]) -> tuple[str, float]:
    """Return the text and the seconds by which 0.1.0 drew the noise of a plane."""
    time = _older_time(field)
    text, seconds, rest = "", 0.0, []
    for name in (*index, *(n for n in field.coords if field[n].ndim == 0)):
        if name not in field.coords:
            rest.append(f"{name}#{index[str(name)]}")
            continue
        coordinate = field[name]
        value = coordinate.values[index[str(name)]] if coordinate.ndim else coordinate.values[()]
        if name == time:
            text, seconds = time_text(value)
        elif name in index or name in VERTICAL:
            number = pd.to_numeric(value, errors="coerce") if not isinstance(value, str) else np.nan
            rest.append(f"{name}={value if pd.isna(number) else format(float(number), 'g')}")
    return f"{text} {' '.join(sorted(rest))}".strip(), seconds


def _older_time(field: xr.DataArray) -> str | None:
    for name, coordinate in field.coords.items():
        own = name in field.dims or (coordinate.ndim == 0 and name == "time")
        if own and is_time(coordinate):
            return str(name)
    return None
