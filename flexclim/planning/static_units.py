"""Static fields in the units that a model reads them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import xarray as xr

from flexclim.cf.conversion import Conversion, conversion
from flexclim.cf.missing_values import decoded_field
from flexclim.cf.quantities import temperature_difference
from flexclim.cf.units import cf_units
from flexclim.errors import ModelError
from flexclim.models.model import Model

GRAVITY = 9.80665  # m s-2


def convert_statics(static: xr.Dataset, wanted: Mapping[str, str]) -> xr.Dataset:
    """Return static fields in the units wanted, lazily; unknown units count as these.

    Parameters
    ----------
    static
        Fields of any units.
    wanted
        Units by name, of all fields whose units are known.

    Raises
    ------
    ModelError
        If units can't be converted.

    Examples
    --------
    >>> static = xr.Dataset({"orog": ((), 1.5, {"units": "km"})})
    >>> float(convert_statics(static, {"orog": "m"}).orog)
    1500.0
    """
    changed = {}
    for name, units in wanted.items():
        if name not in static.data_vars or not units or not static[name].attrs.get("units"):
            continue
        field = static[name]
        have = str(field.attrs["units"])
        found = conversion(have, units, difference=temperature_difference(field))
        if found is None:
            found = _height_of_geopotential(have, units)
        if found is None:
            raise ModelError(
                f"static field {name!r} is in {have!r}, and the model reads it in {units!r}. "
                "Convert it first, or correct its units."
            )
        if not found.changes_nothing:
            known = decoded_field(field)
            changed[name] = found(known.astype(float)).assign_attrs(known.attrs | {"units": units})
    return static.assign(changed)


def static_units(models: Iterable[Model]) -> dict[str, str]:
    """Return the units in which models read their static fields, by name, as their cards state.

    Raises
    ------
    ModelError
        If models read a field in different units.
    """
    units: dict[str, str] = {}
    for model in models:
        for static in model.settings.statics:
            own = model.card.units.get(static.name)
            if own is None or static.computed:
                continue
            if cf_units(units.setdefault(static.name, own)) != cf_units(own):
                raise ModelError(
                    f"model {model.name!r} reads the static field {static.name!r} in {own!r}, "
                    f"another in {units[static.name]!r}. Select variables of one model with "
                    "variables=."
                )
    return units


def _height_of_geopotential(have: str, wanted: str) -> Conversion | None:
    """Return the conversion of geopotential to height, for such units."""
    potential, height = conversion(have, "m2 s-2"), conversion("m", wanted)
    if potential is None or height is None:
        return None
    return Conversion(potential.scale / GRAVITY * height.scale)
