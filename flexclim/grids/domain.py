"""Shape of a field in canonical order, and its continuation beyond each border.

Canonical order: row 0 is the northernmost (or the top of a projected grid), column 0 of a
global grid the first at or east of 0 degrees. All functions on plain arrays work in this order,
so that results do not depend on the order in which a file is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.arguments import is_one_of, shown
from flexclim.grids.regular_coordinates import REGULAR, spans_globe
from flexclim.grids.uneven_axes import reach_poles

Kind = Literal["cell", "point"]
Border = Literal["edge", "pole_row", "pole_edge"]
Edges = tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Shape and borders of a canonical field.

    Parameters
    ----------
    shape
        Rows and columns.
    kind
        ``"cell"``: values are cell means, and refining splits the cells. ``"point"``: values
        belong to points, which a finer grid keeps (for example with rows on both poles).
    wrap
        Whether the columns span 360 degrees of longitude.
    north, south
        The first and the last row: ``"edge"`` has no neighbours (the field is mirrored),
        ``"pole_row"`` lies on the pole, ``"pole_edge"`` has its outer edge on the pole.
    y_edges, x_edges
        Edges of unevenly spaced rows or columns, one more than these, in canonical order; None:
        they are evenly spaced.
    """

    shape: tuple[int, int]
    kind: Kind = "cell"
    wrap: bool = False
    north: Border = "edge"
    south: Border = "edge"
    y_edges: Edges = field(default=None, repr=False)
    x_edges: Edges = field(default=None, repr=False)

    def __post_init__(self) -> None:
        poles = self.north != "edge" or self.south != "edge"
        assert not poles or (self.wrap and self.shape[1] % 2 == 0), self
        assert not (self.wrap and self.x_edges), self

    @property
    def edges(self) -> tuple[Edges, Edges]:
        """Edges of unevenly spaced rows and columns."""
        return self.y_edges, self.x_edges

    def refine(self, factor: int) -> Domain:
        """Return the fine domain nested in this one.

        >>> Domain(shape=(3, 4), kind="point", wrap=True).refine(2).shape
        (5, 8)
        """
        height, width = (
            (n - 1) * factor + 1 if self._keeps_points(axis) else n * factor
            for axis, n in enumerate(self.shape)
        )
        y_edges, x_edges = (split_edges(edges, factor) for edges in self.edges)
        return self._resized(height, width, y_edges, x_edges)

    def coarsen(self, factor: int) -> Domain:
        """Return the coarse domain in which this one is nested.

        Raises
        ------
        GridError
            If ``factor`` does not fit; the message gives the nearest crop that fits.
        """
        sizes, crops = [], []
        for axis, n in enumerate(self.shape):
            extra = 1 if self._keeps_points(axis) else 0
            blocks, rest = divmod(n - extra, factor)
            sizes.append(blocks + extra)
            crops.append(n - rest)
            if blocks < 1:
                crops[-1] = 0
        if tuple(crops) != self.shape:
            message = f"factor {factor} does not fit {self.shape[0]} x {self.shape[1]} {self.kind}s"
            if 0 in crops:
                raise GridError(f"{message}: the grid is smaller than one block of {factor}.")
            rule = " (points: sizes of the form n x factor + 1)" if self.kind == "point" else ""
            raise GridError(
                f"{message}{rule}; the nearest crop that fits is {crops[0]} x {crops[1]}. "
                "Crop the field with .isel first."
            )
        y_edges, x_edges = (edges and edges[::factor] for edges in self.edges)
        return self._resized(sizes[0], sizes[1], y_edges, x_edges)

    def extension(
        self, top: int, bottom: int, left: int, right: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the indices that extend a field beyond its borders.

        Columns wrap on a global grid; beyond a pole the field continues 180 degrees of longitude
        away; at other borders it is mirrored.

        Returns
        -------
        rows, columns, turned
            Index arrays (h, 1), (h, w) and (h, 1); columns are (1, w) if no row lies beyond a
            pole. ``field[..., rows, columns]`` is the extended field; ``turned`` marks rows
            beyond a pole, where eastward and northward components change sign.
        """
        height, width = self.shape
        rows, turned = self._reflect_rows(np.arange(-top, height + bottom))
        columns = np.arange(-left, width + right)
        columns = columns % width if self.wrap else _mirror(columns, width, self.kind)
        if turned.any():
            columns = (columns + np.where(turned, width // 2, 0)[:, None]) % width
        return rows[:, None], np.atleast_2d(columns), turned[:, None]

    def _reflect_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height = self.shape[0]
        rows, turned = rows.copy(), np.zeros(rows.shape, bool)
        if height == 1:
            return np.zeros_like(rows), turned
        while (outside := (rows < 0) | (rows >= height)).any():
            above, below = rows < 0, rows >= height
            rows[above] = -rows[above] - self._doubled(self.north)
            rows[below] = 2 * height - 2 + self._doubled(self.south) - rows[below]
            turned ^= outside & np.where(above, self.north != "edge", self.south != "edge")
        return rows, turned

    def _doubled(self, border: Border) -> int:
        """Return 1 if a field is mirrored at the outer edge of the last row, 0 if at its centre."""
        return int(border == "pole_edge" or (border == "edge" and self.kind == "cell"))

    def _keeps_points(self, axis: int) -> bool:
        return self.kind == "point" and not (axis == 1 and self.wrap)

    def _resized(self, height: int, width: int, y_edges: Edges, x_edges: Edges) -> Domain:
        # 180 degrees are a whole number of columns only if their number is even.
        north, south = (self.north, self.south) if width % 2 == 0 else ("edge", "edge")
        return replace(
            self,
            shape=(height, width),
            north=north,
            south=south,
            y_edges=y_edges,
            x_edges=x_edges,
        )


def split_edges(edges: Edges, factor: int) -> Edges:
    """Return the edges of cells that are split into ``factor`` equal parts.

    >>> split_edges((0.0, 2.0, 6.0), 2)
    (0.0, 1.0, 2.0, 4.0, 6.0)
    """
    if edges is None:
        return None
    coarse = np.array(edges)
    inner = coarse[:-1, None] + np.diff(coarse)[:, None] * np.arange(factor) / factor
    return (*inner.ravel().tolist(), edges[-1])


def domain_of(
    shape: tuple[int, int],
    y_values: np.ndarray | None,
    y_step: float,
    x_step: float,
    kind: Kind | None,
    *,
    geographic: bool,
    y_edges: Edges = None,
    x_edges: Edges = None,
    wrap: bool = False,
) -> Domain:
    """Return the domain of rows and columns: cells or points, and borders at the poles.

    Parameters
    ----------
    shape
        Rows and columns.
    y_values
        (y,) coordinate of the rows, or None.
    y_step, x_step
        Spacing of rows and columns.
    kind
        ``"cell"`` or ``"point"``; None: points if rows lie on both poles, else cells.
    geographic
        Whether the coordinates are latitude and longitude in degrees.
    y_edges, x_edges
        As for :class:`Domain`; rows and columns that are unevenly spaced are cells.
    wrap
        Whether the first column follows on the last one, where coordinates don't tell.

    Raises
    ------
    GridError
        If there are fewer than 2 x 2 cells, or ``kind`` is something else.

    >>> domain_of((3, 4), np.array([90.0, 0.0, -90.0]), 90.0, 90.0, None, geographic=True)
    Domain(shape=(3, 4), kind='point', wrap=True, north='pole_row', south='pole_row')
    """
    if not is_one_of(kind, (None, "cell", "point")):
        raise GridError(f'grid={shown(kind)} is not known. Pass "cell", "point" or None.')
    if min(shape) < 2:
        raise GridError(f"the grid has {shape[0]} x {shape[1]} cells: it needs at least 2 x 2.")
    uneven = y_edges is not None or x_edges is not None
    if uneven and kind == "point":
        raise GridError(
            'grid="point" is for evenly spaced rows and columns; these are uneven. Leave it out: '
            "values are means over cells."
        )
    if not geographic or y_values is None:
        domain = Domain(shape=shape, kind=kind or "cell", wrap=wrap, y_edges=y_edges)
        return domain if wrap else replace(domain, x_edges=x_edges)
    beyond = [(90 - y_values.max()) / abs(y_step), (90 + y_values.min()) / abs(y_step)]
    on_pole = [abs(distance) < 10 * REGULAR for distance in beyond]
    at_edge = [abs(distance - 0.5) < 10 * REGULAR for distance in beyond]
    if y_edges is not None:
        at_edge = list(reach_poles(y_edges))
    kind = kind or ("point" if all(on_pole) and not uneven else "cell")
    touching = on_pole if kind == "point" else at_edge
    border: Border = "pole_row" if kind == "point" else "pole_edge"
    wrap = x_edges is None and spans_globe(shape[1], x_step)
    # 180 degrees are a whole number of columns only if their number is even.
    north, south = (wrap and shape[1] % 2 == 0 and touches for touches in touching)
    return Domain(
        shape=shape,
        kind=kind,
        wrap=wrap,
        north=border if north else "edge",
        south=border if south else "edge",
        y_edges=y_edges,
        x_edges=x_edges,
    )


def _mirror(index: np.ndarray, size: int, kind: Kind) -> np.ndarray:
    if size == 1:
        return np.zeros_like(index)
    period = 2 * size if kind == "cell" else 2 * size - 2
    index = index % period
    return np.where(index < size, index, (period - 1 if kind == "cell" else period) - index)
