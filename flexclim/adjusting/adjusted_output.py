"""Attributes and history of adjusted fields and of fitted adjustments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from flexclim.adjusting.adjustment_options import FitOptions
from flexclim.adjusting.fitted_quantiles import QUANTILE, Fitted, FittedVariable
from flexclim.adjusting.quantile_mapping import nodes
from flexclim.adjusting.seasons import iso
from flexclim.cf.description import with_history
from flexclim.cf.missing_values import DECLARATIONS
from flexclim.cf.related_variables import Relation, relations_of

METHOD = "quantile delta mapping (Cannon et al., 2015, doi:10.1175/JCLI-D-14-00754.1)"

JOINTLY = "{} jointly by MBCn (Cannon, 2018, doi:10.1007/s00382-017-3580-6), through xsdba"


def describe_adjusted(
    fields: Mapping[str, xr.DataArray],
    given: xr.Dataset,
    fitted: Fitted,
    period: int,
    options: FitOptions,
    multivariate: str | None,
) -> xr.Dataset:
    """Return the given Dataset with adjusted fields in the place of its own."""
    variables: dict[str, xr.Variable] = {}
    relations = relations_of(given[name] for name in fields)
    ordered = {one.moved: one for one in relations if one.rule != "speed"}
    for name, field in fields.items():
        attributes = {k: v for k, v in given[name].attrs.items() if k not in DECLARATIONS}
        method = method_of(fitted.variables[name], fitted, period, options.seed)
        if multivariate:
            method = f"{method}; {JOINTLY.format(', '.join(fields))} (seed {options.seed})"
        if relation := ordered.get(name):
            field = _kept_in_order(field, fields[relation.others[0]], relation)
            method = f"{method}; kept {str(relation).removeprefix(name).strip()}"
        variables[name] = xr.Variable(
            given[name].dims,
            field.transpose(*given[name].dims).data,
            {**attributes, "bias_adjustment": method},
        )
    action = f"adjust({', '.join(fields)}; reference: {fitted.reference})"
    return with_history(given.assign(variables), action)


def _kept_in_order(field: xr.DataArray, bound: xr.DataArray, relation: Relation) -> xr.DataArray:
    """Return a field with the values of its bound where it passes that, rounded to its side."""
    sign = 1 if relation.rule == "at_most" else -1
    limit = relation.conversions[0](bound)
    rounded = limit.astype(field.dtype)
    within = np.nextafter(rounded, field.dtype.type(-sign * np.inf))
    rounded = rounded.where(~(sign * rounded > sign * limit), within)
    return field.where(~(sign * field > sign * rounded), rounded)


def method_of(variable: FittedVariable, fitted: Fitted, period: int, seed: int) -> str:
    """Return how a variable was adjusted, in words."""
    treatment = variable.treatment
    count = variable.historical.sizes[QUANTILE]
    outer = nodes(count)[0]
    first, last = map(iso, fitted.training)
    said = [
        f"{METHOD}, {treatment.kind}",
        f"reference {fitted.reference}, {first} to {last}",
        f"{count} quantiles of {fitted.window}",
        f"adjustments beyond the quantiles {outer:g} and {1 - outer:g} are those at these",
        f"values are ranked within {period} years",
    ]
    if treatment.trace:
        said.append(
            f"below {treatment.trace:.6g} {variable.units} is 0, random while mapped (seed {seed})"
        )
    return "; ".join(said)


def describe_fitted(fitted: Fitted, given: xr.Dataset) -> xr.Dataset:
    """Return a fitted adjustment as a Dataset with attributes and history."""
    result = fitted.to_dataset(given)
    return with_history(result, f"fit_adjustment(reference: {fitted.reference})")
