"""The fitted adjustment as a Dataset, to be saved and applied to other scenarios."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import xarray as xr

from flexclim.adjusting.quantile_mapping import Treatment, nodes
from flexclim.adjusting.seasons import MONTHS, Window, check_calendar, iso
from flexclim.adjusting.time_series import Series, check_length
from flexclim.errors import AlignmentError, FlexclimError
from flexclim.grids.arguments import shown

PART, QUANTILE = "part_of_year", "quantile"
REFERENCE, HISTORICAL = "reference", "historical"
SETTINGS = "flexclim_adjustment"
DESCRIBING = "standard_name", "units", "units_metadata", "cell_methods"


@dataclass(frozen=True, kw_only=True)
class FittedVariable:
    """Quantiles (..., part of the year, quantile) of a variable, and how it is treated."""

    reference: xr.DataArray
    historical: xr.DataArray
    treatment: Treatment

    @classmethod
    def of(
        cls,
        field: xr.DataArray,
        treatment: Treatment,
        reference: xr.DataArray,
        historical: xr.DataArray,
    ) -> Self:
        """Describe the quantiles of a field."""
        kept = {key: field.attrs[key] for key in DESCRIBING if key in field.attrs}
        called = field.attrs.get("long_name", field.name)
        tables = [
            table.rename(field.name).assign_attrs(
                {**kept, "long_name": f"quantiles of {called} of the {role}"}
            )
            for role, table in ((REFERENCE, reference), (f"{HISTORICAL} run", historical))
        ]
        return cls(reference=tables[0], historical=tables[1], treatment=treatment)

    @property
    def units(self) -> str:
        """Units of the quantiles."""
        return str(self.historical.attrs.get("units", ""))


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted adjustment.

    Parameters
    ----------
    variables
        By name.
    window
        The samples of which the quantiles are.
    training
        First and last day of the training period, as 19810101.
    calendar
        Of the historical run.
    reference
        What the reference is called.
    """

    variables: Mapping[str, FittedVariable]
    window: Window
    training: tuple[int, int]
    calendar: str
    reference: str

    def variable(self, name: str) -> FittedVariable:
        """Return one variable.

        Raises
        ------
        FlexclimError
            If it was not fitted.
        """
        if name not in self.variables:
            known = ", ".join(map(repr, self.variables))
            raise FlexclimError(
                f"the fitted adjustment has no {name!r}; it has {known}. Choose these with "
                "variables, or fit it too."
            )
        return self.variables[name]

    def to_dataset(self, like: xr.Dataset) -> xr.Dataset:
        """Return the quantiles as a Dataset with the cells of ``like``."""
        arrays = {
            f"{name}_{role}_quantiles": getattr(one, role)
            for name, one in self.variables.items()
            for role in (REFERENCE, HISTORICAL)
        }
        cells = {dim for array in arrays.values() for dim in array.dims}
        kept = {n: c.variable for n, c in like.coords.items() if set(c.dims) <= cells}
        result = xr.Dataset(arrays).assign_coords({**kept, **self._axes()})
        settings = {
            "window": asdict(self.window),
            "training": self.training,
            "calendar": self.calendar,
            "reference": self.reference,
            "treatments": {name: asdict(one.treatment) for name, one in self.variables.items()},
        }
        return result.assign_attrs({SETTINGS: json.dumps(settings), "Conventions": "CF-1.11"})

    def _axes(self) -> dict[str, xr.Variable]:
        """Return the coordinates of parts of the year and quantiles."""
        some = next(iter(self.variables.values())).historical
        long = "month" if self.window.parts == MONTHS else "day of the year"
        return {
            PART: xr.Variable(
                PART, np.arange(1, self.window.parts + 1, dtype=np.int32), {"long_name": long}
            ),
            QUANTILE: xr.Variable(
                QUANTILE,
                nodes(some.sizes[QUANTILE]),
                {"units": "1", "long_name": "quantile"},
            ),
        }

    @classmethod
    def from_dataset(cls, ds: object) -> Self:
        """Read a Dataset of :meth:`to_dataset`.

        Raises
        ------
        FlexclimError
            If it is none.
        """
        text = ds.attrs.get(SETTINGS) if isinstance(ds, xr.Dataset) else None
        if not isinstance(ds, xr.Dataset) or text is None:
            raise FlexclimError(
                f"fitted={shown(ds)} is no fitted adjustment. Pass a Dataset of "
                "flexclim.fit_adjustment, or open the file that it was saved in."
            )
        settings: dict[str, Any] = json.loads(str(text))
        variables = {
            name: FittedVariable(
                reference=ds[f"{name}_{REFERENCE}_quantiles"].rename(name),
                historical=ds[f"{name}_{HISTORICAL}_quantiles"].rename(name),
                treatment=Treatment(**treatment),
            )
            for name, treatment in settings["treatments"].items()
        }
        return cls(
            variables=variables,
            window=Window(**settings["window"]),
            training=tuple(settings["training"]),
            calendar=settings["calendar"],
            reference=settings["reference"],
        )


def check_scenario(series: Series, fitted: Fitted, table: xr.DataArray) -> None:
    """Raise FlexclimError if series are too short, of the wrong years, or lack a dimension.

    ``table`` are quantiles of the variable, of the reference or the historical run.
    """
    for dim, size in table.sizes.items():
        if dim not in (PART, QUANTILE) and series.field.sizes.get(dim) != size:
            raise AlignmentError(
                f"the fitted adjustment of {table.name!r} has {size} along {dim!r}, {series.role} "
                f"{series.field.sizes.get(dim, 'no such dimension')}. Select one of the fit with "
                f".isel({dim}=0), or give a field with the same {dim!r}."
            )
    check_length(series, fitted.window)
    check_calendar(series.times, fitted.window, fitted.calendar)
    last = series.span[1]
    if last < fitted.training[0]:
        raise FlexclimError(
            f"{series.role} ends on {iso(last)}, before the training period begins on "
            f"{iso(fitted.training[0])}. Pass the projection first, and its past as historical."
        )
