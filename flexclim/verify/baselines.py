"""Baselines of a forecast: interpolation, and interpolation plus residuals drawn at random."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.units import TEMPERATURES, cf_units
from flexclim.errors import AlignmentError, FlexclimError, suggest_options
from flexclim.grids.candidates import with_positions
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.operators import Method
from flexclim.resampling import coarsen, interpolate
from flexclim.verify.core.alignment import same_units
from flexclim.verify.core.dimension_names import member_dimension
from flexclim.verify.core.geometry import find_dimension, find_plane
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import check_count, check_seed
from flexclim.verify.core.scoring import Fields

LARGEST_FACTOR = 64


def interpolations(coarse: xr.DataArray, truth: xr.DataArray) -> dict[str, xr.DataArray]:
    """Interpolate the coarse field to the grid of ``truth``, ``"bilinear"`` and ``"bicubic"``.

    Raises
    ------
    AlignmentError
        If the grids differ by no whole factor.
    """
    factor, kind = find_factor(coarse, truth)
    methods: tuple[Method, ...] = ("bilinear", "bicubic")
    return {method: interpolate(coarse, factor, method, grid=kind) for method in methods}


def find_factor(coarse: xr.DataArray, truth: xr.DataArray) -> tuple[int, Kind]:
    """Return the factor and the kind of grid that give as many rows and columns as ``truth``.

    A region cut from a grid of points looks like one of cells, but its fine grid has another size.
    """
    plane, grid = find_plane(truth), find_grid(coarse)
    wanted = (truth.sizes[plane.y], truth.sizes[plane.x])
    for kind in (grid.domain.kind, "point"):
        domain = find_grid(coarse, kind).domain
        for factor in range(1, LARGEST_FACTOR + 1):
            if domain.refine(factor).shape == wanted:
                return factor, domain.kind
    raise AlignmentError(
        f"the coarse field has {grid.domain.shape[0]} x {grid.domain.shape[1]} {grid.domain.kind}s,"
        f" the truth {wanted[0]} x {wanted[1]}: no whole factor relates their sizes. Crop the "
        "truth to the area of the coarse field."
    )


@suggest_options
def residuals(fine: Fields, factor: int, method: Method = "bicubic") -> Fields:
    """Return the interpolation errors of fields, from which the residual baseline draws.

    Parameters
    ----------
    fine
        DataArray or Dataset of training fields, (time, y, x).
    factor
        Fine cells along one side of a coarse cell.
    method
        Interpolation method.

    Returns
    -------
    DataArray or Dataset
        ``fine`` minus its block means interpolated back to the fine grid; same dimensions.

    >>> field = xr.DataArray(np.eye(8), {"lat": np.arange(8.0), "lon": np.arange(8.0)})
    >>> float(abs(residuals(field, 4)).max()) > 0.5
    True
    """
    if isinstance(fine, xr.Dataset):
        others = auxiliary_variables(fine)
        planes = {n: with_positions(fine, str(n)) for n in fine.data_vars if n not in others}
        missed = {
            n: _residual(field, factor, method) for n, field in planes.items() if _has_plane(field)
        }
        return xr.Dataset(missed, attrs=fine.attrs)
    return _residual(fine, factor, method)


def _residual(fine: xr.DataArray, factor: int, method: Method) -> xr.DataArray:
    fine = as_numbers(fine, "field")
    smooth = interpolate(coarsen(fine, factor), factor, method)
    difference = fine - check_coordinates(smooth, fine, "interpolated field")
    attributes = dict(fine.attrs)
    if cf_units(str(attributes.get("units", ""))) in TEMPERATURES:
        attributes["units_metadata"] = "temperature: difference"
    return difference.assign_attrs(attributes)


def _has_plane(field: xr.DataArray) -> bool:
    return all(find_dimension(field, axis) is not None for axis in ("Y", "X"))


@suggest_options
def residual_ensemble(
    base: xr.DataArray, residuals: xr.DataArray, members: int, seed: int = 0
) -> xr.DataArray:
    """Add residuals of other fields to a field, drawn at random for each member and time.

    Parameters
    ----------
    base
        Interpolated field, (..., y, x).
    residuals
        (sample, y, x) on the same grid, with any number of sample dimensions.
    members
        Number of members. The residuals at one time are drawn without replacement if there are
        enough of them.
    seed
        Of the random draws.

    Returns
    -------
    DataArray
        (realization, ..., y, x), lazy if an input is.

    Raises
    ------
    AlignmentError
        If the grids differ in size.

    >>> base = xr.DataArray(np.zeros((1, 1)), dims=["y", "x"])
    >>> drawn = residual_ensemble(base, base.expand_dims(sample=3) + 1.0, members=2)
    >>> drawn.dims, float(drawn.sum())
    (('realization', 'y', 'x'), 2.0)
    """
    members, seed = check_count("members", members), check_seed(seed)
    plane = find_plane(base)
    core = (plane.y, plane.x)
    if (extra := member_dimension(base)) is not None:
        raise FlexclimError(f"the base field has members along {extra!r}. Give a single field.")
    place = base.isel({d: 0 for d in base.dims if d not in core}, drop=True)
    residuals = same_units(
        check_coordinates(residuals, place, "residuals"),
        place,
        ("residuals", "base field"),
        difference=True,
    )
    for name in core:
        if name not in residuals.dims:
            raise AlignmentError(
                f"residuals have no dimension {name!r}, only {residuals.dims}. Compute residuals "
                "on the grid of the field."
            )
    residuals = residuals.drop_vars(residuals.coords)
    samples = [name for name in residuals.dims if name not in core]
    pool = residuals.stack(_sample=samples, create_index=False)
    cases = [name for name in base.dims if name not in core]
    shape = tuple(base.sizes[name] for name in cases)
    rng = np.random.default_rng(seed)
    draws = [
        rng.choice(pool.sizes["_sample"], members, replace=members > pool.sizes["_sample"])
        for _ in range(int(np.prod(shape)))
    ]
    index = np.asarray(draws).T.reshape(members, *shape)
    member = REALIZATION
    drawn = pool.isel(_sample=xr.DataArray(index, dims=[member, *cases]))
    drawn = drawn.transpose(member, *base.dims)
    return (base + drawn).transpose(member, *base.dims).assign_attrs(base.attrs)
