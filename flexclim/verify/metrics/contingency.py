"""Scores of yes-or-no warnings of an event, from the contingency table of xskillscore."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair
from flexclim.verify.core.local_thresholds import Threshold, local_event
from flexclim.verify.core.option_checks import check_number
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.metrics.probability import describe_event, event_and_probability

SCORES = (
    "hit_rate",
    "false_alarm_ratio",
    "false_alarm_rate",
    "bias_score",
    "threat_score",
    "equit_threat_score",
    "heidke_score",
    "peirce_score",
)


@suggest_options
def contingency(
    forecast: Fields,
    truth: Fields,
    threshold: Threshold,
    probability: float = 0.5,
    dim: Dims = None,
) -> xr.Dataset:
    """Scores of warnings, issued where enough members are at or above ``threshold``.

    Parameters
    ----------
    forecast
        Ensemble, or a single field.
    truth, threshold, dim
        As in :func:`flexclim.verify.brier`; all points count equally.
    probability
        Share of members that triggers a warning.

    Returns
    -------
    Dataset
        ``hit_rate``, ``false_alarm_ratio``, ``false_alarm_rate``, ``bias_score``,
        ``threat_score``, ``equit_threat_score``, ``heidke_score``, ``peirce_score``, as
        :class:`xskillscore.Contingency` defines them.

    Raises
    ------
    FlexclimError
        If ``dim`` names no dimension: a contingency table needs points to count.

    >>> forecast = xr.DataArray([0.0, 2.0, 2.0, 0.0], dims=["point"])
    >>> truth = xr.DataArray([0.0, 3.0, 0.0, 0.0], dims=["point"])
    >>> float(contingency(forecast, truth, threshold=1.0).threat_score)
    0.5
    """
    return score_pairs(contingency_of, forecast, truth, threshold, probability, dim)


def contingency_of(
    pair: Pair, threshold: Threshold, probability: float = 0.5, dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`contingency`."""
    import xskillscore

    shifted, limit = local_event(pair, threshold)
    probability = check_number("probability", probability, 0, 1, above=True)
    over = list(pair.reduced_dims(dim))
    if not over:
        raise FlexclimError(
            f"dim={dim!r} leaves no points to count: name at least one of {pair.truth.dims}."
        )
    event, chance = event_and_probability(shifted, limit)
    edges = np.array([-0.5, 0.5, 1.5])
    table = xskillscore.Contingency(
        event.astype(float),
        (chance >= probability).astype(float).where(chance.notnull()),
        edges,
        edges,
        dim=over,
    )
    attributes = describe_event(pair, "", threshold)
    return xr.Dataset(
        {
            name: getattr(table, name)().assign_attrs(attributes, long_name=name.replace("_", " "))
            for name in SCORES
        }
    ).drop_vars(["observations_category", "forecasts_category"], errors="ignore")
