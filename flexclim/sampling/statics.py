"""Static predictors on the fine grid: fields that a user brings, what position and time give."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from flexclim.errors import GridError, ModelError
from flexclim.grids.discovery import find_grid
from flexclim.grids.grid import Grid
from flexclim.grids.remap import check_positions, positions, remapper
from flexclim.sampling.local_scaling import fill_missing

if TYPE_CHECKING:
    from flexclim.models.settings import Static


def check_static(
    static: xr.Dataset | None, grid: Grid, wanted: Sequence[Static], model: str
) -> None:
    """Look at names and coordinates, before anything is computed.

    Parameters are those of :func:`static_fields`, and the model's name for messages.

    Raises
    ------
    ModelError
        If fields are missing, or were given to a model that takes none.
    GridError
        If a field does not cover the grid.
    """
    names = [one.name for one in wanted if not one.computed]
    if static is not None and not names:
        raise ModelError(f"model {model!r} takes no static fields. Leave static out.")
    if static is None and names:
        listed = ", ".join(names)
        raise ModelError(
            f"model {model!r} needs static fields ({listed}). Pass them as static= "
            "(--static at the shell)."
        )
    if any(one.name in ("latitude", "solar_time") for one in wanted):
        check_positions(grid)
    for name in names:
        assert static is not None
        if name not in static.data_vars:
            has = [str(other) for other in static.data_vars]
            near = difflib.get_close_matches(name, has) or has
            raise ModelError(
                f"static has no {name!r}, which model {model!r} needs; it has "
                f"{', '.join(near) or 'nothing'}. Rename the field that is meant."
            )
        if grid.latitude is None or isinstance(grid.latitude, np.ndarray):
            remapper(static[name], grid)


def wanted_fields(static: xr.Dataset, wanted: Sequence[Static]) -> xr.Dataset:
    """Return the fields of ``static`` that a model takes."""
    return static[list(dict.fromkeys(one.name for one in wanted if not one.computed))]


def static_fields(
    static: xr.Dataset | None, grid: Grid, wanted: Sequence[Static]
) -> dict[str, np.ndarray]:
    """Bring the static fields that a model wants to its fine grid; time enters later.

    Parameters
    ----------
    static
        Fields on a grid of their own, of latitude and longitude or of the projection of ``grid``:
        averaged over the cells of ``grid`` where they are finer, interpolated bilinearly where
        they are coarser. NaN takes the nearest value.
    grid
        The fine grid.
    wanted
        In the order of the model's channels.

    Returns
    -------
    dict
        (Y, X) float32 in canonical order: each field by its name, the sine of latitude as
        ``"latitude"``, longitude in degrees as ``"solar_time"``; nothing for ``"day_of_year"``.

    Raises
    ------
    GridError
        If a field does not cover the grid or is all NaN, or positions are not known.
    """
    fields = {}
    for one in wanted:
        if one.name == "latitude":
            fields[one.name] = np.sin(np.deg2rad(positions(grid)[0]))
        elif one.name == "solar_time":
            fields[one.name] = positions(grid)[1]
        elif not one.computed:
            assert static is not None
            fields[one.name] = _brought(static[one.name], grid)
    return {name: field.astype(np.float32) for name, field in fields.items()}


def static_channels(
    fields: Mapping[str, np.ndarray], wanted: Sequence[Static], shape: tuple[int, int], time: Any
) -> np.ndarray:
    """Return the channels that a network reads after its inputs.

    Parameters
    ----------
    fields
        From :func:`static_fields`, or windows of them.
    shape
        (Y, X) of the result.
    time
        datetime64 or cftime, UTC; None where no channel depends on it.

    Returns
    -------
    ndarray
        (S, Y, X) float32, normalised.

    Raises
    ------
    ModelError
        If a channel depends on the time and it is none.

    Examples
    --------
    >>> from flexclim.models.settings import Static
    >>> noon = np.datetime64("2018-03-21T12:00")
    >>> greenwich = {"solar_time": np.zeros((1, 1), "float32")}
    >>> static_channels(greenwich, [Static(name="solar_time")], (1, 1), noon).ravel().round(3)
    array([ 0., -1.], dtype=float32)
    """
    channels: list[np.ndarray] = []
    for one in wanted:
        if one.timely and not (isinstance(time, np.datetime64) or hasattr(time, "calendar")):
            raise ModelError(f"{one.name} needs dates, and the time is {time!r}. Give it dates.")
        if one.name == "day_of_year":
            planes = _phase(np.full(shape, year_share(time)))
        elif one.name == "solar_time":
            planes = _phase(day_share(time) + fields[one.name].astype(float) / 360)
        else:
            planes = [fields[one.name].astype(float)]
        channels += [((plane - one.mean) / one.std).astype(np.float32) for plane in planes]
    return np.stack(channels) if channels else np.zeros((0, *shape), np.float32)


def year_share(time: Any) -> float:
    """Return how much of its year has passed at a time, datetime64 or cftime of any calendar.

    >>> year_share(np.datetime64("2019-07-02T12"))
    0.5
    """
    if isinstance(time, np.datetime64):
        year = time.astype("M8[Y]")
        start, end = (edge.astype("M8[us]") for edge in (year, year + 1))
        return float((time.astype("M8[us]") - start) / (end - start))
    start = time.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return float((time - start) / (start.replace(year=start.year + 1) - start))


def day_share(time: Any) -> float:
    """Return how much of its day has passed at a time in UTC.

    >>> day_share(np.datetime64("2019-07-02T06"))
    0.25
    """
    if isinstance(time, np.datetime64):
        return float((time - time.astype("M8[D]")) / np.timedelta64(1, "D"))
    start = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return float((time - start).total_seconds() / 86400)


def phase_of_year(time: Any) -> list[float]:
    """Return sine and cosine of the phase of the year at a time, datetime64 or cftime."""
    angle = 2 * np.pi * year_share(time)
    return [float(np.sin(angle)), float(np.cos(angle))]


def _phase(share: np.ndarray) -> list[np.ndarray]:
    return [np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)]


def _brought(field: xr.DataArray, grid: Grid) -> np.ndarray:
    """Return a static field on ``grid``, canonical."""
    remapped = remapper(field, grid)
    own = find_grid(field)
    values = field.transpose(..., own.y, own.x).values.astype(float)
    values = values.reshape(values.shape[-2:])
    if np.isnan(values).all():
        raise GridError(f"static field {field.name!r} holds NaN only. Give one with values.")
    return remapped(fill_missing(values))
