"""One unit for each variable: that of the first file that states any; others are converted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.quantities import temperature_difference
from flexclim.cf.variable_names import QUANTITIES, is_quantity
from flexclim.errors import FlexclimWarning, RecipeError
from flexclim.train.data.corrected_series import Converted
from flexclim.train.data.series import Series

if TYPE_CHECKING:
    from flexclim.train.data.source_fields import Fields

Attributes = dict[str, object]


def in_units(
    series: Series, attributes: Attributes, wanted: str, place: str, reference: str, name: str
) -> tuple[Series, Attributes]:
    """Return a variable and its attributes in the wanted units; unknown units count as these.

    Parameters
    ----------
    place, reference
        File of the variable, and where the wanted units are from, for messages.

    Raises
    ------
    RecipeError
        If the units can't be converted.
    """
    have = str(attributes.get("units") or "")
    if not have or not wanted:
        return series, attributes
    field = xr.DataArray(name=name, attrs=attributes)
    found = conversion(
        have,
        wanted,
        difference=temperature_difference(field),
        water=any(one.water and is_quantity(field, one) for one in QUANTITIES),
    )
    if found is None:
        raise RecipeError(
            f"{name!r} is in {have!r} in {place} and in {wanted!r} in {reference}, and neither "
            "converts into the other. Convert one of the files, or correct its units."
        )
    if found.changes_nothing:
        return series, attributes
    return Converted(series, found), attributes | {"units": wanted}


def join_units(
    parts: Mapping[str, tuple[Series, Attributes]], name: str
) -> tuple[list[Series], Attributes]:
    """Return a variable of several files, by name, in the same units, and its attributes.

    Raises
    ------
    RecipeError
        If the units can't be converted.
    """
    first_file, (_, first) = next(iter(parts.items()))
    reference = next((file for file, (_, own) in parts.items() if own.get("units")), first_file)
    units = str(parts[reference][1].get("units") or "")
    joined = []
    for file, (series, attributes) in parts.items():
        warn_if_others(first, first_file, attributes, file, name)
        joined.append(in_units(series, attributes, units, file, reference, name)[0])
    return joined, first | ({"units": units} if units else {})


def warn_if_others(
    first: Mapping[str, object], place: str, second: Mapping[str, object], other: str, name: str
) -> None:
    """Warn if two files give a variable different standard names."""
    found = [str(one.get("standard_name") or "unknown") for one in (first, second)]
    if "unknown" not in found and found[0] != found[1]:
        warnings.warn(
            f"{name!r} is {found[0]} in {place} and {found[1]} in {other}. Check that they are "
            "the same quantity.",
            FlexclimWarning,
            stacklevel=2,
        )


@dataclass
class CommonUnits:
    """Units of the variables of all sources, by name; ``places`` tells where they are from."""

    known: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[str, Attributes]] = field(default_factory=dict)

    def convert(self, fields: Fields, bases: Mapping[str, str | None]) -> Fields:
        """Return the variables of a source in the units known so far; new ones become known.

        Parameters
        ----------
        bases
            The variables to convert, each with the input that its residual is added to, which
            has the same units; None: its own.

        Raises
        ------
        RecipeError
            If units can't be converted.
        """
        series, attributes = dict(fields.series), dict(fields.attributes)
        for name, base in bases.items():
            own = attributes[name]
            like = name if base is None or name in self.known else base
            if like in self.known:
                place, others = self.places.get(like, ("the earlier start of this run", {}))
                place = place if like == name else f"{place}, where its base is {like!r}"
                series[name], attributes[name] = in_units(
                    series[name], own, self.known[like], fields.title, place, name
                )
                if like == name:
                    warn_if_others(others, place, own, fields.title, name)
            self.note(name, attributes[name], fields.title)
        return replace(fields, series=series, attributes=attributes)

    def note(self, name: str, attributes: Mapping[str, object], place: str) -> None:
        """Keep the units and other attributes of a variable, unless it is known."""
        if units := attributes.get("units"):
            self.known.setdefault(name, str(units))
            self.places.setdefault(name, (place, dict(attributes)))
