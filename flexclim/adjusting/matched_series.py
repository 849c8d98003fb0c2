"""Fields of a model, and a reference on its cells under its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import TypeAlias

import dask
import numpy as np
import xarray as xr

from flexclim.adjusting.time_series import Series, series_of
from flexclim.cf.custom_indexes import pandas_indexes
from flexclim.cf.fields import as_dataset, fields_along
from flexclim.cf.times import is_time
from flexclim.cf.units import text_of
from flexclim.cf.variable_names import OTHER_STATISTICS, is_quantity, quantity_named
from flexclim.errors import AlignmentError, FlexclimError, GridError
from flexclim.grids.arguments import check_fields, names_of
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.cells import Cells
from flexclim.resampling.regridding import regrid

Fields: TypeAlias = xr.Dataset | xr.DataArray

# A reference whose cells are wider than the model's by more than this has less detail.
COARSER = 1.2
SAME_PLACE_DEG = 1e-3


def matching_name(ds: xr.Dataset, field: xr.DataArray, dims: Sequence[str]) -> str:
    """Return the variable of a reference that holds the same quantity as a field.

    One of the same name comes first, else the only one of the same standard name or quantity and
    the same statistic in time.

    Raises
    ------
    AlignmentError
        If there is none, or several.
    """
    names = fields_along(ds, dims)
    if field.name in names:
        return str(field.name)
    quantity = quantity_named(str(field.name))
    said = text_of(field.attrs, "standard_name")
    alike = [
        name
        for name in names
        if _statistic(ds[name]) == _statistic(field)
        and (
            (said and text_of(ds[name].attrs, "standard_name") == said)
            or (quantity is not None and is_quantity(ds[name], quantity))
        )
    ]
    if len(alike) == 1:
        return alike[0]
    raise AlignmentError(
        f"the reference has {'several variables' if alike else 'no variable'} for "
        f"{field.name!r}: it holds {', '.join(map(repr, alike or names))}. Rename one with "
        ".rename, or choose others with variables."
    )


def _statistic(field: xr.DataArray) -> str:
    found = OTHER_STATISTICS.search(text_of(field.attrs, "cell_methods"))
    return found[1] if found else ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """Fields of a model, with their cells.

    Parameters
    ----------
    dataset
        What was given.
    cells
        Of its fields.
    names
        The fields that are adjusted.
    role
        What they are called in messages.
    """

    dataset: xr.Dataset
    cells: Cells
    names: tuple[str, ...]
    role: str

    @property
    def lazy(self) -> bool:
        """Whether a field is lazy."""
        return any(dask.is_dask_collection(self.dataset[name].data) for name in self.names)

    def series(self, name: str) -> Series:
        """Return one field as series."""
        return series_of(self.dataset, name, self.cells.dims, self.role)


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """What an adjustment is fitted to.

    Parameters
    ----------
    past
        The historical run.
    pairs
        Series of the reference and of the historical run by variable, of the same days.
    called
        Title of the reference.
    """

    past: Model
    pairs: Mapping[str, tuple[Series, Series]]
    called: str


def resolve_model(
    obj: xr.Dataset | xr.DataArray, variables: Sequence[str] | str | None, role: str
) -> Model:
    """Find the cells and the fields of a model; no data is computed.

    Raises
    ------
    GridError
        If there is no grid.
    FlexclimError
        If a variable is not there, or there is no field.
    """
    check_fields(obj)
    obj = with_plain_attributes(obj)
    ds = as_dataset(obj) if isinstance(obj, xr.DataArray) else obj
    cells = cells_of(ds)
    known = [n for n in fields_along(ds, cells.dims) if ds[n].ndim > len(cells.dims)]
    if not known:
        raise FlexclimError(
            f"{role} has no numbers along time and {' and '.join(map(repr, cells.dims))}. Add a "
            "field, or check its dimensions."
        )
    names = names_of(variables) or known
    for name in names:
        if name not in known:
            raise FlexclimError(
                f"{role} has no field {name!r} in time; it has {', '.join(map(repr, known))}. "
                "Name some of these."
            )
    return Model(dataset=ds, cells=cells, names=tuple(names), role=role)


def like_named(one: Fields, other: Fields) -> Fields:
    """Return a DataArray under the name of another one."""
    if isinstance(one, xr.DataArray) and isinstance(other, xr.DataArray):
        return one.rename(other.name)
    return one


def check_same_cells(here: Model, there: Model) -> None:
    """Raise GridError unless two models have the same cells, along the same dimensions.

    Raises
    ------
    AlignmentError
        If they have other members or levels.
    """
    same = here.cells.dims == there.cells.dims and same_cells(here.cells, there.cells)
    if not same:
        raise GridError(
            f"{here.role} has {here.cells!r}, {there.role} {there.cells!r}, at other places or "
            "under other names. Bring both onto one grid first, with .flex.regrid or .rename."
        )
    _check_same_labels(here, there)


def _check_same_labels(here: Model, there: Model) -> None:
    """Raise AlignmentError unless two models have the same members and levels, in one order."""
    for dim, own in pandas_indexes(here.dataset).items():
        other = pandas_indexes(there.dataset).get(dim)
        if other is None or dim in here.cells.dims:
            continue
        dated = any(is_time(one.dataset[dim]) for one in (here, there))
        if not dated and not own.equals(other):
            raise AlignmentError(
                f"{here.role} and {there.role} have other values of {dim!r}. Select the same with "
                f".sel({dim}=...)."
            )


def check_dimensions(series: Series, model: Series) -> None:
    """Raise AlignmentError if a series has a dimension that the model has not."""
    sizes = model.field.sizes
    for dim in series.field.dims[:-1]:
        if series.field.sizes[dim] != sizes.get(dim):
            raise AlignmentError(
                f"{series.field.name!r} of {series.role} has {series.field.sizes[dim]} along "
                f"{dim!r}, that of the model {sizes.get(dim, 'no such dimension')}. Select one "
                f"with .isel({dim}=0), or average over it."
            )


def resolve_reference(reference: xr.Dataset | xr.DataArray, model: Model) -> tuple[Model, str]:
    """Return a reference on the cells of a model, under its names, and what it is called.

    Raises
    ------
    GridError
        If the reference is coarser than the model.
    AlignmentError
        If it has no variable for a field, or other members or levels.
    """
    check_fields(reference)
    reference = with_plain_attributes(reference)
    ds = as_dataset(reference) if isinstance(reference, xr.DataArray) else reference
    here, there = model.cells, cells_of(ds)
    fields = {name: model.dataset[name] for name in model.names}
    if isinstance(reference, xr.DataArray) and len(fields) == 1:  # chosen, whatever its name
        names = dict.fromkeys(fields, str(next(iter(ds.data_vars))))
    else:
        names = {name: matching_name(ds, field, there.dims) for name, field in fields.items()}
    chosen = ds[list(dict.fromkeys(names.values()))]
    if same_cells(there, here):
        dims = dict(zip(there.dims, here.dims, strict=True))
        found = xr.Dataset({own: _renamed(chosen[name], dims) for own, name in names.items()})
    else:
        _check_detail(there, here)
        regridded = regrid(chosen, model.dataset)
        found = xr.Dataset({own: regridded[name] for own, name in names.items()})
    called = next(
        (str(ds.attrs[k]) for k in ("title", "source", "source_id") if ds.attrs.get(k)), ""
    )
    found = _in_order(found, model.dataset)
    onto = Model(dataset=found, cells=here, names=model.names, role="the reference")
    _check_same_labels(model, onto)
    return onto, shorten(called, 80, placeholder=" ...") or "without a title"


def _in_order(found: xr.Dataset, like: xr.Dataset) -> xr.Dataset:
    """Return a dataset with its members and levels in the order of those of another one."""
    indexes = pandas_indexes(like)
    for dim, own in pandas_indexes(found).items():
        wanted = indexes.get(dim)
        if wanted is None or own.equals(wanted) or len(own) != len(wanted):
            continue
        if own.is_unique and not own.symmetric_difference(wanted).size:
            found = found.isel({dim: own.get_indexer(wanted)})
    return found


def _check_detail(reference: Cells, model: Cells) -> None:
    """Raise GridError if a reference is coarser than a model."""
    wide, fine = (float(np.nanmedian(np.rad2deg(one.spacing))) for one in (reference, model))
    if wide > COARSER * fine:
        raise GridError(
            f"the reference has cells of {wide:.3g} degrees, the model of {fine:.3g}, which is "
            "more detail than the reference knows. Pass a finer reference, or average the model "
            "first, for example with .flex.regrid(reference)."
        )


def _renamed(field: xr.DataArray, dims: dict[str, str]) -> xr.DataArray:
    """Return a field with other names of dimensions, without coordinates along them."""
    plain = field.drop_vars([n for n, c in field.coords.items() if set(c.dims) & set(dims)])
    return plain.rename({old: new for old, new in dims.items() if old != new})


def same_cells(here: Cells, there: Cells) -> bool:
    """Return whether cells lie at the same places, in the same order."""
    if here.shape != there.shape:
        return False
    apart = np.abs(here.latitude - there.latitude), _turn(here.longitude - there.longitude)
    return all(bool((one[~np.isnan(one)] < SAME_PLACE_DEG).all()) for one in apart)


def _turn(degrees: np.ndarray) -> np.ndarray:
    """Return the size of an angle, at most 180 degrees."""
    return np.asarray(np.abs((degrees + 180) % 360 - 180))
