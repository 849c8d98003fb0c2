"""Figures of the scores that :func:`flexclim.verify.evaluate` returns, and of the climate.

All functions return axes, draw into ``ax`` if it is given, and work offline.
"""

from flexclim.verify.plot.climate_figures import (
    change_signal,
    diurnal_cycle,
    return_levels,
    seasonal_cycle,
    spells,
)
from flexclim.verify.plot.score_figures import (
    coherence,
    field_map,
    pretty_units,
    quantiles,
    rank_histogram,
    reliability,
    score_map,
    series,
    spectrum,
    spread_error,
    worst_case,
    worst_panels,
)

__all__ = [
    "change_signal",
    "coherence",
    "diurnal_cycle",
    "field_map",
    "pretty_units",
    "quantiles",
    "rank_histogram",
    "reliability",
    "return_levels",
    "score_map",
    "seasonal_cycle",
    "series",
    "spectrum",
    "spells",
    "spread_error",
    "worst_case",
    "worst_panels",
]
