"""Scores of groups of points, such as land and sea, or seasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pandas as pd
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.option_checks import show
from flexclim.verify.core.scoring import common_variables

Score = TypeVar("Score", xr.DataArray, xr.Dataset)


@suggest_options
def by_group(
    score: Callable[..., Score],
    forecast: xr.DataArray | xr.Dataset,
    truth: xr.DataArray | xr.Dataset,
    groups: xr.DataArray,
) -> Score:
    """Score each group of points alone: a rank histogram for land and sea, a spread by season.

    Groups should be known when the forecast is made, such as coarse cells with strong wind. Points
    chosen by their truth, such as gales that happened, make a calibrated forecast look biased.

    Parameters
    ----------
    score
        A score of this package, such as ``verify.rank_histogram`` or ``verify.spread_skill``; with
        options, such as ``functools.partial(verify.brier, threshold=10.0)``.
    forecast, truth
        As the score takes them. Fields of a Dataset without the dimensions of ``groups`` are
        scored whole in each group.
    groups
        Labels (numbers, text or booleans) along any of the truth's dimensions, such as
        ``truth.time.dt.season``, ``truth.time.dt.year`` or a land-sea mask. Points without a label
        (NaN, None) are in no group.

    Returns
    -------
    DataArray or Dataset
        What the score returns, along a dimension named as ``groups``, or ``group``.

    Raises
    ------
    FlexclimError
        If there is no label, or the score takes no forecast and truth.
    AlignmentError
        If the coordinates of ``groups`` are not those of the truth.

    Notes
    -----
    Lerch et al. (2017), Stat. Sci. 32, on groups that depend on the truth.

    >>> from flexclim import verify
    >>> truth = xr.DataArray([0.0, 0.0, 1.0], dims=["cell"])
    >>> sea = xr.DataArray(["land", "sea", "sea"], dims=["cell"], name="surface")
    >>> by_group(verify.mae, xr.zeros_like(truth), truth, sea).to_pandas().to_dict()
    {'land': 0.0, 'sea': 0.5}
    """
    if not callable(score):
        raise FlexclimError(
            f"score={show(score)} is no function. Pass one such as flexclim.verify.crps."
        )
    if not isinstance(groups, xr.DataArray):
        raise FlexclimError(
            f"groups of type {type(groups).__name__} have no dimensions to match: give a DataArray "
            "of labels."
        )
    fields = (
        [truth]
        if isinstance(truth, xr.DataArray)
        else [truth[name] for name in common_variables(forecast, truth)]
    )
    within = [one for one in fields if set(groups.dims) <= set(one.dims)]
    like = (within or fields)[0]
    labels = check_coordinates(groups, like, "groups").compute()
    if extra := [name for name in labels.dims if name not in like.dims]:
        raise FlexclimError(
            f"groups have the dimension {extra[0]!r}, the truth {like.dims}. Select along it."
        )
    order = sorted(pd.unique(labels.values[~pd.isnull(labels.values)]))
    if not order:
        raise FlexclimError("groups hold no label: there is nothing to score.")
    try:
        parts = [score(forecast, _chosen(truth, within, labels == one)) for one in order]
    except TypeError as error:
        raise FlexclimError(
            f"score can't be called with a forecast and a truth: {error}. Pass a function such as "
            "flexclim.verify.crps."
        ) from error
    name = "group" if groups.name is None else groups.name
    joined: Score = xr.concat(parts, pd.Index(order, name=name))
    return joined


def _chosen(
    truth: xr.DataArray | xr.Dataset, fields: Sequence[xr.DataArray], chosen: xr.DataArray
) -> xr.DataArray | xr.Dataset:
    """Return the truth at some points; areas and bounds of a Dataset stay as they are."""
    if isinstance(truth, xr.DataArray):
        return truth.where(chosen)
    return truth.assign({one.name: one.where(chosen) for one in fields})
