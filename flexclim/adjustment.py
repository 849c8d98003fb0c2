r"""Bias adjustment: fields of a model with the distribution of a reference. Start reading here.

    reference -> averaged onto the model's cells \
    historical run ----------------------------- -> quantiles by day of the year -> fitted
    fields -> rank within season and period -> adjustment of that quantile -> CF output

The model's change of each quantile is kept: quantile delta mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import xarray as xr

from flexclim.adjusting import lazy_mapping
from flexclim.adjusting.adjusted_output import describe_adjusted, describe_fitted
from flexclim.adjusting.adjustment_options import (
    FitOptions,
    check_multivariate,
    check_period,
    check_seed,
)
from flexclim.adjusting.fitted_quantiles import Fitted, FittedVariable, check_scenario
from flexclim.adjusting.joint_adjustment import Joint, adjust_jointly
from flexclim.adjusting.matched_series import (
    Fields,
    Model,
    Training,
    check_dimensions,
    check_same_cells,
    like_named,
    resolve_model,
    resolve_reference,
)
from flexclim.adjusting.seasons import AlignOn, window_for
from flexclim.adjusting.time_series import check_length, in_units_of, training_period
from flexclim.adjusting.treatments import treatment_of
from flexclim.cf.fields import pick
from flexclim.cf.times import calendar_of
from flexclim.errors import FlexclimError, suggest_options

T = TypeVar("T", xr.Dataset, xr.DataArray)


@suggest_options
def adjust(
    obj: T,
    *,
    reference: Fields | None = None,
    historical: Fields | None = None,
    fitted: xr.Dataset | None = None,
    variables: list[str] | None = None,
    kind: str | Mapping[str, str] | None = None,
    window: int | str = 31,
    quantiles: int = 50,
    trace: str | None = None,
    align_on: AlignOn | None = None,
    period: int = 30,
    multivariate: str | None = None,
    seed: int = 0,
) -> T:
    """Adjust the distribution of a model's fields to that of a reference.

    Quantile delta mapping (Cannon et al., 2015): the difference or ratio between a quantile of
    the reference and that of the historical run, in the same season, is applied to the same
    quantile of ``obj``. So the change that the model projects of each quantile is kept. Beyond
    the outermost quantiles the adjustment is that of these.

    Parameters
    ----------
    obj
        Daily or monthly fields (time, ...) of a climate model on any grid. The result is lazy if
        they are dask arrays.
    reference
        What the past was like, such as a reanalysis, on the model's grid or a finer one. It is
        averaged onto the model's cells, and its units are converted. Variables are found by name,
        or by standard name and statistic in time.
    historical
        The model's run of the past, on the same cells as ``obj``. Quantiles are those of the
        years that it shares with the reference. Default: ``obj``, if it reaches that far back.
    fitted
        What :func:`fit_adjustment` returned, instead of reference and historical run.
    variables
        Names of the fields to adjust. Default: all that vary in time.
    kind, window, quantiles, trace, align_on
        As for :func:`fit_adjustment`; a fitted adjustment has its own.
    period
        Years in which values of ``obj`` are ranked. Longer series are adjusted in steps of a
        third of it.
    multivariate
        ``"mbcn"``: values are also reordered in time so that variables depend on each other as in
        the reference (Cannon, 2018), through xsdba; it takes some seconds a cell. Default: each
        variable by itself, which keeps the ranks of the model, except that extremes of
        temperature and a dew point get the value of their bound where they pass it.
    seed
        Of the random numbers that take the place of traces of precipitation.

    Returns
    -------
    Dataset or DataArray
        ``obj`` with adjusted values, in its units, calendar and order. NaN where it, the
        reference or the historical run has none. Values below ``trace`` are 0. The attribute
        ``bias_adjustment`` of each variable describes what was done.

    Raises
    ------
    AlignmentError
        If periods share no day, or variables or units don't match.
    GridError
        If no grid is found, cells differ, or the reference is coarser than the model.
    FlexclimError
        If there are too few years, calendars need a rule, an option is invalid, a field holds
        categories or directions or, when values are computed, if some are infinite or undeclared
        fill values.

    Warns
    -----
    FlexclimWarning
        When values are computed, if cells have no reference in a season, or no precipitation in
        the historical run.

    Examples
    --------
    Monthly fields of a model that is 2 K too warm and warms by 3 K:

    >>> import numpy as np
    >>> weather = 280 + np.sin(np.arange(120.0))[:, None, None] + np.zeros((1, 2, 2))
    >>> days = xr.date_range("2000-01-01", periods=120, freq="MS")
    >>> coords = {"time": days, "lat": [46.0, 47.0], "lon": [7.0, 8.0]}
    >>> reference = xr.Dataset({"tas": (tuple(coords), weather, {"units": "K"})}, coords)
    >>> past, future = (reference.assign(tas=reference.tas.copy(data=weather + k)) for k in (2, 5))
    >>> future["time"] = xr.date_range("2050-01-01", periods=120, freq="MS")
    >>> adjusted = adjust(future, reference=reference, historical=past)
    >>> float((adjusted.tas.mean() - reference.tas.mean()).round(1))
    3.0
    """
    check_period(period)
    check_seed(seed)
    model = resolve_model(obj, variables, "the model")
    options = FitOptions(
        kinds=kind, window=window, quantiles=quantiles, trace=trace, align_on=align_on, seed=seed
    )
    if fitted is None:
        past = model
        if historical is not None:
            past = resolve_model(like_named(historical, obj), model.names, "the historical run")
        training = _training(past, reference)
        found = _fit(training, options, model)
    elif reference is None and historical is None:
        training, found = None, Fitted.from_dataset(fitted)
        check_same_cells(model, resolve_model(fitted, [], "the fitted adjustment"))
    else:
        raise FlexclimError(
            "both fitted and what to fit to were given. Pass fitted alone, or reference and "
            "historical."
        )
    arrays = {name: _adjusted(model, name, found, period, seed) for name in model.names}
    if check_multivariate(multivariate):
        arrays = _jointly(arrays, model, training, found, options)
    own = {name: _in_own_units(array, name, model, found) for name, array in arrays.items()}
    lazy = describe_adjusted(own, model.dataset, found, period, options, multivariate)
    result = lazy if model.lazy else lazy.compute()
    return result if isinstance(obj, xr.Dataset) else pick(result, model.names[0]).rename(obj.name)


@suggest_options
def fit_adjustment(
    obj: Fields,
    *,
    reference: Fields,
    variables: list[str] | None = None,
    kind: str | Mapping[str, str] | None = None,
    window: int | str = 31,
    quantiles: int = 50,
    trace: str | None = None,
    align_on: AlignOn | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Fit a bias adjustment once, to save it and apply it to many scenarios.

    Parameters
    ----------
    obj
        The model's run of the past, as ``historical`` of :func:`adjust`.
    reference, variables
        As for :func:`adjust`.
    kind
        ``"additive"`` or ``"multiplicative"``, for all variables or by name. Default: ratios for
        quantities that are never negative and have no upper bound, such as precipitation and wind
        speed, differences for all others.
    window
        Days around each day of the year that form a sample, or ``"month"`` for whole months, as
        monthly fields always have.
    quantiles
        Number of quantiles, in the middles of equal intervals from 0 to 1.
    trace
        Smallest precipitation, with its units, such as ``"0.05 mm d-1"`` (the default). Values
        below get random values between 0 and it before quantiles are taken, which gives adjusted
        fields the reference's number of wet days (Cannon et al., 2015).
    align_on
        How days of a calendar of 360 days correspond to those of others: by month and day
        (``"date"``) or by the fraction of the year that has passed (``"year"``). Other calendars
        correspond by month and day.
    seed
        Of the random numbers that take the place of traces.

    Returns
    -------
    Dataset
        Quantiles of the reference and of the historical run for each part of the year, lazy if
        ``obj`` is; :func:`adjust` takes it as ``fitted``.

    Raises
    ------
    AlignmentError, GridError, FlexclimError
        As for :func:`adjust`.

    Examples
    --------
    >>> import numpy as np
    >>> days = xr.date_range("2000-01-01", "2009-12-01", freq="MS")
    >>> coords = {"time": days, "lat": [46.0, 47.0], "lon": [7.0, 8.0]}
    >>> past = xr.Dataset({"tas": (tuple(coords), np.ones((120, 2, 2)), {"units": "K"})}, coords)
    >>> fit = fit_adjustment(past, reference=past.assign(tas=past.tas.copy(data=past.tas + 1)))
    >>> float(adjust(past, fitted=fit).tas.mean())
    2.0
    """
    past = resolve_model(obj, variables, "the historical run")
    options = FitOptions(
        kinds=kind, window=window, quantiles=quantiles, trace=trace, align_on=align_on, seed=seed
    )
    found = _fit(_training(past, reference), options, past)
    result = describe_fitted(found, past.dataset)
    return result if past.lazy else result.compute()


