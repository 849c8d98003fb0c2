"""Climate of years of fields: change signals, cycles, extremes and spells, side by side.

Other than the scores of :mod:`flexclim.verify`, these functions need no pairs: simulations may
have calendars, periods and grids of their own.
"""

from flexclim.verify.climate.change_signal import change_signal, describe_signal
from flexclim.verify.climate.climate_scores import evaluate
from flexclim.verify.climate.climatology import climatology
from flexclim.verify.climate.cycles import diurnal_cycle, seasonal_cycle
from flexclim.verify.climate.indices import days_above, indices
from flexclim.verify.climate.return_levels import return_levels
from flexclim.verify.climate.spells import spells

__all__ = [
    "change_signal",
    "climatology",
    "days_above",
    "describe_signal",
    "diurnal_cycle",
    "evaluate",
    "indices",
    "return_levels",
    "seasonal_cycle",
    "spells",
]
