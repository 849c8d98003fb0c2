"""Variables that hold together: extremes and means, dew point and temperature, wind speed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import xarray as xr

from flexclim.cf.conversion import Conversion, conversion
from flexclim.cf.units import temperature_kind
from flexclim.cf.variable_names import (
    TEMPERATURE,
    Quantity,
    is_named,
    is_quantity,
    quantity_named,
)

EXTREMES, DEW_POINT, WIND_SPEED = "temperature_extremes", "dew_point", "wind_speed"
# What each constraint needs.
NEEDS = {
    EXTREMES: "a minimum or maximum temperature at 2 m, and the mean or the other extreme",
    DEW_POINT: "a dew point and a temperature at 2 m",
    WIND_SPEED: "a wind speed and both components at 10 or 100 m, none of them a mean over time",
}
STATISTICS = {
    "minimum": ("tasmin", "tmin", "t2min", "t2m_min", "tn", "mn2t", "mn2t3", "mn2t6", "mn2t24"),
    "maximum": ("tasmax", "tmax", "t2max", "t2m_max", "tx", "mx2t", "mx2t3", "mx2t6", "mx2t24"),
    "mean": (*TEMPERATURE, "tg", "tavg", "tmean", "t2m_mean"),
}
IN_TIME = re.compile(r"time: (minimum|maximum|mean|range|standard_deviation|variance)")
HEIGHTS = 10, 100  # of winds, m

Rule = Literal["at_most", "at_least", "speed"]


@dataclass(frozen=True, kw_only=True)
class Relation:
    """How the values of one variable are bound to those of others.

    Parameters
    ----------
    constraint
        Its name, one of ``NEEDS``.
    rule
        Whether ``moved`` is at most the other variable, at least, or the speed of a wind.
    moved
        The variable that is corrected.
    others
        Those that stay as they are: the bound of ``moved``, or the components of the wind.
    conversions
        From the units of each of these to those of ``moved``.
    """

    constraint: str
    rule: Rule
    moved: str
    others: tuple[str, ...]
    conversions: tuple[Conversion, ...]

    def __str__(self) -> str:
        if self.rule == "speed":
            return f"{self.moved} from {' and '.join(self.others)}"
        return f"{self.moved} {'<=' if self.rule == 'at_most' else '>='} {self.others[0]}"


def relations_of(fields: Iterable[xr.DataArray]) -> list[Relation]:
    """Find how fields of equal dimensions are related, by standard names and usual names.

    Where several fields may be meant, none is.

    >>> names = "tasmin", "tas", "tasmax", "tdps"
    >>> fields = [xr.DataArray(0.0, name=name, attrs={"units": "K"}) for name in names]
    >>> [str(relation) for relation in relations_of(fields)]
    ['tasmin <= tas', 'tasmax >= tas', 'tdps <= tas']
    """
    found: list[Relation] = []
    for _, alike in groupby(sorted(fields, key=_dimensions), _dimensions):
        found += _relations_of_alike(list(alike))
    return found


def _dimensions(field: xr.DataArray) -> list[str]:
    return sorted(map(str, field.dims))


def _relations_of_alike(fields: list[xr.DataArray]) -> Iterator[Relation]:
    def only(wanted: Callable[[xr.DataArray], bool]) -> xr.DataArray | None:
        several = [field for field in fields if wanted(field)]
        return several[0] if len(several) == 1 else None

    lowest, mean, highest = (
        only(lambda field, name=name: _temperature(field) == name)  # type: ignore[misc]
        for name in ("minimum", "mean", "maximum")
    )
    dew_point = only(lambda field: is_quantity(field, _quantity("d2m")))
    yield from _relation(EXTREMES, "at_most", lowest, mean)
    yield from _relation(EXTREMES, "at_least", highest, lowest if mean is None else mean)
    yield from _relation(DEW_POINT, "at_most", dew_point, mean)
    for height in HEIGHTS:
        speed, *components = (
            only(lambda field, name=f"{name}{height}": _is_wind(field, name))  # type: ignore[misc]
            for name in ("si", "u", "v")
        )
        yield from _relation(WIND_SPEED, "speed", speed, *components)


def _relation(
    constraint: str, rule: Rule, moved: xr.DataArray | None, *others: xr.DataArray | None
) -> Iterator[Relation]:
    """Yield a relation if all of its fields are there and their units convert."""
    known = [other for other in others if other is not None]
    if moved is None or len(known) < len(others):
        return
    units, *of_others = (str(field.attrs.get("units", "")) for field in (moved, *known))
    conversions = [conversion(have, units) for have in of_others]
    if not any(one is None for one in conversions):
        yield Relation(
            constraint=constraint,
            rule=rule,
            moved=str(moved.name),
            others=tuple(str(other.name) for other in known),
            conversions=tuple(one for one in conversions if one is not None),
        )


def _temperature(field: xr.DataArray) -> str:
    """Return which statistic in time of the temperature at 2 m a field is; empty: it is none.

    Extremes that ``cell_methods`` state overrule the name; means may be means of extremes.
    """
    name = str(field.name).lower()
    stated = set(IN_TIME.findall(str(field.attrs.get("cell_methods", "")))) - {"mean"}
    by_name = {one for one, names in STATISTICS.items() if name in names} or {"mean"}
    (found, *others) = stated or by_name
    known = Quantity(
        standard_names=_quantity("t2m").standard_names,
        names=tuple(short for names in STATISTICS.values() for short in names),
        height_m=2,
    )
    difference = temperature_kind(field.attrs, name) == "difference"
    return found if not (others or difference) and is_named(field, known) else ""


def _is_wind(field: xr.DataArray, name: str) -> bool:
    methods = str(field.attrs.get("cell_methods", ""))
    return "mean" not in IN_TIME.findall(methods) and is_quantity(field, _quantity(name))


def _quantity(name: str) -> Quantity:
    quantity = quantity_named(name)
    assert quantity is not None, name
    return quantity
