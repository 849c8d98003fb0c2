"""Scores of several variables together: errors of vectors, and correlation between variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import AlignmentError, FlexclimError, suggest_options
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.verify.core.alignment import Dims, Pair, Weights, same_units
from flexclim.verify.core.correlation import correlation
from flexclim.verify.core.option_checks import check_choice
from flexclim.verify.core.scoring import drop_inherited
from flexclim.verify.metrics.scores import mae_of, rmse_of

Correlation = Literal["spearman", "pearson"]


@suggest_options
def vector_error(
    forecast: xr.Dataset,
    truth: xr.Dataset,
    vector: Sequence[str],
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Error of vectors such as winds, of the ensemble mean where there are members.

    Parameters
    ----------
    forecast, truth
        Datasets with both components, in any units that convert.
    vector
        Names of the two components, such as ``("u10", "v10")``.
    weights, dim
        As in :func:`flexclim.verify.crps`.

    Returns
    -------
    Dataset
        ``rmse``, the root mean square length of the difference of the vectors, and ``mae``, its
        mean length. A point counts where both components are known.

    Notes
    -----
    Root mean square vector wind error: WMO-No. 485, Manual on the Global Data-processing and
    Forecasting System, appendix 2.2.34.

    >>> truth = xr.Dataset({"u": ("x", [0.0, 0.0]), "v": ("x", [0.0, 0.0])})
    >>> forecast = xr.Dataset({"u": ("x", [3.0, 0.0]), "v": ("x", [4.0, 0.0])})
    >>> found = vector_error(forecast, truth, ("u", "v"))
    >>> float(found.mae), float(found.rmse.round(4))
    (2.5, 3.5355)
    """
    first, second = _pairs(forecast, truth, vector)
    second = replace(
        second,
        forecast=same_units(second.forecast, first.forecast, ("second component", "first")),
        truth=same_units(second.truth, first.truth, ("second component", "first")),
    )
    gaps = [one.mean.astype(float) - one.truth for one in (first, second)]
    length = xr.apply_ufunc(np.hypot, *gaps, dask="parallelized", output_dtypes=[float])
    apart = Pair(
        forecast=length.transpose(*first.truth.dims),
        truth=xr.zeros_like(first.truth),
        member=None,
        variables=first.variables,
    )
    texts = {"rmse": "root mean square vector error", "mae": "mean vector error"}
    name = f"({', '.join(vector)})"
    found = {"rmse": rmse_of(apart, weights, dim), "mae": mae_of(apart, weights, dim)}
    size = {} if first.member is None else {"ensemble_size": first.size}
    units = {} if first.units is None else {"units": first.units}
    return xr.Dataset(
        {
            n: score.drop_attrs(deep=False).assign_attrs(
                long_name=f"{texts[n]} of {name}", **units, **size
            )
            for n, score in found.items()
        }
    )


