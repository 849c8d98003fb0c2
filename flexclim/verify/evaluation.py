"""All scores of a forecast and its baselines, in one Dataset that can be saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.resampling.rows_and_columns import on_common_rows, with_rows
from flexclim.verify import baselines
from flexclim.verify.core.alignment import Pair, same_units
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import check_number, check_seed
from flexclim.verify.core.scoring import common_variables
from flexclim.verify.judgement import OWN, compute_judgements, join_judgements, judge
from flexclim.verify.metrics.events import event_threshold

RESIDUALS = "bicubic + residuals"


@suggest_options
def evaluate(
    forecast: xr.DataArray | xr.Dataset,
    truth: xr.DataArray | xr.Dataset,
    coarse: xr.DataArray | xr.Dataset | None = None,
    *,
    residuals: xr.DataArray | xr.Dataset | None = None,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Compute all scores that apply to a forecast, and the same scores of its baselines.

    Parameters
    ----------
    forecast, truth
        Fields (realization, ..., y, x) and (..., y, x), or Datasets of them: each variable that
        both have. A forecast without members is scored as a single field. HEALPix and
        unstructured cells are taken to rows and columns first: those of the other field, or of
        about their own spacing.
    coarse
        The field that was downscaled: adds the baselines ``"bilinear"`` and ``"bicubic"``.
    residuals
        Interpolation errors of training fields (:func:`flexclim.verify.residuals`): adds an
        ensemble of bicubic interpolation plus residuals drawn at random, as large as the
        forecast's.
    thresholds
        For each variable the event threshold of Brier score, reliability diagram, ROC curve and
        fractions skill score, in the forecast's units. Default: the 90 per cent quantile of the
        truth, or, where that equals the smallest value (as in dry hours), the median of the larger
        values.
    seed
        Of the random residuals.

    Returns
    -------
    Dataset
        In memory: ``{metric}.{variable}`` along ``candidate``. Errors and scores are kept for each
        time, maps for each cell; :func:`flexclim.verify.summary` averages them. Ready for
        ``to_netcdf`` and ``to_zarr``.

    Raises
    ------
    AlignmentError
        If the grids, times or units of any two fields differ.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> axes = {"lat": np.arange(16.0), "lon": np.arange(16.0)}
    >>> truth = xr.DataArray(rng.normal(size=(16, 16)), axes, name="t")
    >>> forecast = xr.DataArray(rng.normal(size=(4, 16, 16)), axes, ("member", "lat", "lon"))
    >>> scores = evaluate(forecast, truth)
    >>> scores["rmse.t"].dims, scores["rank_histogram.t"].sizes["rank"]
    (('candidate',), 5)
    """
    forecast, truth = on_common_rows(with_plain_attributes(forecast), with_plain_attributes(truth))
    coarse, residuals = (one if one is None else with_rows(one) for one in (coarse, residuals))
    fields = match_variables(forecast, truth)
    events = check_thresholds(thresholds, fields)
    seed = check_seed(seed)
    variables = truth.variables if isinstance(truth, xr.Dataset) else None
    pairs: dict[str, dict[str, Pair]] = {}
    # numbagg, where it is installed, takes longer to compile than these means take.
    with xr.set_options(use_numbagg=False):
        planned = {}
        for name, (mine, observed) in fields.items():
            own = Pair.align(mine, observed, variables)
            base, missed = (select_variable(obj, name) for obj in (coarse, residuals))
            others = gather(own, base, missed, seed)
            pairs[name] = {OWN: own} | {
                label: Pair.align(field, own.truth, variables) for label, field in others.items()
            }
            event = events[name] if name in events else event_threshold(own.truth)
            planned[name] = judge(pairs[name], event)
        judged = dict(zip(planned, compute_judgements([*planned.values()]), strict=True))
        found: dict[str, xr.DataArray] = {}
        for name, (_, observed) in fields.items():
            scores = join_judgements(pairs[name], judged[name])
            scores["crps"].attrs["variable"] = observed.attrs.get("long_name", name)
            found |= {f"{metric}.{name}": values for metric, values in scores.items()}
    given = {"forecast": forecast, "truth": truth, "coarse": coarse, "residuals": residuals}
    return xr.Dataset(found).assign_attrs(
        title="Verification of a forecast",
        variables=" ".join(fields),
        **{f"{n}_from": origin(f) for n, f in given.items() if f is not None and origin(f)},
        **{k: str(v) for k, v in forecast.attrs.items() if str(k).startswith("flexclim_")},
    )


