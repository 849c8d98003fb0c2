"""A forecast and its truth on the same points, from which every score is computed.

One rule for missing values serves all scores: a point counts only where the truth and all members
have a value; a NaN in any of them excludes the point.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType
from typing import Literal

import xarray as xr

from flexclim.cf.conversion import Conversion, conversion
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.units import TEMPERATURES, cf_units, temperature_kind
from flexclim.cf.variable_names import is_precipitation
from flexclim.errors import AlignmentError, FlexclimError
from flexclim.verify.core.cell_areas import Variables, area_weights
from flexclim.verify.core.dimension_names import member_dimension, shared_dimensions
from flexclim.verify.core.geometry import Plane, find_plane
from flexclim.verify.core.matching import check_coordinates, match_points
from flexclim.verify.core.members import ensemble_mean
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import show
from flexclim.verify.core.point_weights import check_weights

Weights = Literal["area"] | xr.DataArray | None
Dims = str | Iterable[Hashable] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A forecast and its truth with the same units, coordinates and order of dimensions.

    Parameters
    ----------
    forecast
        (member, ..., y, x), or (..., y, x) for a single field.
    truth
        (..., y, x) in the forecast's units.
    member
        The ensemble dimension; None for a single field.
    variables
        Of the truth's Dataset, if it is in one, which may state the areas of cells.
    """

    forecast: xr.DataArray
    truth: xr.DataArray
    member: str | None
    variables: Variables | None = None

    @classmethod
    def align(
        cls, forecast: xr.DataArray, truth: xr.DataArray, variables: Variables | None = None
    ) -> Pair:
        """Pair two fields, after checking that they describe the same points.

        The forecast gets the truth's names of dimensions, order and coordinates, where these
        differ by rounding alone (:func:`flexclim.verify.core.matching.match_points`). The truth
        is converted to the forecast's units, and values of other types to float32 or float64.

        Raises
        ------
        AlignmentError
            If dimensions, sizes, coordinates or units differ: which, where and by how much.
        FlexclimError
            If a dimension is empty, or values are no numbers, categories or directions.
        """
        forecast, truth = as_numbers(forecast, "forecast"), as_numbers(truth, "truth")
        for field in (forecast, truth):
            check_continuous(field)
        member = member_dimension(forecast)
        truth = _single(truth)
        _check_dimensions(forecast, truth, member)
        forecast, truth = match_points(forecast, truth)
        check_not_empty(forecast)
        order = truth.dims if member is None else (member, *truth.dims)
        forecast = forecast.transpose(*order)
        truth = same_units(truth, forecast)
        return cls(forecast=forecast, truth=truth, member=member, variables=variables)

    @property
    def size(self) -> int:
        """Number of members; 1 for a single field."""
        return 1 if self.member is None else self.forecast.sizes[self.member]

    @property
    def units(self) -> str | None:
        """Units of the fields, where either of them states any."""
        units = self.forecast.attrs.get("units", self.truth.attrs.get("units"))
        return None if units is None else str(units)

    @property
    def lazy(self) -> bool:
        """Whether one of the fields is a dask array."""
        return self.forecast.chunks is not None or self.truth.chunks is not None

    @cached_property
    def plane(self) -> Plane:
        """The horizontal dimensions; raises GridError where there are none."""
        return find_plane(self.truth)

    @cached_property
    def area(self) -> xr.DataArray:
        """Relative areas of cells, of each or of each row."""
        return area_weights(self.truth, self.variables)

    @cached_property
    def mean(self) -> xr.DataArray:
        """The ensemble mean, or the single field; NaN where a member is missing."""
        return ensemble_mean(self.forecast, self.member)

    def need_members(self, least: int = 1) -> str:
        """Return the ensemble dimension.

        Raises
        ------
        FlexclimError
            If there is none, or it has fewer than ``least`` members.
        """
        if self.member is None:
            raise FlexclimError(
                f"no ensemble dimension among {self.forecast.dims}. Name it 'realization', or use "
                "a score of single fields such as verify.mae or verify.rmse."
            )
        if self.size < least:
            raise FlexclimError(
                f"{self.size} member along {self.member!r}, but this score needs at least {least}. "
                "Give a larger ensemble; verify.crps with estimator='ecdf' takes a single member."
            )
        return self.member

    def reduced_dims(self, dim: Dims) -> tuple[Hashable, ...]:
        """Return the dimensions of the truth that ``dim`` names: None all, () none."""
        return reduced_dims(self.truth.dims, dim)

    def point_weights(self, weights: Weights) -> xr.DataArray:
        """Return the weights of the points as an array that broadcasts against the truth.

        Raises
        ------
        AlignmentError
            If a DataArray of weights has other sizes or coordinates than the truth.
        FlexclimError
            If weights are no finite numbers of at least 0.
        """
        if weights is None:
            return xr.DataArray(1.0)
        if isinstance(weights, str):
            if weights != "area":
                raise FlexclimError(
                    f"weights={weights!r} is unknown: use 'area', None or a DataArray."
                )
            return self.area
        matched = check_coordinates(check_weights(weights), self.truth, "weights")
        if extra := [name for name in matched.dims if name not in self.truth.dims]:
            raise AlignmentError(
                f"weights have the dimension {extra[0]!r}, the fields {self.truth.dims}. Select "
                "along it or average over it."
            )
        return matched

    def describe(
        self, text: str, *, units: str | None = None, values: bool = False, **more: object
    ) -> dict[str, object]:
        """Return the attributes of a score: long name, units (the fields' by default), members.

        In units of temperature a score is a difference, unless it consists of ``values``.
        """
        name = self.truth.attrs.get("long_name", self.truth.name)
        attributes: dict[str, object] = {"long_name": f"{text} of {name}" if name else text}
        if units or self.units:
            attributes["units"] = units or self.units
        if not units and not values and cf_units(self.units or "") in TEMPERATURES:
            attributes["units_metadata"] = "temperature: difference"
        if self.member is not None:
            attributes["ensemble_size"] = self.size
        return {**attributes, **more}


