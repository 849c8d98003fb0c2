"""Bounds that values of a quantity keep: at least 0, and at most 1 or 100 for fractions.

Names and units tell which bounds a quantity has; the values of a coarse field decide whether it is
that quantity. A difference, such as an anomaly, often keeps the names and units of its terms.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from flexclim.cf.units import CORRECTED, SPREAD_METHODS

# Patterns are searched in standard and long names; short names must match as a whole.
POSITIVE_STANDARD = re.compile(
    r"precipitation|rainfall|snowfall|humidity|mixing_ratio|_speed|^speed|cloud_area_fraction|"
    r"area_fraction|binary_mask|mass_fraction|mole_fraction|volume_fraction|concentration|"
    r"_thickness|thickness_of|snow_depth|wave_significant_height|significant_height|optical_depth|"
    r"atmosphere_mass_content|atmosphere_mole_content|visibility|runoff|downwelling|upwelling|"
    r"incoming_\w+_flux|outgoing_\w+_flux|photosynthetic|water_in_soil|soil_moisture|"
    r"mass_content_of_\w*water|(surface_snow|ice)_(amount|mass|volume)|snow_(amount|mass|density)|"
    r"snow_melt_flux|snow_and_ice_melt_flux|potential_energy|kinetic_energy|leaf_area_index|albedo|"
    r"emissivity|probability|vegetation_fraction|burned_area|lightning|number_of_|"
    r"water_volume_transport_in_river|wave_\w*(period|height)|carbon_content|gross_primary"
)
POSITIVE_LONG = re.compile(
    r"precipitation|\brain(fall)?\b|snowfall|humidity|mixing ratio|wind speed|cloud cover|"
    r"cloud fraction|\bgusts?\b|snow depth|visibility|land.sea mask|runoff|soil (water|moisture)|"
    r"volumetric soil|snow (water|mass|cover|amount|melt)|snowmelt|"
    r"convective available potential energy|\bcape\b|leaf area|downwelling|upwelling|"
    r"(radiation|short.?wave|long.?wave|solar|thermal)\b.*\bdownwards?\b|"
    r"\bdownwards? (surface )?(solar|thermal|short.?wave|long.?wave|radiation)|incoming solar|"
    r"outgoing (short|long).?wave|sea.?ice (area|cover|concentration|thickness|fraction)|albedo|"
    r"emissivity|wave height|boundary layer (height|depth)|river discharge|"
    r"total column (vertically.integrated )?(water|ozone)|optical depth|particulate|pm ?(10|2\.5)|"
    r"probability|vegetation (cover|fraction)|kinetic energy"
)
POSITIVE_SHORT = re.compile(
    r"tp|cp|lsp|sf|pr|prc|prsn|prcp|precip\w*|rain\w*|rr\w?|qpe\w*|apcp\w*|mtpr|tprate|q|hus\w*|"
    r"hur\w*|shum|rh\w*|ws\d*m?|wspd\w*|si10|sfcwind\w*|gust|clt|tcc|lcc|mcc|hcc|tcwv|tcw|swe|"
    r"swvl\d|mrso\w*|mrro\w*|ro|sro|ssro|runoff\w*|cape\w*|\w{1,2}cape|lai\w*|"
    r"ssrd\w*|strd\w*|r[sl]d[st]?(cs)?|r[sl]u[st](cs)?|[du][sl]wrf\w*|swdown|glw|sd|snd|snw|snc|"
    r"snod|weasd|smlt|cc|siconc\w*|sithick|blh|pblh|hpbl|vis|tco3|gtco3|pm10|pm2p?5|swh|vhm0"
)
POSITIVE_UNITS = ("mm", "mm h-1", "mm d-1", "mm day-1", "%", "kg kg-1", "g kg-1")
# Measures of spread are never negative, whatever they measure.
SPREAD = re.compile(
    r"standard[ _]deviation|standard[ _]error|\bvariance|\bstd(dev)?\b|root mean square|\brmse\b"
)
# Differences and logarithms of such quantities have either sign.
SIGNED = re.compile(
    r"anomal|tendenc|difference|departure|correlation|error|change|standardi[sz]ed|trend|\bbias|"
    r"increment|\bminus\b|divergence|convergence|gradient|covariance|product.of|eastward|"
    r"northward|(zonal|meridional) (wind|flux|transport|component)|advection|\bnet\b|\blog|"
    r"z.?score|deficit|excess|temperature"
)
SIGNED_SHORT = re.compile(
    r"anom|(^|_)(diff|bias|delta|change|trend|err|error|spi|spei|log|ln|std[a-z]*ed|zscore)\d*(_|$)"
)
NOT_CHANGES = re.compile(r"climate.change|exchange")
FRACTIONS = re.compile(
    r"area.fraction|cloud (cover|fraction|area)|relative humidity|binary mask|land.sea mask|albedo|"
    r"emissivity|probability|sea.?ice (area|cover|concentration|fraction)|snow cover|"
    r"vegetation (cover|fraction)|(area|volume|burned|land|ice|water|lake|glacier) fraction|"
    r"fraction of|saturation"
)
FRACTIONS_SHORT = re.compile(
    r"hur\w*|rh\w*|r2|cl|clt|tcc|lcc|mcc|hcc|cc|siconc\w*|sic|ci|snc|lsm|sftlf|sftgif|fal|asn|cv[hl]"
)
HIGHEST = {"1": 1.0, "%": 100.0, "percent": 100.0, "okta": 8.0, "oktas": 8.0}
# Amounts that packing and rounding leave below 0.
NEGLIGIBLE = {
    "mm": 1e-2,
    "kg m-2": 1e-2,
    "cm": 1e-3,
    "m": 1e-5,
    "inch": 1e-3,
    "mm h-1": 1e-3,
    "mm d-1": 1e-2,
    "mm day-1": 1e-2,
    "kg m-2 s-1": 1e-7,
    "m s-1": 1e-3,
    "1": 1e-4,
    "%": 1e-2,
    "percent": 1e-2,
    "kg kg-1": 1e-7,
    "g kg-1": 1e-4,
    "m3 m-3": 1e-4,
    "W m-2": 0.1,
    "J m-2": 100.0,
    "J kg-1": 1.0,
}
RELATIVE = 1e-3  # the same for other units, relative to the largest absolute value of a field

Limits = tuple[float, float]  # lowest and highest value; infinite where there is none
UNLIMITED: Limits = (-math.inf, math.inf)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of a quantity, in the field's units.

    Parameters
    ----------
    lower, upper
        None: there is none.
    stated
        Whether the user or the model states the lower bound. Otherwise names and units suggest
        it, and it holds only in coarse fields that keep it.
    negligible
        Values as far below the lower bound as this come from packing or rounding.
    """

    lower: float | None = None
    upper: float | None = None
    stated: bool = False
    negligible: float = 0.0

    def limits(self, field: np.ndarray | None) -> Limits:
        """Return the limits of the fine values of one coarse field (None: of no field).

        NaN are left out. A field that falls below an inferred bound is another quantity and has
        no limits. Where a field exceeds the upper bound, as humidity may, its maximum is the limit.

        >>> cover = Bounds(lower=0.0, upper=100.0, negligible=0.01)
        >>> cover.limits(np.array([0.0, 50.0])), cover.limits(np.array([-20.0, 50.0]))
        ((0.0, 100.0), (-inf, inf))
        >>> cover.limits(np.array([-0.001, 104.0]))
        (0.0, 104.0)
        """
        if self.lower is None and self.upper is None:
            return UNLIMITED
        if field is not None and not self.stated and self.broken_by(field):
            return UNLIMITED
        lower = -math.inf if self.lower is None else self.lower
        if self.upper is None:
            return lower, math.inf
        highest = math.nan if field is None else float(np.fmax.reduce(field, axis=None))
        return lower, self.upper if math.isnan(highest) else max(self.upper, highest)

    def broken_by(self, field: np.ndarray) -> bool:
        """Return whether a field falls below the lower bound by more than rounding."""
        if self.lower is None:
            return False
        low, high = (float(f.reduce(field, axis=None)) for f in (np.fmin, np.fmax))
        return low < self.lower - max(self.negligible, RELATIVE * max(abs(low), abs(high)))

    def describe(self) -> str:
        """Return the rule in words, for an attribute; empty without bounds.

        >>> Bounds(lower=0.0, upper=1.0).describe()
        '0 to 1, except in fields whose input lies beyond'
        """
        if self.lower is None:
            return ""
        if self.upper is None:
            known = f"at least {self.lower:g}"
            return known if self.stated else f"{known}, except in fields whose input falls below"
        known = f"{self.lower:g} to {self.upper:g}, except in fields whose input"
        return f"{known} exceeds it" if self.stated else f"{known} lies beyond"


