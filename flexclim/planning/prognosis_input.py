"""Predictors of a perfect-prognosis model, from any grid to the coarse grid of its target."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from flexclim.cf.fields import NUMBERS, as_dataset
from flexclim.cf.predictor_names import earlier_times, levels_text, on_level, read_name
from flexclim.cf.regridding_weights import find_weights
from flexclim.cf.time_coordinates import find_times
from flexclim.cf.variable_names import is_quantity, quantity_named
from flexclim.errors import ModelError
from flexclim.grids.arguments import check_fields, shown
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.targets import target_of
from flexclim.models.model import Model, read_model
from flexclim.planning.downscaling_plan import DownscalingOptions
from flexclim.planning.model_choice import Choice
from flexclim.planning.output_target import Aim
from flexclim.planning.source import Source, resolve
from flexclim.resampling.regridding import regrid
from flexclim.resampling.rows_and_columns import GridHint
from flexclim.resampling.target_grids import (
    check_covered,
    coarse_grid,
    method_between,
    template_of,
)


@dataclass(frozen=True, kw_only=True)
class Predictors:
    """Fields under a model's names on the coarse grid of a target, and the model's factor."""

    fields: xr.Dataset
    factor: int


def resolve_input(
    obj: xr.Dataset | xr.DataArray,
    hint: GridHint | None,
    static: xr.Dataset | None,
    choice: Choice,
    aim: Aim,
    options: DownscalingOptions,
) -> tuple[Source, DownscalingOptions]:
    """Resolve the input of downscaling; predictors on the coarse grid of their target.

    Raises
    ------
    ModelError, GridError
        As :func:`predictors_for` and :func:`~flexclim.planning.source.resolve` do.
    """
    predictors = predictors_for(obj, choice.model, aim.to)
    if predictors is None:
        return resolve(obj, hint, static, choice.variables), options
    factor = predictors.factor if options.factor is None else options.factor
    return resolve(predictors.fields, None, static), replace(options, factor=factor)


def predictors_for(
    obj: xr.Dataset | xr.DataArray, model: str | Model | None, to: Any
) -> Predictors | None:
    """Bring predictors to the grid and times on which a model reads them; compute nothing lazy.

    Parameters
    ----------
    obj
        Predictors, on one grid or several, with levels along a dimension or in their names.
    model
        As the user gave it.
    to
        The target: an object with its rows and columns.

    Returns
    -------
    Predictors or None
        None if the model is not one of perfect prognosis.

    Raises
    ------
    ModelError
        If a predictor or level is missing, or ``to`` is no grid.
    GridError
        If predictors do not cover the target.
    """
    if model is None:
        return None
    known = model if isinstance(model, Model) else read_model(model)
    settings = known.settings
    if not settings.perfect_prognosis:
        return None
    check_fields(obj)
    ds = with_plain_attributes(obj)
    ds = ds if isinstance(ds, xr.Dataset) else as_dataset(ds)
    if not isinstance(to, xr.Dataset | xr.DataArray):
        raise ModelError(
            f"model {known.name!r} reads predictors on any grid and needs the target's: to="
            f"{shown(to)} has no rows and columns. Pass an object that has them, such as the file "
            "it was trained on or its orography (--to at the shell)."
        )
    (factor,) = settings.factors
    coarse = coarse_grid(template_of(with_plain_attributes(to)), factor, settings.grid)
    assert settings.inputs is not None
    names = [variable.name for variable in settings.inputs]
    given = {name: _given(ds, name, known) for name in names}
    mappings = {name: one for name, one in ds.variables.items() if "grid_mapping_name" in one.attrs}
    fields = {name: _regridded(one, name, mappings, coarse) for name, one in given.items()}
    return Predictors(fields=_at_shared_times(fields, known.name), factor=factor)


def _given(ds: xr.Dataset, name: str, model: Model) -> xr.DataArray:
    """Return a predictor by name, level or meaning, at its own times."""
    wanted = read_name(name)
    field = on_level(ds, wanted.on_level)
    quantity = quantity_named(wanted.variable)
    if field is None and wanted.level is None and quantity is not None:
        alike = [one for one in ds.data_vars.values() if is_quantity(one, quantity)]
        field = alike[0] if len(alike) == 1 else None
    if field is None:
        has = [str(key) for key, one in ds.data_vars.items() if one.dtype.kind in NUMBERS]
        found = levels_text(ds, name) or f"it has {', '.join(has) or 'none'}"
        listed = ", ".join(part.name for part in model.settings.inputs or ())
        raise ModelError(
            f"model {model.name!r} reads {listed}, and the input has no {wanted.on_level!r}: "
            f"{found}. Rename the intended one."
        )
    return _later(field, wanted.lag_hours, name)


def _later(field: xr.DataArray, hours: float, name: str) -> xr.DataArray:
    """Return a field whose values are those of earlier times; times without them are left out."""
    if not hours:
        return field
    dim = find_times(field).valid
    if dim is None or field[dim].dims != (dim,):
        raise ModelError(
            f"{name!r} lies {hours:g} hours before the target, and {field.name!r} has no "
            "dimension of dates. Give it one."
        )
    before = earlier_times(field[dim].values, hours)
    kept = np.flatnonzero(before >= 0)
    if not kept.size:
        raise ModelError(
            f"{name!r} lies {hours:g} hours before the target, and no two times of {field.name!r} "
            "are that far apart. Pass more times."
        )
    return field.isel({dim: before[kept]}).assign_coords({dim: field[dim].isel({dim: kept})})


def _regridded(
    field: xr.DataArray,
    name: str,
    mappings: Mapping[Hashable, xr.Variable],
    coarse: xr.Dataset,
) -> xr.DataArray:
    """Regrid a predictor, by the method that suits its grid."""
    one = field.rename(name).to_dataset().assign(mappings)
    source = cells_of(one, bounds=False)
    target = target_of(coarse, source, bounds=False)
    assert target.cells is not None
    method = method_between(source, target.cells)
    share = find_weights(source, target, method).covered
    check_covered(share, source, f"predictors such as {name!r}", target.cells)
    return regrid(one, coarse, method)[name]


def _at_shared_times(fields: dict[str, xr.DataArray], model: str) -> xr.Dataset:
    """Join predictors at the times that all have."""
    try:
        joined = xr.align(*fields.values(), join="inner")
    except (TypeError, ValueError) as error:  # dates of several calendars
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the predictors of {model!r} have times that do not compare: {reason}. Convert them "
            "to one calendar with .convert_calendar."
        ) from None
    empty = [str(dim) for dim, size in joined[0].sizes.items() if size == 0]
    if empty:
        ranges = "; ".join(
            f"{name} from {field[empty[0]].values[0]} to {field[empty[0]].values[-1]}"
            for name, field in list(fields.items())[:4]
            if field.sizes.get(empty[0])
        )
        raise ModelError(f"the predictors of {model!r} have no {empty[0]} in common: {ranges}.")
    return xr.Dataset(dict(zip(fields, joined, strict=True)))
