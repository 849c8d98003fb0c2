"""Regridding weights in NetCDF, in the layout of ESMF, SCRIP and xESMF: row, col and S."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import sparse

from flexclim._version import __version__
from flexclim.errors import GridError
from flexclim.files import PARTIAL, store_errors
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.methods import RegridMethod, weights_between
from flexclim.grids.regridding.sparse_weights import Slopes, Weights, check_coverage
from flexclim.grids.regridding.targets import Target

# Names of target cells, source cells and weights: ESMF's and xESMF's, and SCRIP's as CDO has them.
LAYOUTS = ("row", "col", "S"), ("dst_address", "src_address", "remap_matrix")
# Attribute that says which cells and method weights were computed for.
MADE_FOR = "flexclim_cells"
# Weights between the last pairs of grids, by cells and method.
_RECENT: dict[str, Weights] = {}
RECENT = 8


def find_weights(
    source: Cells, target: Target, method: RegridMethod, path: str | os.PathLike[str] | None = None
) -> Weights:
    """Return weights from a file, from memory, or computed; and check what they cover.

    Parameters
    ----------
    source, target, method
        As in ``weights_between``.
    path
        NetCDF file, which is written if there is none.

    Raises
    ------
    GridError
        As ``weights_between``, ``check_coverage`` and :func:`read_weights` do.
    """
    made_for = f"{source.fingerprint} {target.fingerprint} {method}"
    shape = target.latitude.size, source.size
    exists = path is not None and Path(path).exists()
    if path is not None and exists:
        found = read_weights(path, shape, made_for)
    else:
        known = _RECENT.pop(made_for, None)
        found = weights_between(source, target, method) if known is None else known
        _RECENT[made_for] = found
        while len(_RECENT) > RECENT:
            del _RECENT[next(iter(_RECENT))]
    check_coverage(found.covered, source, target)
    if path is not None and not exists:
        write_weights(path, found, made_for)
    return found


def write_weights(path: str | os.PathLike[str], weights: Weights, made_for: str) -> None:
    """Write weights to a NetCDF file, completely or not at all.

    Parameters
    ----------
    path
        Name of the file; an existing one is replaced.
    weights
        Weights (target, source). Numbers of cells begin at 1 in the file.
    made_for
        Description of the cells and the method, which :func:`read_weights` compares.
    """
    targets, sources = weights.matrix.shape
    content = _variables("", weights.matrix, "n_s")
    if weights.turned is not None:
        content |= _variables("turned_", weights.turned, "n_turned")
    if weights.slopes is not None:
        content |= _variables("moment_", weights.slopes.moments, "n_moments")
        content |= _variables("difference_", weights.slopes.differences, "n_differences")
    content |= {
        "frac_b": xr.Variable("n_b", weights.matrix.sum(axis=1)),
        "src_grid_dims": xr.Variable("src_grid_rank", np.array([sources], np.int32)),
        "dst_grid_dims": xr.Variable("dst_grid_rank", np.array([targets], np.int32)),
        "frac_a": xr.Variable("n_a", (np.diff(weights.matrix.tocsc().indptr) > 0).astype(float)),
    }
    ds = xr.Dataset(content, attrs={MADE_FOR: made_for, "normalization": "destarea"})
    ds.attrs["history"] = f"flexclim {__version__}: regridding weights"
    path = Path(path)
    partial = path.with_name(path.name + PARTIAL)
    with store_errors(str(path), ""):
        try:
            ds.to_netcdf(partial, encoding={name: {"zlib": True} for name in content})
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def read_weights(
    path: str | os.PathLike[str], shape: tuple[int, int], made_for: str | None = None
) -> Weights:
    """Read weights from a file of flexclim, xESMF, ESMF or CDO.

    Parameters
    ----------
    path
        NetCDF file.
    shape
        Numbers of target and source cells.
    made_for
        As in :func:`write_weights`; files of other programs don't say it.

    Raises
    ------
    GridError
        If the file holds no weights, or weights of other cells.
    """
    try:
        ds = xr.open_dataset(path)
    except (OSError, ValueError) as error:
        raise GridError(f"{path} is no NetCDF file of weights: {error}.") from error
    with ds:
        layout = next((names for names in LAYOUTS if set(names) <= set(ds.variables)), None)
        if layout is None:
            raise GridError(
                f"{path} has no weights: none of row, col and S. Pass a file of flexclim, xESMF, "
                "ESMF or CDO."
            )
        known = ds.attrs.get(MADE_FOR)
        if known and made_for and known != made_for:
            raise GridError(
                f"{path} has weights of other cells or another method. Pass another name, or "
                "delete it."
            )
        sizes = _size(ds, "n_b", "dst_grid_dims"), _size(ds, "n_a", "src_grid_dims")
        for size, wanted, what in zip(sizes, shape, ("target", "input"), strict=True):
            if size is not None and size != wanted:
                raise GridError(
                    f"{path} has weights of {size} {what} cells; the {what} has {wanted}. Pass "
                    "the weights of these grids."
                )
        matrix = _matrix(ds, layout, shape, path)
        turned = slopes = None
        if "turned_S" in ds:
            turned = _matrix(ds, _names("turned_"), shape, path)
        if "moment_S" in ds:
            moments = _matrix(ds, _names("moment_"), (shape[0], 2 * shape[1]), path)
            differences = _matrix(ds, _names("difference_"), (2 * shape[1], shape[1]), path)
            slopes = Slopes(differences=differences, moments=moments)
    return Weights(matrix=matrix, turned=turned, slopes=slopes)


def _names(prefix: str) -> tuple[str, str, str]:
    row, col, weight = LAYOUTS[0]
    return f"{prefix}{row}", f"{prefix}{col}", f"{prefix}{weight}"


def _variables(prefix: str, matrix: sparse.csr_array, dim: str) -> dict[str, xr.Variable]:
    listed = matrix.tocoo()
    values = (listed.row + 1).astype(np.int32), (listed.col + 1).astype(np.int32), listed.data
    return {name: xr.Variable(dim, part) for name, part in zip(_names(prefix), values, strict=True)}


def _size(ds: xr.Dataset, dim: str, grid_dims: str) -> int | None:
    if dim in ds.sizes:
        return int(ds.sizes[dim])
    return int(np.prod(ds[grid_dims].values)) if grid_dims in ds else None


def _matrix(
    ds: xr.Dataset,
    names: tuple[str, str, str],
    shape: tuple[int, int],
    path: str | os.PathLike[str],
) -> sparse.csr_array:
    row, col = (ds[name].values.astype(np.int64) - 1 for name in names[:2])
    values = np.asarray(ds[names[2]].values, float)
    values = values[:, 0] if values.ndim == 2 else values
    for index, size, what in ((row, shape[0], "target"), (col, shape[1], "input")):
        if index.size and (index.min() < 0 or index.max() >= size):
            raise GridError(
                f"{path} has weights of {what} cell {index.max() + 1}; the {what} has {size}. "
                "Pass the weights of these grids."
            )
    return sparse.csr_array((values, (row, col)), shape=shape)