def _training(past: Model, reference: Fields | None) -> Training:
    """Match a reference to the historical run, over the days they share."""
    if reference is None:
        raise FlexclimError(
            "there is nothing to adjust to. Pass reference, or fitted from flexclim.fit_adjustment."
        )
    truth, called = resolve_reference(reference, past)
    pairs = {}
    for name in past.names:
        read = in_units_of(truth.series(name), past.dataset[name])
        pairs[name] = training_period(read, past.series(name))
    return Training(past=past, pairs=pairs, called=called)


def _fit(training: Training, options: FitOptions, model: Model) -> Fitted:
    """Fit quantiles lazily, in blocks like those of the model."""
    past = training.past
    check_same_cells(model, past)
    options.check_names(past.dataset)
    reference, historical = training.pairs[past.names[0]]
    window = window_for(
        [historical.times, reference.times, model.series(past.names[0]).times],
        options.window,
        options.align_on,
    )
    variables = {}
    for name, pair in training.pairs.items():
        for one in pair:
            check_length(one, window)
            check_dimensions(one, model.series(name))
        treatment = treatment_of(past.dataset[name], options.kind_of(name), options.trace)
        blocks = lazy_mapping.blocks_of(model.series(name))
        tables = [
            lazy_mapping.fit(one, window, treatment, options.quantiles, blocks, options.seed)
            for one in pair
        ]
        variables[name] = FittedVariable.of(past.dataset[name], treatment, *tables)
    return Fitted(
        variables=variables,
        window=window,
        training=historical.span,
        calendar=calendar_of(historical.times),
        reference=training.called,
    )


