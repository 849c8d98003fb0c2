"""Figures of the scores that :func:`flexclim.verify.evaluate` returns, and of the climate.

All functions return ``figure, axes`` and draw into ``ax`` if it is given. Figures of their own are
pyplot's: a notebook shows them at the end of the cell, ``plt.show()`` elsewhere.
"""

from flexclim.plotting.unit_labels import pretty_units
from flexclim.verify.plot.climate_figures import (
    change_signal,
    diurnal_cycle,
    return_levels,
    seasonal_cycle,
    spells,
)
from flexclim.verify.plot.score_figures import (
    coherence,
    quantiles,
    rank_histogram,
    reliability,
    series,
    spectrum,
    spread_error,
)
from flexclim.verify.plot.score_maps import field_map, score_map, worst_case, worst_panels

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
