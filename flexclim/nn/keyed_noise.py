"""Noise as a pure function of the pixel.

The noise of a fine pixel depends on (seed, member, variable, valid time, draw, row, column) and
not on tiles, chunks, workers or the order of computation. The generator is counter-based:
Philox4x32-10 (Salmon et al. 2011) maps each counter to four words, and the Box-Muller transform
maps these to four neighbouring pixels of a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF
ROUNDS = 10
AT_ONCE = 2**16  # pixels; temporaries take about 100 bytes for each

# An AR(1) process in time is a sum of draws at fixed times: DRAWS_A_SCALE per time scale, over the
# last SCALES_BACK time scales. The neglected share of the variance is exp(-2 SCALES_BACK).
DRAWS_A_SCALE, SCALES_BACK = 8, 3
DAY = 86400.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Persistence:
    """How noise at two times is correlated.

    At a lag it is constant + lasting exp(-lag / seconds) + daily cos(2 pi lag / 1 day). What is
    left of the variance is independent at each time.

    Parameters
    ----------
    seconds
        e-folding time of the lasting part.
    constant, lasting, daily
        Shares of the variance that never change, that decay, and that recur every day.
    """

    seconds: float
    constant: float = 0.0
    lasting: float = 1.0
    daily: float = 0.0

    @property
    def passing(self) -> float:
        """Share of the variance that is independent at each time."""
        return max(0.0, 1.0 - self.constant - self.lasting - self.daily)

    @property
    def mixed(self) -> bool:
        """Whether there is more than the lasting part."""
        return self.lasting < 1


@dataclass(frozen=True, kw_only=True)
class NoiseKey:
    """Everything that noise depends on besides the pixel and the member.

    ``place`` holds the values of the valid time and of other coordinates, such as a level.
    """

    seed: int
    variable: str
    place: str
    draw: int = 0

    def words(self) -> tuple[int, int]:
        """Return the two 32-bit words of the generator's key."""
        text = "\x1f".join((str(self.seed), self.variable, self.place, str(self.draw)))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def standard_normal(
    shape: tuple[int, int], key: NoiseKey, member: int, origin: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Draw the noise of one member on a fine domain, or on a part of it.

    Parameters
    ----------
    shape
        Rows and columns of the canonical grid.
    key
        Seed, variable, place and draw.
    member
        Number of the member.
    origin
        Canonical row and column of the part's first pixel.

    Returns
    -------
    ndarray
        (y, x) float32, independent standard normal. A smaller shape gives the upper left part of
        a larger one.

    >>> key = NoiseKey(seed=0, variable="u10", place="2018-09-14T18:00:00")
    >>> bool((standard_normal((2, 3), key, 0) == standard_normal((9, 9), key, 0)[:2, :3]).all())
    True
    """
    height, width = shape
    normal = np.empty(shape, np.float32)
    step = max(1, AT_ONCE // width)
    for first in range(0, height, step):
        rows = np.arange(first, min(height, first + step), dtype=np.uint64)
        normal[first : first + step] = _rows(
            rows + np.uint64(origin[0]), origin[1], width, key, member
        )
    return normal


def _rows(rows: np.ndarray, column: int, width: int, key: NoiseKey, member: int) -> np.ndarray:
    """Draw the noise of these canonical rows, ``width`` columns from ``column`` on."""
    first_quad, skipped = divmod(column, 4)
    quads = -(-(skipped + width) // 4)
    columns = np.tile(np.arange(quads, dtype=np.uint64) + np.uint64(first_quad), rows.size)
    counter = [
        np.repeat(rows, quads),
        columns,
        np.full_like(columns, member),
        np.zeros_like(columns),
    ]
    words = philox(counter, key.words())
    # Centres of 2^32 equal intervals: never 0 or 1.
    uniform = [(word.astype(np.float64) + 0.5) * 2.0**-32 for word in words]
    normal = np.empty((columns.size, 4), np.float32)
    for first in (0, 2):
        radius = np.sqrt(-2 * np.log(uniform[first]))
        angle = 2 * np.pi * uniform[first + 1]
        normal[:, first] = radius * np.cos(angle)
        normal[:, first + 1] = radius * np.sin(angle)
    return normal.reshape(rows.size, 4 * quads)[:, skipped : skipped + width]


def correlated_normal(
    shape: tuple[int, int],
    key: NoiseKey,
    member: Any,
    seconds: float,
    persistence: Persistence,
    origin: tuple[int, int] = (0, 0),
    draw: Callable[..., Any] = standard_normal,
) -> Any:
    """Draw noise that is correlated in time.

    The lasting part is a sum of draws at fixed earlier times, weighted by exp(-age / time scale)
    and scaled to its share of the variance, so no earlier time has to be computed. Within one time
    the noise is white.

    Parameters
    ----------
    shape, key, member, origin
        As for :func:`standard_normal`; ``key.place`` must not name the time.
    seconds
        Valid time in seconds since any fixed epoch.
    persistence
        The correlation.
    draw
        Function with the parameters of :func:`standard_normal` that makes one draw; ``member`` is
        passed on, and may be several numbers.

    Returns
    -------
    ndarray
        Standard normal; type and shape are those of ``draw``: (y, x) float32.
    """
    spacing = persistence.seconds / DRAWS_A_SCALE
    newest = int(np.floor(seconds / spacing))
    ticks = newest - np.arange(DRAWS_A_SCALE * SCALES_BACK)
    weights = np.exp(-(newest - ticks) / DRAWS_A_SCALE)
    weights *= np.sqrt(persistence.lasting) / np.sqrt(np.square(weights).sum())
    parts = [(f"@{tick}x{spacing:g}s", weight) for tick, weight in zip(ticks, weights, strict=True)]
    if persistence.mixed:
        angle = 2 * np.pi * (seconds % DAY) / DAY
        parts += [
            ("", np.sqrt(persistence.constant)),
            ("@cosine of the day", np.sqrt(persistence.daily) * np.cos(angle)),
            ("@sine of the day", np.sqrt(persistence.daily) * np.sin(angle)),
            (f"@{seconds!r}s", np.sqrt(persistence.passing)),
        ]
    total: Any = 0.0
    for moment, weight in parts:
        if weight:
            drawn = replace(key, place=f"{key.place}{moment}")
            total = total + float(weight) * draw(shape, drawn, member, origin)
    return total


def philox(counter: list[Any], key: tuple[int, int]) -> list[Any]:
    """Apply Philox4x32-10 to four words held in uint64 arrays, or in int64 tensors.

    Products of two words fill all 64 bits, including the sign bit of a tensor, so shifted values
    are masked.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        low, high = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((high >> 32) & WORD) ^ c1 ^ k0,
            high & WORD,
            ((low >> 32) & WORD) ^ c3 ^ k1,
            low & WORD,
        )
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return [c0, c1, c2, c3]