def _adjusted(model: Model, name: str, fitted: Fitted, period: int, seed: int) -> xr.DataArray:
    """Adjust one field lazily, in the units of the historical run."""
    variable, series = fitted.variable(name), model.series(name)
    for table in (variable.reference, variable.historical):
        check_scenario(series, fitted, table)
    read = in_units_of(series, variable.historical)
    blocks = lazy_mapping.blocks_of(series)
    return lazy_mapping.adjust(read, variable, fitted.window, period, blocks, seed)


def _jointly(
    alone: Mapping[str, xr.DataArray],
    model: Model,
    training: Training | None,
    fitted: Fitted,
    options: FitOptions,
) -> dict[str, xr.DataArray]:
    """Reorder fields that were adjusted one by one."""
    if training is None:
        raise FlexclimError(
            "multivariate='mbcn' needs more than quantiles. Pass reference and historical instead "
            "of fitted."
        )
    joints = [
        Joint(
            reference=training.pairs[name][0],
            historical=training.pairs[name][1],
            fields=in_units_of(model.series(name), fitted.variable(name).historical),
            alone=array,
            treatment=fitted.variable(name).treatment,
        )
        for name, array in alone.items()
    ]
    blocks = lazy_mapping.blocks_of(joints[0].fields)
    arrays = adjust_jointly(joints, options.quantiles, blocks, options.seed)
    return dict(zip(alone, arrays, strict=True))


def _in_own_units(array: xr.DataArray, name: str, model: Model, fitted: Fitted) -> xr.DataArray:
    """Return an adjusted field in the units in which it was given."""
    conversion = in_units_of(
        model.series(name), fitted.variable(name).historical
    ).reading.conversion
    if conversion.changes_nothing:
        return array
    return conversion.inverse(array.astype(float)).astype(array.dtype)