@suggest_options
def variable_correlation(
    forecast: xr.Dataset,
    truth: xr.Dataset,
    variables: Sequence[str],
    method: Correlation = "spearman",
    dim: Dims = None,
) -> xr.Dataset:
    """Correlation between two variables, in the forecast and in the truth.

    It shows whether variables vary together as they should, such as rain and temperature, which
    scores of single variables do not see.

    Parameters
    ----------
    forecast, truth
        Datasets with both variables.
    variables
        Names of the two variables, such as ``("tas", "pr")``.
    method
        ``"spearman"``, the correlation of ranks, or ``"pearson"``.
    dim
        Dimensions along which values are correlated, in one chunk when computed; None: all. With
        ``"time"`` there is a correlation in each cell.

    Returns
    -------
    Dataset
        ``forecast``, ``truth`` and ``bias``, their difference. Each member's own correlation is
        computed, then averaged over members. Points that any field lacks are left out; NaN where
        fewer than 3 remain or a variable does not vary.

    Notes
    -----
    Wilks (2019), Statistical Methods in the Atmospheric Sciences, 4th ed., section 3.5.3. Bias of
    the multivariable correlation in CORDEX ML-Bench: ``method="pearson"``, ``dim="time"``.

    >>> truth = xr.Dataset({"a": ("time", [1.0, 2.0, 3.0]), "b": ("time", [1.0, 10.0, 100.0])})
    >>> forecast = truth.assign(b=-truth.b)
    >>> found = variable_correlation(forecast, truth, ("a", "b"))
    >>> float(found.forecast), float(found.truth), float(found.bias)
    (-1.0, 1.0, -2.0)
    """
    check_choice("method", method, ("spearman", "pearson"))
    first, second = _pairs(forecast, truth, variables)
    over = list(first.reduced_dims(dim))
    if not over:
        raise FlexclimError(
            f"dim={dim!r} leaves nothing to correlate: name at least one of {first.truth.dims}."
        )
    # One rule for both: a point counts where all four fields have a value.
    known = first.mean.notnull() & second.mean.notnull()
    known &= first.truth.notnull() & second.truth.notnull()

    def correlated(one: xr.DataArray, two: xr.DataArray) -> xr.DataArray:
        lazy = [f.chunk(dict.fromkeys(over, -1)) if f.chunks else f for f in (one, two, known)]
        result: xr.DataArray = xr.apply_ufunc(
            _correlation,
            *lazy,
            input_core_dims=[over] * 3,
            kwargs={"ranks": method == "spearman", "count": len(over)},
            dask="parallelized",
            output_dtypes=[float],
        )
        return result if first.member not in result.dims else result.mean(first.member)

    mine, theirs = (
        correlated(getattr(first, role), getattr(second, role)) for role in ("forecast", "truth")
    )
    found = xr.Dataset({"forecast": mine, "truth": theirs, "bias": mine - theirs})
    names = " and ".join(variables)
    attributes: dict[str, object] = {"units": "1", "method": method}
    if first.member is not None:
        attributes["ensemble_size"] = first.size
    for name, part in found.data_vars.items():
        drop_inherited(part, first.forecast, first.truth)
        text = "bias of the correlation" if name == "bias" else f"correlation in the {name}"
        part.attrs |= {"long_name": f"{text} of {names}", **attributes}
    return found


def _pairs(forecast: xr.Dataset, truth: xr.Dataset, names: Sequence[str]) -> tuple[Pair, Pair]:
    """Align two variables; both pairs have the same points, members and order."""
    for role, ds in (("forecast", forecast), ("truth", truth)):
        if not isinstance(ds, xr.Dataset):
            raise AlignmentError(
                f"the {role} is a {type(ds).__name__}. Give a Dataset that has both variables."
            )
    if isinstance(names, str) or len(names) != 2 or len(set(names)) != 2:
        raise FlexclimError(f"{names!r} are not the names of two variables, such as ('u', 'v').")
    forecast, truth = with_plain_attributes(forecast), with_plain_attributes(truth)
    pairs = []
    for name in names:
        for role, ds in (("forecast", forecast), ("truth", truth)):
            if name not in ds.data_vars:
                raise FlexclimError(f"no {name!r} in the {role}: choose from {[*ds.data_vars]}.")
        fields = with_positions(forecast, name), with_positions(truth, name)
        pairs.append(Pair.align(*fields, truth.variables))
    first, second = pairs
    if first.forecast.sizes != second.forecast.sizes or set(first.truth.dims) != set(
        second.truth.dims
    ):
        raise AlignmentError(
            f"{names[0]!r} has {dict(first.forecast.sizes)}, {names[1]!r} "
            f"{dict(second.forecast.sizes)}. Select the points that both have."
        )
    return first, second


def _correlation(
    first: np.ndarray, second: np.ndarray, known: np.ndarray, ranks: bool, count: int
) -> np.ndarray:
    """Correlate along the last ``count`` axes, where ``known``."""
    shape = np.broadcast_shapes(first.shape, second.shape, known.shape)
    lead = shape[: len(shape) - count]
    valid = np.broadcast_to(known, shape).reshape(*lead, -1)
    left, right = (np.broadcast_to(one, shape).reshape(*lead, -1) for one in (first, second))
    if ranks:
        left, right = (
            stats.rankdata(np.where(valid, one, np.nan), axis=-1, nan_policy="omit")
            for one in (left, right)
        )
    return correlation(left, right, valid)