def reduced_dims(dims: Sequence[Hashable], dim: Dims) -> tuple[Hashable, ...]:
    """Return the dimensions of ``dims`` that ``dim`` names: None all, () none.

    Raises
    ------
    FlexclimError
        If a named dimension does not exist.
    """
    if dim is None or isinstance(dim, EllipsisType):  # as in xarray
        return tuple(dims)
    wanted = (dim,) if isinstance(dim, str) or not isinstance(dim, Iterable) else tuple(dim)
    if missing := [name for name in wanted if name not in dims]:
        raise FlexclimError(f"no dimension {show(missing[0])}: choose from {tuple(dims)}.")
    return tuple(dict.fromkeys(wanted))


def same_units(
    field: xr.DataArray,
    like: xr.DataArray,
    roles: tuple[str, str] = ("truth", "forecast"),
    *,
    difference: bool = False,
) -> xr.DataArray:
    """Convert ``field`` to the units of ``like``; missing units are assumed to be equal.

    Differences of temperatures, such as anomalies and spreads, are converted without an offset;
    1 kg m-2 of precipitation is 1 mm.

    Parameters
    ----------
    roles
        What the two are called in error messages.
    difference
        Whether ``field`` holds differences of what ``like`` holds.

    Raises
    ------
    AlignmentError
        If the units can't be converted, or one holds temperatures, the other differences.
    """
    have, want = (cf_units(str(one.attrs.get("units", ""))) for one in (field, like))
    kinds = [temperature_kind(one.attrs, str(one.name)) for one in (field, like)]
    water = is_precipitation(field) or is_precipitation(like)
    absolute = conversion(have, want, water=water) if have and want else Conversion()
    if absolute is None:
        raise AlignmentError(
            f"the {roles[1]} is in {want!r}, the {roles[0]} in {have!r}, and neither converts into "
            "the other. Compare the same quantity, or correct the units attribute."
        )
    if absolute.changes_nothing:
        return field
    if absolute.offset and not difference and set(kinds) == {"difference", "on_scale"}:
        differing = roles[kinds.index("difference")]
        raise AlignmentError(
            f"the {roles[1]} is in {want!r}, the {roles[0]} in {have!r}, and the {differing} alone "
            "holds differences of temperatures. Compare the same quantity, or state it in "
            "the attribute units_metadata, 'temperature: on_scale' or 'temperature: difference'."
        )
    difference = difference or "difference" in kinds
    found = conversion(have, want, difference=difference, water=water)
    assert found is not None
    return found(field).assign_attrs({**field.attrs, "units": want})


def _single(truth: xr.DataArray) -> xr.DataArray:
    """Return the truth without an ensemble dimension of one member."""
    member = member_dimension(truth)
    if member is None or truth.sizes[member] == 1:
        return truth if member is None else truth.squeeze(member, drop=True)
    raise AlignmentError(
        f"the truth has an ensemble dimension, {member!r} of {truth.sizes[member]}. Choose one "
        "member with .isel, or swap forecast and truth."
    )


def check_continuous(field: xr.DataArray) -> None:
    """Raise if differences between values of a field have no meaning."""
    properties = FieldProperties.of(field)
    if properties.category and not properties.mask:
        raise FlexclimError(
            f"{field.name!r} holds flags or categories, whose differences have no meaning. Score "
            f"one of them at a time, such as ({field.name} == 1), or leave it out with .drop_vars."
        )
    if properties.period is not None:
        raise FlexclimError(
            f"{field.name!r} is a direction, and 0 is next to {properties.period:.6g}, so that "
            "errors are not differences. Score the eastward and northward components, or leave "
            "it out with .drop_vars."
        )


def _check_dimensions(forecast: xr.DataArray, truth: xr.DataArray, member: str | None) -> None:
    shared = shared_dimensions(forecast, truth)
    others = [name for name in forecast.dims if name != member]
    if len(shared) < len(truth.dims) or len(shared) < len(others):
        raise AlignmentError(
            f"the forecast has dimensions {tuple(others)} apart from its members, the truth "
            f"{tuple(truth.dims)}. Rename, expand or select until they are the same."
        )
    check_not_empty(forecast)


def check_not_empty(field: xr.DataArray) -> None:
    """Raise FlexclimError if a dimension is empty."""
    empty = [name for name in field.dims if field.sizes[name] == 0]
    if empty:
        raise FlexclimError(f"{empty[0]!r} is empty: the selection holds no values to compare.")
