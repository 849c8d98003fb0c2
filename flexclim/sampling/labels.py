"""The label: what a network is told about the whole of a tile, besides fields.

Training and sampling both come through here, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexclim.errors import FlexclimError
from flexclim.models.settings import Label, is_optional
from flexclim.sampling.statics import phase_of_year


def label_values(
    parts: Sequence[Label],
    *,
    factor: int | None = None,
    lead: float | None = None,
    when: Any = None,
    variable: str = "",
    known: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Return the numbers (L,) of a label; what is not known is 0.

    Parameters
    ----------
    parts
        From the model's settings; none: L is 0, and networks take zeros.
    factor, lead
        Refinement of a downscaling, hours of a forecast.
    when
        Time of the last field that is read, datetime64 or cftime; None: there is none.
    variable
        Which one is made, where any will do.
    known
        Scalar coordinates of the input, by name.

    >>> label_values([Label(name="factor"), Label(name="lead")], lead=12.0)
    array([0., 1.], dtype=float32)
    >>> flow = Label(name="reynolds", logarithm=True, mean=3.0)
    >>> label_values([flow], known={"reynolds": 1e4})
    array([1.], dtype=float32)
    """
    values: list[float] = []
    known = known or {}
    for part in parts:
        if part.name == "factor":
            values.append(0.0 if factor is None else float(np.log2(factor)) - 2)
        elif part.name == "lead":
            values.append(0.0 if lead is None else float(np.log2(lead / 6)))
        elif part.name == "day_of_year":
            values += [0.0, 0.0] if when is None else phase_of_year(when)
        elif part.name == "variable":
            values += [float(variable == name) for name in part.values]
        elif part.name == "given":
            values.append(1.0)
        else:
            values.append(_scaled(part, known[part.name]) if part.name in known else 0.0)
    numbers = np.array(values, np.float32)
    # A model that learnt without its label for a share of patches takes no half of it.
    lacking = any(part.coordinate and part.name not in known for part in parts)
    return 0 * numbers if lacking and is_optional(parts) else numbers


def _scaled(part: Label, value: float) -> float:
    if not np.isfinite(value) or (part.logarithm and value <= 0):
        raise FlexclimError(
            f"{part.name} = {value:g} is not a number{' above 0' if part.logarithm else ''}, which "
            "the model is told; assign the right one with .assign_coords."
        )
    return float(((np.log10(value) if part.logarithm else value) - part.mean) / part.std)
