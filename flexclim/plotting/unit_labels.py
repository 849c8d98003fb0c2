"""Units as they are printed in figures."""

from __future__ import annotations

import re

import xarray as xr

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def units_of(values: xr.DataArray) -> str:
    """Return the units of values as text."""
    return pretty_units(str(values.attrs.get("units", "no units")))


def pretty_units(text: str) -> str:
    """Format units with superscripts; text in an unknown form is returned unchanged.

    >>> pretty_units("m s-1"), pretty_units("(K)2"), pretty_units("(m s**-1)1")
    ('m s⁻¹', 'K²', 'm s⁻¹')
    """
    whole = re.fullmatch(r"\((.*)\)(\d+)", text)
    inside, power = (whole[1], int(whole[2])) if whole else (text, 1)
    words = []
    for word in inside.split():
        part = re.fullmatch(r"([^\W\d_]+|°|%)(?:\*\*|\^)?([+-]?\d+)?", word)
        if part is None:
            return text
        exponent = power * int(part[2] or 1)
        words.append(part[1] + ("" if exponent == 1 else str(exponent).translate(RAISED)))
    return " ".join(words)
