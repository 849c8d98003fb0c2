"""Static predictors on the fine grid: fields from the user, and functions of place and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from flexclim.cf.missing_values import decoded
from flexclim.cf.quantities import FieldProperties
from flexclim.errors import GridError, ModelError, warn
from flexclim.grids.grid import Grid
from flexclim.grids.remap import check_positions, positions, remapper
from flexclim.planning.leads import Time
from flexclim.planning.source import StaticField
from flexclim.sampling.local_scaling import fill_missing

FAR = 30.0  # standard deviations; the height of Mount Everest is 10 from the mean

if TYPE_CHECKING:
    from flexclim.models.channels import Static


def check_coverage(fields: Mapping[str, StaticField], grid: Grid, wanted: Sequence[Static]) -> None:
    """Check, from coordinates alone, that static predictors can be computed on a fine grid.

    Parameters are those of :func:`static_fields`.

    Raises
    ------
    GridError
        If a field does not cover the grid, or latitudes are needed and unknown.
    """
    if any(one.name in ("latitude", "solar_time") for one in wanted):
        check_positions(grid)
    if grid.latitude is None or isinstance(grid.latitude, np.ndarray):
        for one in wanted:
            if not one.computed:
                remapper(fields[one.name].grid, grid, one.name)


def static_fields(
    fields: Mapping[str, StaticField], grid: Grid, wanted: Sequence[Static]
) -> dict[str, np.ndarray]:
    """Compute static predictors on a fine grid; those that depend on time are completed later.

    Parameters
    ----------
    fields
        In latitude and longitude or in the projection of ``grid``: averaged over the cells of
        ``grid`` where they are finer, interpolated bilinearly where they are coarser. NaN is
        filled with the nearest value.
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
        If a field does not cover the grid or is all NaN, or latitudes are needed and unknown.
    """
    predictors = {}
    for one in wanted:
        if one.name == "latitude":
            predictors[one.name] = np.sin(np.deg2rad(positions(grid)[0]))
        elif one.name == "solar_time":
            predictors[one.name] = positions(grid)[1]
        elif not one.computed:
            predictors[one.name] = remapped(fields[one.name], grid, one.name)
            _warn_if_far(predictors[one.name], one)
    return {name: values.astype(np.float32) for name, values in predictors.items()}


def static_channels(
    fields: Mapping[str, np.ndarray],
    wanted: Sequence[Static],
    shape: tuple[int, int],
    time: Time | None,
) -> np.ndarray:
    """Return the channels that a network reads after its inputs.

    Parameters
    ----------
    fields
        From :func:`static_fields`, or windows of them.
    shape
        (Y, X) of the result.
    time
        UTC; None if no channel depends on it.

    Returns
    -------
    ndarray
        (S, Y, X) float32, normalised.

    Raises
    ------
    ModelError
        If a channel depends on the time and ``time`` is None or has no calendar.

    Examples
    --------
    >>> from flexclim.models.channels import Static
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


def year_share(time: Time) -> float:
    """Return the elapsed fraction of the year, in any calendar.

    >>> year_share(np.datetime64("2019-07-02T12"))
    0.5
    """
    if isinstance(time, np.datetime64):
        year = time.astype("M8[Y]")
        start, end = (edge.astype("M8[us]") for edge in (year, year + 1))
        return float((time.astype("M8[us]") - start) / (end - start))
    start = time.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return float((time - start) / (start.replace(year=start.year + 1) - start))


def day_share(time: Time) -> float:
    """Return the elapsed fraction of the day in UTC.

    >>> day_share(np.datetime64("2019-07-02T06"))
    0.25
    """
    if isinstance(time, np.datetime64):
        return float((time - time.astype("M8[D]")) / np.timedelta64(1, "D"))
    start = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return float((time - start).total_seconds() / 86400)


def phase_of_year(time: Time) -> list[float]:
    """Return sine and cosine of the phase of the year."""
    angle = 2 * np.pi * year_share(time)
    return [float(np.sin(angle)), float(np.cos(angle))]


def _phase(share: np.ndarray) -> list[np.ndarray]:
    return [np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)]


def _warn_if_far(values: np.ndarray, one: Static) -> None:
    """Warn of a field that is far from those of training, as one in other units may be.

    In training, means and standard deviations are not known yet: they are 0 and 1.
    """
    farthest = float(values.flat[np.abs(values - one.mean).argmax()])
    distance = abs(farthest - one.mean) / one.std
    if distance > FAR and (one.mean, one.std) != (0.0, 1.0):
        warn(
            f"static field {one.name!r} reaches {farthest:.4g}, {distance:.0f} standard deviations "
            f"from its mean in training ({one.mean:.4g}). Check its units."
        )


def remapped(static: StaticField, grid: Grid, name: str) -> np.ndarray:
    """Return the values of a static field on ``grid``, canonical, (Y, X) float64."""
    remap = remapper(static.grid, grid, name)
    properties = FieldProperties.of(static.field)
    values = decoded(static.field.values, properties.missing, name, "static").astype(float)
    if np.isnan(values).all():
        raise GridError(f"static field {name!r} is all NaN. Give one with values.")
    # A mask of 0 and 1 averages to a fraction.
    if not properties.continuous and not np.isin(values[~np.isnan(values)], (0, 1)).all():
        kind = "categories" if properties.category else "directions"
        warn(
            f"static field {name!r} holds {kind}, which are averaged as numbers. Give the "
            f"{'fraction of each category' if properties.category else 'sine and cosine'} instead."
        )
    return remap(fill_missing(values))
