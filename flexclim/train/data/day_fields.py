"""Days of sub-daily fields, for networks that split days: all times of a day are channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flexclim.cf.quantities import FieldProperties
from flexclim.errors import RecipeError
from flexclim.models.channels import hours_of, interpolated_at, value_at
from flexclim.resampling.day_operators import day_weights
from flexclim.train.data.common_units import Attributes
from flexclim.train.data.series import ALL, Series
from flexclim.train.data.source_fields import Fields, open_fields
from flexclim.train.data.time_axis import has_dates, in_seconds
from flexclim.train.recipes.source_settings import Reading

DAY = 86400


@dataclass(frozen=True)
class Weighted:
    """A weighted sum of some times of a variable, for each day.

    ``index`` (day, part) are the times, ``weights`` (part,) their weights. Sums below ``lowest``
    become it.
    """

    series: Series
    index: np.ndarray
    weights: np.ndarray
    lowest: float | None = None

    @property
    def usable(self) -> np.ndarray:
        """Days of which all times can be read."""
        return np.asarray(self.series.usable[self.index].all(1))

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Sum windows."""
        parts = zip(self.weights, self.index[time], strict=True)
        return self._limited(
            sum(weight * self.series.read(int(one), rows, columns) for weight, one in parts)
        )

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Sum planes, each of which is read once."""
        needed, place = np.unique(self.index[times], return_inverse=True)
        planes, place = self.series.read_all(needed), place.reshape(len(times), -1)
        return np.stack(
            [self._limited(np.tensordot(self.weights, planes[own], 1)) for own in place]
        )

    def _limited(self, values: object) -> np.ndarray:
        found = np.asarray(values, np.float32)
        return found if self.lowest is None else np.maximum(found, np.float32(self.lowest))


def open_days(reading: Reading, folder: str, names: Sequence[str], count: int) -> Fields:
    """Open the variables of a source at each time of the day, and interpolated from daily means.

    Parameters
    ----------
    names
        Of channels, such as those of :func:`~flexclim.models.channels.value_at`.
    count
        Times of a day.

    Returns
    -------
    Fields
        Its times are the starts of days with all times, between such days.

    Raises
    ------
    RecipeError
        As for :func:`open_fields`, or if there is no such day.
    """
    variables = list(dict.fromkeys(name.replace("~", "+").rpartition("+")[0] for name in names))
    fields = open_fields(reading, folder, variables)
    starts, index = whole_days(fields.times, count, fields.title)
    series: dict[str, Series] = {}
    attributes: dict[str, Attributes] = {}
    for name in variables:
        lowest = FieldProperties.of(fields.named(name)).bounds.lower
        for number, hour in enumerate(hours_of(count)):
            now = index[:, [count + number]]
            around = np.repeat(day_weights(count)[number], count) / count
            made = {
                value_at(name, hour): Weighted(fields.series[name], now, np.ones(1)),
                interpolated_at(name, hour): Weighted(fields.series[name], index, around, lowest),
            }
            series |= {key: one for key, one in made.items() if key in names}
            attributes |= {key: fields.attributes[name] for key in made if key in names}
    return replace(fields, series=series, attributes=attributes, times=starts)


def whole_days(times: np.ndarray, count: int, title: str) -> tuple[np.ndarray, np.ndarray]:
    """Find the days that have all times, as have the days before and after.

    Returns
    -------
    starts, index
        (day,) first times, and (day, 3 count) where the times of three days are.
    """
    if not has_dates(times):
        raise RecipeError(f"data.times splits days, but {title} has no dates; give it dates.")
    seconds = np.round(in_seconds(times)).astype(np.int64)
    place = {int(second): position for position, second in enumerate(seconds)}
    offsets = [number * DAY // count for number in range(-count, 2 * count)]
    whole = [
        start
        for start in sorted({second // DAY * DAY for second in place})
        if all(start + offset in place for offset in offsets)
    ]
    if not whole:
        hours = ", ".join(f"{hour:02d}" for hour in hours_of(count))
        raise RecipeError(
            f"{title} has no three days in a row with all of the hours {hours} UTC, in "
            f"{times.size} times; give more times, or another data.times."
        )
    index = np.array([[place[start + offset] for offset in offsets] for start in whole])
    return times[index[:, count]], index
