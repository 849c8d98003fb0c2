"""Recognise HEALPix and unstructured grids, to say what was found."""

from __future__ import annotations

from collections.abc import Hashable

import xarray as xr

# Lower-case names of the dimension of cells that are not in rows and columns.
CELLS = {
    *("cell", "cells", "ncells", "healpix", "pix", "pixel", "npix", "values", "rgrid", "node"),
    *("nodes", "nod2", "nod2d", "ncol", "face", "faces", "nface", "nmesh2_face", "mesh2d_nfaces"),
    *("nvertices", "nedges", "edge"),
}
HEALPIX_ADVICE = (
    'Pass grid="healpix", or "healpix:ring" (--grid at the shell; healpix: nested or ring in a '
    "recipe)."
)


def cells_along(obj: xr.Dataset | xr.DataArray) -> Hashable | None:
    """Return the dimension of cells that are not in rows and columns, by its name; else None."""
    for name, size in obj.sizes.items():
        low = str(name).lower()
        if low in CELLS or (low == "x" and name not in obj.coords and healpix_nside(size)):
            return name
    return None


def list_of_cells(obj: xr.Dataset | xr.DataArray, dim: Hashable) -> str:
    """Say on which grid cells along one dimension lie, and what to do.

    >>> list_of_cells(xr.DataArray([0.0] * 48, dims="cell"), "cell").split(". ")[0]
    "48 cells along 'cell' are a HEALPix grid (nside 2)"
    """
    nside = healpix_nside(obj.sizes[dim]) if dim == cells_along(obj) else None
    kind = f"a HEALPix grid (nside {nside})" if nside else "an unstructured grid or stations"
    advice = HEALPIX_ADVICE if nside else f"Add 1-D latitudes and longitudes along {dim!r}."
    return f"{obj.sizes[dim]} cells along {dim!r} are {kind}. {advice}"


def healpix_nside(size: int) -> int | None:
    """Return the nside of a HEALPix grid with so many cells, 12 nside^2; None if there is none.

    >>> healpix_nside(12), healpix_nside(3072), healpix_nside(100)
    (1, 16, None)
    """
    nside = round((size / 12) ** 0.5)
    power = nside > 0 and nside & (nside - 1) == 0
    return nside if power and 12 * nside * nside == size else None
