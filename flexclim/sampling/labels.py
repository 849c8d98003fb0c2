"""The label: numbers that condition the network on the whole tile, in training and sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from flexclim.cf.quantities import Direction
from flexclim.errors import FlexclimError
from flexclim.models.channels import Label, is_optional
from flexclim.planning.leads import Time
from flexclim.sampling.statics import phase_of_year


def label_values(
    parts: Sequence[Label],
    *,
    factor: int | None = None,
    lead: float | None = None,
    spacing_km: float = math.nan,
    along: Direction | None = None,
    when: Time | None = None,
    variable: str = "",
    known: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Return the numbers (L,) of a label, float32; 0 where the value is unknown.

    Parameters
    ----------
    parts
        From the model's settings; L is 0 if there are none.
    factor, lead
        Refinement factor of a downscaling; time step of a forecast in hours.
    spacing_km
        Distance between rows of the fine grid; NaN if it is unknown.
    along
        Direction of the predicted variable, if it is the component of a vector.
    when
        Time of the last input field; None: it has no time.
    variable
        Name of the predicted variable, for models of any variable.
    known
        Scalar coordinates of the input, by name.

    >>> label_values([Label(name="factor"), Label(name="lead")], lead=12.0)
    array([0., 1.], dtype=float32)
    >>> label_values([Label(name="spacing")], spacing_km=3.0)
    array([-1.,  1.], dtype=float32)
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
        elif part.name == "spacing":
            values += [math.log10(spacing_km / 30), 1.0] if spacing_km > 0 else [0.0, 0.0]
        elif part.name == "component":
            values.append({"x": 1.0, "y": -1.0}.get(along or "", 0.0))
        elif part.name == "day_of_year":
            values += [0.0, 0.0] if when is None else phase_of_year(when)
        elif part.name == "variable":
            values += [float(variable == name) for name in part.values]
        elif part.name == "given":
            values.append(1.0)
        else:
            values.append(_scaled(part, known[part.name]) if part.name in known else 0.0)
    numbers = np.array(values, np.float32)
    # A model with an optional label was trained with all of it or none, so drop it all.
    lacking = any(part.coordinate and part.name not in known for part in parts)
    return 0 * numbers if lacking and is_optional(parts) else numbers


def _scaled(part: Label, value: float) -> float:
    if not np.isfinite(value) or (part.logarithm and value <= 0):
        raise FlexclimError(
            f"{part.name} = {value:g} is not a finite number{' above 0' * part.logarithm}, and "
            "the model is conditioned on it. Assign one with .assign_coords."
        )
    return float(((np.log10(value) if part.logarithm else value) - part.mean) / part.std)