def match_variables(
    forecast: xr.DataArray | xr.Dataset, truth: xr.DataArray | xr.Dataset
) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Return the forecast and the truth of each variable, by name."""
    if isinstance(forecast, xr.DataArray) and isinstance(truth, xr.DataArray):
        name = next((str(f.name) for f in (truth, forecast) if f.name is not None), "field")
        return {name: (forecast, truth.rename(name))}
    return {
        n: (with_positions(forecast, n), with_positions(truth, n))
        for n in common_variables(forecast, truth)
    }


def origin(obj: xr.DataArray | xr.Dataset) -> str:
    """Return the name of the file that ``obj`` was opened from and its title, if known."""
    name = PurePath(str(obj.encoding.get("source", ""))).name
    return ": ".join(text for text in (name, str(obj.attrs.get("title", ""))) if text)


def check_thresholds(
    thresholds: Mapping[str, float] | None, fields: Mapping[str, object]
) -> dict[str, float]:
    """Return the thresholds of events by variable.

    Raises
    ------
    FlexclimError
        If they are not numbers by the names of variables.
    """
    if thresholds is None:
        return {}
    if not isinstance(thresholds, Mapping):
        raise FlexclimError(
            f"thresholds={thresholds!r} does not say of which variable: give a number for each, "
            f"such as {{{next(iter(fields))!r}: 1.0}}."
        )
    if unknown := [name for name in thresholds if name not in fields]:
        raise FlexclimError(f"no variable {unknown[0]!r} for thresholds=: choose from {[*fields]}.")
    return {n: check_number(f"thresholds[{n!r}]", value) for n, value in thresholds.items()}


def select_variable(obj: xr.DataArray | xr.Dataset | None, name: str) -> xr.DataArray | None:
    """Return the variable ``name`` of a Dataset, or the DataArray itself.

    Raises
    ------
    FlexclimError
        If the Dataset has no such variable, or ``obj`` is neither.
    """
    if obj is None or isinstance(obj, xr.DataArray):
        return obj
    if not isinstance(obj, xr.Dataset):
        raise FlexclimError(
            f"coarse fields and residuals are DataArrays or Datasets, not {type(obj).__name__}."
        )
    if name not in obj.data_vars:
        raise FlexclimError(
            f"no {name!r} among {list(obj.data_vars)} of the coarse fields or residuals. Rename "
            "the variable."
        )
    return with_positions(obj, name)


def gather(
    own: Pair, coarse: xr.DataArray | None, residuals: xr.DataArray | None, seed: int
) -> dict[str, xr.DataArray]:
    """Return the baselines of a forecast by name, in its units."""
    if coarse is None:
        if residuals is not None:
            raise FlexclimError("residuals are added to interpolated coarse fields: pass coarse=.")
        return {}
    roles = ("coarse field", "forecast")
    coarse = same_units(as_numbers(coarse, roles[0]), own.forecast, roles)
    candidates = baselines.interpolations(coarse, own.truth)
    if residuals is not None:
        roles = ("array of residuals", "forecast")
        numbers = as_numbers(residuals, roles[0])
        residuals = same_units(numbers, own.forecast, roles, difference=True)
        size = 8 if own.member is None else own.size
        candidates[RESIDUALS] = baselines.residual_ensemble(
            candidates["bicubic"], residuals, size, seed
        )
    return candidates
