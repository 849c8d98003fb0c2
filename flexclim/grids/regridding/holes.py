"""Find holes between cells whose corners a file gives."""

from __future__ import annotations

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.regridding.overlap import containing
from flexclim.grids.regridding.polygons import Polygons, vectors

# Cells that are looked at, and the fewest among which borders don't matter.
SAMPLE, FEWEST = 500, 100
# Distance beside a corner, in distances from the centre, and share of corners without neighbours.
BESIDE, LONELY = 0.03, 0.5


def check_holes(latitude: np.ndarray, longitude: np.ndarray, cells: Polygons) -> None:
    """Check that other cells lie beside the corners of cells.

    Parameters
    ----------
    latitude, longitude
        (n, corners) degrees.
    cells
        The cells with these corners.

    Raises
    ------
    GridError
        If none lies within 3 % of the cells' radius of more than half of the corners.
    """
    if cells.size < FEWEST:
        return
    some = np.unique(np.linspace(0, cells.size - 1, SAMPLE).astype(int))
    corners = vectors(np.deg2rad(longitude[some]), np.sin(np.deg2rad(latitude[some])))
    centres = corners.mean(axis=2, keepdims=True)
    x, y, z = (centres + (1 + BESIDE) * (corners - centres)).reshape(3, -1)
    known = np.isfinite(x)
    x, y, z = x[known], y[known], z[known]
    found = containing(cells, np.arctan2(y, x), z / np.sqrt(x * x + y * y + z * z))
    share = np.mean(found < 0) if found.size else 0.0
    if share > LONELY:
        raise GridError(
            f"cells leave holes: beside {100 * share:.0f} % of their corners lies no other cell. "
            "Correct their bounds, drop them with .drop_vars, or use .flex.regrid with "
            'method="nearest" or "bilinear".'
        )
