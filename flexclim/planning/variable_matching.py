"""Which field of a source a model's variable is, by name or by meaning, and in which units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import dask.array as da
import numpy as np

from flexclim.cf.conversion import Conversion, conversion
from flexclim.cf.missing_values import NOTHING, Declared, decoded_field
from flexclim.cf.times import seconds_of
from flexclim.cf.variable_names import Quantity, is_quantity, quantity_named
from flexclim.execution.cropped_arrays import mapped
from flexclim.planning.source import Source


@dataclass(frozen=True, kw_only=True)
class Match:
    """The field that a model's variable is read from.

    Parameters
    ----------
    name
        Its name in the source.
    conversion
        From the field's units to the model's; None: there is none.
    units
        The model's units; empty: unknown.
    missing
        What the field's attributes declare as missing, in its own units.
    """

    name: str
    conversion: Conversion | None = field(default_factory=Conversion)
    units: str = ""
    missing: Declared = NOTHING

    def restored(self, array: da.Array) -> da.Array:
        """Convert output of the model to the units of the field."""
        if self.conversion is None or self.conversion.changes_nothing:
            return array
        back = self.conversion.inverse
        return mapped(lambda values: back(values.astype(float)).astype(array.dtype), array)


def match(source: Source, name: str, units: str | None) -> Match | None:
    """Find the field that a model's variable can be read from; no data is computed.

    A field of that name comes first, else the only one of the same quantity.

    Parameters
    ----------
    name, units
        Of the model's variable.
    """
    quantity = quantity_named(name)
    if name in source.fields:
        found = name
    else:
        alike = [
            one
            for one in source.fields
            if quantity is not None and is_quantity(source[one], quantity) and source.units(one)
        ]
        if len(alike) != 1 or not _same_period(source, alike[0], quantity):
            return None
        found = alike[0]
    have, properties = source.units(found), source.properties(found)
    if not units or not have:
        return Match(name=found, units=units or "", missing=properties.missing)
    return Match(
        name=found,
        conversion=_conversion(have, units, quantity, properties.difference),
        units=units,
        missing=properties.missing,
    )


def _conversion(
    have: str, want: str, quantity: Quantity | None, difference: bool
) -> Conversion | None:
    water = quantity is not None and quantity.water
    found = conversion(have, want, difference=difference, water=water)
    if found is None and quantity is not None and quantity.hours is not None:
        # A rate, of which the model reads the amount in its period.
        found = conversion(have, f"{want} h-1", water=water)
        found = found and Conversion(found.scale * quantity.hours)
    return found


def _same_period(source: Source, name: str, quantity: Quantity | None) -> bool:
    """Return whether the time step of a field is the accumulation period of a quantity."""
    if quantity is None or quantity.hours is None:
        return True
    times = source.times[name]
    dates = times.valid_times(source[name]).values.ravel() if times.dated else np.array([])
    return dates.size > 1 and bool(np.diff(seconds_of(dates[:2])) == 3600 * quantity.hours)


def adopted(source: Source, matches: dict[str, Match]) -> Source:
    """Return the source with fields of the model's names and units; no data is computed."""
    added = {}
    for name, found in matches.items():
        if found.name == name and (found.conversion is None or found.conversion.changes_nothing):
            continue
        original = source[found.name]
        assert found.conversion is not None
        values = original
        if not found.conversion.changes_nothing:
            # Codes of missing values hold for the units of the file.
            original = decoded_field(original, (source.grid.y, source.grid.x))
            values = found.conversion(original)
        values = values.astype(np.result_type(original.dtype, np.float32))
        units = {"units": found.units} if found.units else {}
        added[name] = values.assign_attrs(original.attrs | units)
    if not added:
        return source
    times = {name: source.times[found.name] for name, found in matches.items()}
    return replace(source, dataset=source.dataset.assign(added), times={**source.times, **times})
