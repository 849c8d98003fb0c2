"""Random numbers that belong to a pixel.

The noise of a fine pixel is a pure function of (seed, member, variable, valid time, draw, row,
column), so it depends on no tile, chunk, worker or order. It is counter-based: Philox4x32-10
(Salmon et al. 2011) turns each counter into four words, and Box and Muller's transform turns those
into four neighbours of one row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF
ROUNDS = 10
AT_ONCE = 2**16  # pixels; on the way each takes some 100 bytes

# An AR(1) process in time is a sum of draws at fixed times, this many a time scale, going back so
# many time scales that what is left out has a share exp(-2 x 3) of the variance.
DRAWS_A_SCALE, SCALES_BACK = 8, 3


@dataclass(frozen=True, kw_only=True)
class NoiseKey:
    """All that a field of noise depends on but the pixel and the member.

    ``place`` names the valid time, and any other coordinate such as a level, by value.
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
    """Return one member's noise on a fine domain, or on a part of it.

    Parameters
    ----------
    shape
        Canonical rows and columns.
    key
        What the noise belongs to.
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
    """Return the noise of some canonical rows, of ``width`` columns from ``column`` on."""
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
    timescale: float,
    origin: tuple[int, int] = (0, 0),
    draw: Callable[..., Any] = standard_normal,
) -> Any:
    """Return noise whose correlation between two times falls like exp(-lag / timescale).

    Any time is computed on its own: a sum of draws at fixed times before it, weighted by
    exp(-age / timescale) and scaled to unit variance.

    Parameters
    ----------
    shape, key, member, origin
        As for :func:`standard_normal`; ``key.place`` must not name the time.
    seconds
        The valid time, in seconds since any fixed moment.
    timescale
        In seconds.
    draw
        What makes a draw, of the parameters of :func:`standard_normal`; ``member`` may be what
        else it takes there, such as several numbers.

    Returns
    -------
    ndarray
        Standard normal, of the type and shape that ``draw`` returns: (y, x) float32.
    """
    spacing = timescale / DRAWS_A_SCALE
    newest = int(np.floor(seconds / spacing))
    ticks = newest - np.arange(DRAWS_A_SCALE * SCALES_BACK)
    weights = np.exp(-(newest - ticks) / DRAWS_A_SCALE)
    weights /= np.sqrt(np.square(weights).sum())
    total: Any = 0.0
    for tick, weight in zip(ticks, weights, strict=True):
        place = f"{key.place}@{tick}x{spacing:g}s"
        drawn = NoiseKey(seed=key.seed, variable=key.variable, place=place, draw=key.draw)
        total = total + float(weight) * draw(shape, drawn, member, origin)
    return total


def philox(counter: list[Any], key: tuple[int, int]) -> list[Any]:
    """Apply Philox4x32-10 to four words held in uint64 arrays, or in int64 tensors.

    Products of two words fill 64 bits, a tensor's sign among them: what is shifted is masked.
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
