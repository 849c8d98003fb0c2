"""Several sources of the same variables, such as a GCM, its adjustment, and its downscaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.units import cf_units
from flexclim.errors import AlignmentError, FlexclimError
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.verify.climate.precipitation import is_total_precipitation, millimetres_a_day
from flexclim.verify.climate.yearly_series import DAY, fields_of, step_seconds, time_series
from flexclim.verify.core.numbers import as_numbers

Field = xr.DataArray | xr.Dataset
# By variable (empty for DataArrays), then by source: a field.
Fields = dict[str, dict[str, xr.DataArray]]


def by_variable(simulations: Mapping[str, Field], name: str = "simulations") -> Fields:
    """Return the fields of each variable that all sources have.

    Parameters
    ----------
    simulations
        A DataArray for each source, or a Dataset for each.
    name
        What the dictionary is called in error messages.

    Raises
    ------
    FlexclimError
        If it is no dictionary of fields, or empty.
    AlignmentError
        If DataArrays and Datasets are mixed, or no variable is common.
    """
    if not isinstance(simulations, Mapping) or not simulations:
        raise FlexclimError(
            f"{name} is of type {type(simulations).__name__}, or empty. Give a dictionary of "
            "sources, such as {'GCM': field}."
        )
    given = {str(source): with_plain_attributes(one) for source, one in simulations.items()}
    arrays = {source for source, one in given.items() if isinstance(one, xr.DataArray)}
    if len(arrays) == len(given):
        return {"": given}  # type: ignore[dict-item]
    if arrays:
        raise AlignmentError(
            f"{sorted(arrays)[0]!r} is a DataArray, others are Datasets. Give one kind for all."
        )
    names = {source: fields_of(one, source) for source, one in given.items()}
    first = next(iter(names.values()))
    shared = [one for one in first if all(one in others for others in names.values())]
    if not shared:
        listed = "; ".join(f"{source}: {found}" for source, found in names.items())
        raise AlignmentError(f"no variable in common ({listed}). Rename the variables.")
    return {
        one: {source: with_positions(ds, one) for source, ds in given.items()} for one in shared
    }


def comparable(fields: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Return numbers of one variable, with daily precipitation of unlike units all in mm d-1.

    Rates and daily amounts, in mass or in depth, are the same there. Other units are converted
    where maps are joined.

    Raises
    ------
    AlignmentError
        If amounts of precipitation are those of different spans, such as hours and days.
    """
    numbers = {source: as_numbers(one, source) for source, one in fields.items()}
    if len(numbers) == 1 or not all(map(is_total_precipitation, numbers.values())):
        return numbers
    units = {source: cf_units(str(one.attrs.get("units", ""))) for source, one in numbers.items()}
    steps = {source: step_seconds(time_series(one, source)) for source, one in numbers.items()}
    amounts = {s: step for s, step in steps.items() if conversion(units[s], "mm", water=True)}
    if amounts and max(amounts.values()) > 1.2 * min(amounts.values()):
        longest, shortest = (pick(amounts, key=amounts.__getitem__) for pick in (max, min))
        raise AlignmentError(
            f"amounts of {longest!r} are those of {amounts[longest] / 3600:g} h, of {shortest!r} "
            f"of {amounts[shortest] / 3600:g} h. Sum or average them to the same time step first, "
            "for example with .resample(time='1D').sum()."
        )
    if len(set(units.values())) == 1 or any(abs(step - DAY) > 1 for step in steps.values()):
        return numbers
    return {source: millimetres_a_day(one, source) for source, one in numbers.items()}


def joined_variables(parts: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Join results by variable; parts of a named variable are called ``part.variable``."""
    if list(parts) == [""]:
        return parts[""]
    return xr.Dataset(
        {f"{key}.{name}": values for name, part in parts.items() for key, values in part.items()}
    )


def two_periods(simulations: Mapping[str, Sequence[Field]]) -> dict[str, Field]:
    """Return the past and the future of each source, which ``simulations`` gives in pairs.

    Raises
    ------
    FlexclimError
        If a source has no pair of fields.
    """
    if not isinstance(simulations, Mapping) or not simulations:
        return by_variable(simulations)  # type: ignore[return-value,arg-type]
    found: dict[str, Field] = {}
    for source, both in simulations.items():
        if not isinstance(both, list | tuple) or len(both) != 2:
            raise FlexclimError(
                f"{source!r} has no two periods. Give (past, future) for each source."
            )
        found |= {f"{source}, past": both[0], f"{source}, future": both[1]}
    return found
