"""The identity of a plane: the coordinate values that its noise and label depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cf.times import seconds_of
from flexclim.planning.leads import Time
from flexclim.planning.plan import SamplingPlan

# Names of scalar coordinates that identify a plane even where they are not a dimension.
VERTICAL = "level", "lev", "plev", "pressure_level", "isobaricInhPa", "height", "depth", "altitude"


@dataclass(frozen=True)
class PlaneIdentity:
    """The identity of a plane: values of coordinates, so that a sub-period keeps its noise.

    Parameters
    ----------
    time, seconds, when
        Valid time as text, in seconds since 1970 of its own calendar, and as it is stored.
    rest
        Other coordinates, as text.
    known
        Scalar coordinates that the model's label holds.
    """

    time: str = ""
    seconds: float = 0.0
    rest: str = ""
    when: Time | None = None
    known: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, (self.time, self.rest)))


def identify_plane(
    field: xr.DataArray, index: Mapping[str, int], plan: SamplingPlan
) -> PlaneIdentity:
    """Identify the plane at ``index`` by the values of its coordinates."""
    text, seconds, when, rest = "", 0.0, None, []
    for name in (*index, *(n for n in field.coords if field[n].ndim == 0)):
        if name not in field.coords:
            rest.append(f"{name}#{index[str(name)]}")
            continue
        coordinate = field[name]
        value = coordinate.values[index[str(name)]] if coordinate.ndim else coordinate.values[()]
        if name == plan.time:
            (text, seconds), when = time_text(value), value
        elif name in index or name in VERTICAL:
            rest.append(f"{name}={_text(value)}")
    plane = field.isel({name: n for name, n in index.items() if name in field.dims})
    known = tuple((name, float(plane[name])) for name in plan.labels)
    return PlaneIdentity(text, seconds, " ".join(sorted(rest)), when, known)


def time_text(value: Time) -> tuple[str, float]:
    """Return a time as text, and in seconds since 1970 in its calendar."""
    if isinstance(value, np.datetime64):
        text = str(value.astype("datetime64[us]"))
    else:
        value = value.item() if isinstance(value, np.ndarray) else value
        text = str(value.isoformat(timespec="microseconds"))
    return text, float(seconds_of(value))


@contextmanager
def plane_named_in_errors(identity: PlaneIdentity, part: str = "") -> Iterator[None]:
    """Add the time and the part of the plane to an error as a note."""
    try:
        yield
    except Exception as error:
        error.add_note(f"time {identity}{part}")
        raise


def _text(value: object) -> str:
    number = pd.to_numeric(value, errors="coerce") if not isinstance(value, str) else np.nan
    return str(value) if pd.isna(number) else f"{float(number):g}"
