"""Thresholds that differ between places, such as the 95th percentile of each cell."""

from __future__ import annotations

from dataclasses import replace

import xarray as xr

from flexclim.errors import AlignmentError
from flexclim.verify.core.alignment import Pair, same_units
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import check_number

Threshold = float | xr.DataArray


def local_event(pair: Pair, threshold: Threshold) -> tuple[Pair, float]:
    """Return a pair and one number, so that values at or above it are those of the event.

    Parameters
    ----------
    pair
        Forecast and truth.
    threshold
        A number in the forecast's units, or an array of some of the truth's dimensions, such as
        ``truth.quantile(0.95, "time")``. A point without a threshold (NaN) is left out.

    Returns
    -------
    pair, threshold
        As given for a number; for an array the fields minus the array, in float64 so that no
        value changes sides, and 0.

    Raises
    ------
    FlexclimError
        If it is no finite number.
    AlignmentError
        If the array has other dimensions, coordinates or units than the fields.
    """
    limit = local_limit(pair, threshold, "threshold")
    if isinstance(limit, float):
        return pair, limit
    forecast, truth = (
        (field.astype(float) - limit).transpose(*field.dims).assign_attrs(field.attrs)
        for field in (pair.forecast, pair.truth)
    )
    return replace(pair, forecast=forecast, truth=truth.rename(pair.truth.name)), 0.0


def local_limit(
    pair: Pair, limit: Threshold, name: str, *, infinite: bool = False
) -> float | xr.DataArray:
    """Return a limit as a number, or as an array in the units and at the points of ``pair``."""
    return matched_limit(limit, pair.truth, name, "forecast", infinite=infinite)


def matched_limit(
    limit: Threshold, field: xr.DataArray, name: str, role: str, *, infinite: bool = False
) -> float | xr.DataArray:
    """Return a limit as a number, or as an array in the units and at the points of a field."""
    if not isinstance(limit, xr.DataArray):
        return check_number(name, limit, infinite=infinite)
    if limit.ndim == 0:
        return check_number(name, same_units(limit, field, (name, role)), infinite=infinite)
    matched = check_coordinates(as_numbers(limit, name), field, name)
    if extra := [dim for dim in matched.dims if dim not in field.dims]:
        raise AlignmentError(
            f"{name} has the dimension {extra[0]!r}, the fields {field.dims}. Select along it "
            "or average over it."
        )
    matched = same_units(matched, field, (name, role)).astype(float)
    return matched.drop_vars(matched.coords).drop_attrs(deep=False)


def named_threshold(pair: Pair, threshold: Threshold) -> tuple[str, float | str]:
    """Return a threshold in the forecast's units in words, and as an attribute.

    >>> pair = Pair.align(*[xr.DataArray([0.0, 1.0], dims="x")] * 2)
    >>> named_threshold(pair, 0.5), named_threshold(pair, pair.truth)
    (('0.5', 0.5), ('a local threshold', 'local'))
    """
    if isinstance(threshold, xr.DataArray):
        if threshold.ndim:
            return "a local threshold", "local"
        threshold = same_units(threshold, pair.truth, ("threshold", "forecast"))
    return f"{float(threshold):g}", float(threshold)