NO_BOUNDS = Bounds()


def infer_bounds(
    standard: str, long: str, short: str, units: str, cell_methods: str = "", step: float = 0.0
) -> Bounds:
    """Infer bounds from the standard name, else from other names and units.

    Parameters
    ----------
    standard, long, short, units
        In lower case, units in UDUNITS spelling; empty where unknown.
    cell_methods
        A standard deviation is never negative.
    step
        Resolution of packed values in the file; 0: unknown.
    """
    if not _non_negative(standard, long, short, units, cell_methods):
        return NO_BOUNDS
    spread = _spread(standard, long, cell_methods)
    said = f"{standard.replace('_', ' ')} | {long}"
    fraction = FRACTIONS.search(said) or FRACTIONS_SHORT.fullmatch(short)
    upper = HIGHEST.get(units.lower()) if fraction and not spread else None
    return Bounds(lower=0.0, upper=upper, negligible=max(step, NEGLIGIBLE.get(units, 0.0)))


def _non_negative(standard: str, long: str, short: str, units: str, cell_methods: str) -> bool:
    if _signed(f"{standard.replace('_', ' ')} | {long}", short):
        return _spread(standard, long, cell_methods)
    if _spread(standard, long, cell_methods):
        return True
    if standard:
        return bool(POSITIVE_STANDARD.search(standard))
    if POSITIVE_LONG.search(long) or POSITIVE_SHORT.fullmatch(short):
        return True
    return not long and units in POSITIVE_UNITS


def _signed(names: str, short: str) -> bool:
    said = NOT_CHANGES.sub("", CORRECTED.sub("", names))
    return bool(SIGNED.search(said) or SIGNED_SHORT.search(short))


def _spread(standard: str, long: str, cell_methods: str) -> bool:
    return bool(
        re.search(SPREAD_METHODS, cell_methods)
        or SPREAD.search(f"{standard.replace('_', ' ')} | {long}")
    )
