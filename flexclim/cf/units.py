"""Convert units to UDUNITS spelling, where the meaning is certain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

# Spellings of GRIB tables and models.
SPELLED = {
    "(0 - 1)": "1",
    "(0-1)": "1",
    "0-1": "1",
    "~": "1",
    "-": "1",
    "dimensionless": "1",
    "fraction": "1",
    "proportion": "1",
    "numeric": "1",
    "degree true": "degree",
    "degrees true": "degree",
    "degc": "degC",
    "mm/hr": "mm h-1",
    "inches": "inch",
}
# In words they would be angles times temperatures.
DEGREES = re.compile(r"deg(?:ree)?s?\.? ?(?:of )?(c|k|f)(?:elsius|elvin|ahrenheit)?", re.IGNORECASE)
TEMPERATURES = ("K", "kelvin", "degC", "degree_Celsius", "degrees_Celsius", "celsius", "degF")
TemperatureKind = Literal["difference", "on_scale", "unknown"]
# Cell methods, and words of names, of differences and measures of spread.
SPREAD_METHODS = r":\s*(range|standard_deviation|variance)\b"
DIFFERENCES = re.compile(
    r"\b(differences?|anomal(y|ies|ous)|departures?|deviations?|tendency|tendencies|increments?|"
    r"gradients?|errors?|bias(es)?|spread|trends?|uncertaint(y|ies)|rmse|depressions?|deltas?|"
    r"lapse rate|variance|standard deviations?|stdev|stddev|standardi[sz]ed|"
    r"((diurnal|daily|annual|seasonal|temperature) )+range|range of|(?<!climate )changes?)\b"
)
DIFFERENCE_NAMES = re.compile(
    r"anom|(^|[_\W])(d?tr|diff|difference|bias|err|error|std|stdev|stddev|sd|spread|delta|change|"
    r"trend|increment|uncertainty|rmse)([_\W]|$)"
)
# Temperatures that were corrected for errors are on the scale.
CORRECTED = re.compile(
    r"\b(bias|errors?|lapse rate|trend|gradient)[- ]?(correct|adjust|remov|free)\w*"
)
# Enough to distinguish units from remarks; each may have a prefix.
SYMBOLS = (
    r"1|%|s|sec|second|seconds|min|minute|minutes|h|hr|hour|hours|d|day|days|year|years|month|m|"
    r"meter|metre|meters|metres|g|gram|K|kelvin|degC|degF|celsius|A|ampere|mol|mole|cd|Hz|N|Pa|"
    r"bar|bars|mb|millibar|atm|J|W|V|C|T|Wb|S|rad|sr|degree|degrees|deg|arc_degree|degree_north|"
    r"degrees_north|degree_east|degrees_east|degree_Celsius|degrees_Celsius|L|l|liter|litre|ha|"
    r"Celsius|°C|Dobson|"
    r"knot|knots|kt|inch|in|ft|foot|feet|mile|miles|Bq|Gy|Sv|Jy|DU|dobson|gpm|gpdm|eV|ppm|"
    r"ppv|ppb|ppbv|ppmv|dB|dBZ|Z|percent|count|counts|yr|week"
)
PREFIXES = r"Y|Z|E|P|T|G|M|k|h|da|d|c|m|u|µ|μ|n|p|f|a|hecto|kilo|milli|micro|mega"
TOKEN = re.compile(rf"(?:{PREFIXES})?(?:{SYMBOLS})(?:\^?[-+]?\d+)?")


def cf_units(units: str) -> str:
    """Return units in UDUNITS spelling, or unchanged where the meaning is not certain.

    >>> [cf_units(u) for u in ("m s**-1", "kg m**-2", "(0 - 1)", "Degree true", "code table")]
    ['m s-1', 'kg m-2', '1', 'degree', 'code table']
    """
    plain = " ".join(units.split())
    if found := DEGREES.fullmatch(plain.replace("_", " ") if "elvin" in plain else plain):
        return {"c": "degC", "k": "K", "f": "degF"}[found[1].lower()]
    return SPELLED.get(plain.lower(), re.sub(r"\s*\*\*\s*", "", plain))


def text_of(attributes: Mapping[str, object], key: str) -> str:
    """Return an attribute as text; empty if it is absent or None.

    >>> text_of({"units": 1}, "units"), text_of({}, "units")
    ('1', '')
    """
    value = attributes.get(key)
    return "" if value is None else str(value)


def looks_valid(units: str) -> bool:
    """Return whether UDUNITS knows every part of ``units``.

    >>> looks_valid("kg m-2 s-1"), looks_valid("code table 4.201")
    (True, False)
    """
    words = re.split(r"[\s./*()]+", units.split(" since ")[0])
    return all(
        re.fullmatch(r"[-+]?\d+(e[-+]?\d+)?", word) or TOKEN.fullmatch(word)
        for word in words
        if word
    )


def described_units(attributes: Mapping[str, object], name: str) -> dict[str, object]:
    """Return the attributes of a field with CF units and related attributes.

    Temperatures get ``units_metadata``: on a scale, or a difference. Units that UDUNITS may not
    know are kept, with a comment.
    """
    if "units" not in attributes:
        return dict(attributes)
    units = cf_units(str(attributes["units"]))
    result = {**attributes, "units": units}
    if not looks_valid(units):
        remark = f"The units of {name} are kept as found; UDUNITS may not know {units!r}."
        known = str(attributes.get("comment", ""))
        if remark not in known:  # by an earlier run
            result["comment"] = f"{known} {remark}".strip()
    temperature = "temperature" in str(result.get("standard_name", "")) or units in TEMPERATURES
    if temperature and "temperature:" not in str(result.get("units_metadata", "")):
        result["units_metadata"] = f"temperature: {temperature_kind(result, name)}"
    return result


def temperature_kind(attributes: Mapping[str, object], name: str = "") -> TemperatureKind:
    """Return whether temperatures are on a scale or differences, which have no offset of 273.15.

    What ``units_metadata`` states counts first, then standard name, cell methods, long name and
    name. Standard deviations, ranges, errors and anomalies are differences.

    >>> temperature_kind({"standard_name": "air_temperature_anomaly"})
    'difference'
    >>> temperature_kind({"standard_name": "air_temperature", "cell_methods": "time: range"})
    'difference'
    >>> temperature_kind({"long_name": "bias-corrected temperature"}), temperature_kind({}, "x")
    ('on_scale', 'unknown')
    """
    stated = re.search(
        r"temperature:\s*(difference|on_scale)", str(attributes.get("units_metadata", ""))
    )
    if stated:
        return "difference" if stated[1] == "difference" else "on_scale"
    standard, long = (
        text_of(attributes, key).lower().replace("_", " ") for key in ("standard_name", "long_name")
    )
    short = name.lower()
    spread = re.search(SPREAD_METHODS, str(attributes.get("cell_methods", "")))
    said = CORRECTED.sub("", f"{standard} | {long}")
    if spread or DIFFERENCES.search(said) or DIFFERENCE_NAMES.search(short):
        return "difference"
    return "on_scale" if "temperature" in f"{standard} {long} {short}" else "unknown"
