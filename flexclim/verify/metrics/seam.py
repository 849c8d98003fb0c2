"""Visibility of tile borders: statistics at the borders compared with those elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import AlignmentError, FlexclimError, GridError, suggest_options
from flexclim.grids.candidates import with_positions
from flexclim.verify.core.alignment import check_not_empty, same_units
from flexclim.verify.core.box_sums import local_mean
from flexclim.verify.core.dimension_names import member_dimension
from flexclim.verify.core.geometry import Plane, find_plane, whole_planes
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.members import gather_members
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import as_list, check_count, check_flag
from flexclim.verify.core.scoring import join_variables
from flexclim.verify.metrics.spectra import gridded

TILES = "flexclim_tiles"
DETAIL = 9


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Borders of tiles along one axis: ``positions`` p lie between cells p - 1 and p."""

    positions: tuple[int, ...]
    size: int
    overlap: int
    wrap: bool


@suggest_options
def seam(
    da: xr.DataArray | xr.Dataset,
    *,
    rows: Sequence[int] | None = None,
    columns: Sequence[int] | None = None,
    overlap: int | None = None,
    wrap: bool | None = None,
    baseline: xr.DataArray | xr.Dataset | None = None,
    reference: xr.DataArray | xr.Dataset | None = None,
) -> xr.Dataset:
    """Compare the borders of tiles with places between them: 1 if there is no seam.

    Each statistic at the borders is divided by the same statistic at shifted borders, averaged
    over all shifts in both directions that avoid the overlap of every border.

    Parameters
    ----------
    da
        (..., y, x): an output of :func:`flexclim.downscale`, whose attribute ``flexclim_tiles``
        lists its tiles, or any other field. All other dimensions are averaged before the ratios
        are taken.
    rows, columns
        Border positions in the fine grid's canonical order: rows counted from the north (or the
        top), columns from the first at or east of 0 degrees on a global grid. Position p lies
        between cells p - 1 and p. None: from the attribute.
    overlap
        Cells that neighbouring tiles share at a border.
    wrap
        Whether the columns wrap around the globe. None: from the attribute or the coordinates.
    baseline
        A field without seams, such as the interpolated coarse field: the variance is then that
        of ``da - baseline``. None: that of the deviations from the mean over 9 x 9 cells.
    reference
        A field of the same area without seams, such as the truth: the ratios ``gradient`` and
        ``variance`` are divided by those of the reference. This removes the effect of coasts and
        storm tracks, which alone change the ratios of winds at 1 degree by up to 13 per cent.

    Returns
    -------
    Dataset
        Ratios of ``gradient``, the mean absolute difference across the borders; ``variance``, the
        mean square of the detail in the overlaps (without overlap, in the two cells at the
        border); and for an ensemble ``spread``, the variance between members there. Each for both
        axes together, and with the suffix ``_by_axis`` along ``axis`` (y, x). Of a Dataset
        ``gradient.u10`` and so on.

    Raises
    ------
    GridError
        If no borders are known, those known are of another field, or none has room for shifts.
    AlignmentError
        If the coordinates of ``baseline`` or ``reference`` differ.

    >>> noise = xr.DataArray(np.random.default_rng(0).normal(size=(64, 64)), dims=["y", "x"])
    >>> float(seam(noise, rows=[32], columns=[32], overlap=8).gradient.round(1))
    1.0
    """
    if not isinstance(da, xr.Dataset):
        if isinstance(baseline, xr.Dataset) or isinstance(reference, xr.Dataset):
            raise AlignmentError(
                "the field is a DataArray, but baseline= or reference= a Dataset. Select the "
                "variable that they share."
            )
        return _seam_of_field(da, rows, columns, overlap, wrap, baseline, reference)
    found: dict[str, xr.DataArray | xr.Dataset] = {}
    for name in gridded(da):
        # A variable with tiles of its own uses those.
        shared = {TILES: da.attrs[TILES]} if TILES in da.attrs else {}
        field = with_positions(da, name)
        field = field.assign_attrs(shared | field.attrs)
        found[name] = _seam_of_field(
            field,
            rows,
            columns,
            overlap,
            wrap,
            _pick(baseline, name, "baseline"),
            _pick(reference, name, "reference"),
        )
    return join_variables(found)


def _pick(other: xr.DataArray | xr.Dataset | None, name: str, role: str) -> xr.DataArray | None:
    """Return the variable ``name`` of a Dataset that belongs to the field's Dataset."""
    if other is None:
        return None
    if isinstance(other, xr.DataArray):
        raise AlignmentError(
            f"the fields are a Dataset, but {role}= is a DataArray. Give a Dataset with {name!r}."
        )
    if name not in other.data_vars:
        raise AlignmentError(f"no {name!r} among {list(other.data_vars)} of {role}=.")
    return with_positions(other, name)


def _seam_of_field(
    da: xr.DataArray,
    rows: Sequence[int] | None,
    columns: Sequence[int] | None,
    overlap: int | None,
    wrap: bool | None,
    baseline: xr.DataArray | None,
    reference: xr.DataArray | None,
) -> xr.Dataset:
    da = as_numbers(da, "field")
    check_not_empty(da)
    plane = find_plane(da)
    borders = find_borders(da, plane, rows, columns, overlap, wrap)
    da = canonical(da, plane)
    base = None
    if baseline is not None:
        base = _comparable(baseline, da, "baseline")
        base = _on_plane(check_coordinates(base, da, "baseline"), plane, "baseline")
    apart = "vary" if base is None else "differ from the baseline"
    profiles = _profiles(da, base, plane, borders["x"].wrap)
    ratios = _ratios(profiles, borders, f"field does not {apart}")
    if reference is None:
        return ratios
    # Without a baseline, times and members are averaged: only the place must be the same.
    place = (
        da
        if base is not None
        else da.isel(dict.fromkeys(set(da.dims) - set(plane.dims), 0), drop=True)
    )
    same = check_coordinates(_comparable(reference, da, "reference"), place, "reference")
    same = _on_plane(same, plane, "reference")
    profiles = _profiles(same, base, plane, borders["x"].wrap)
    usual = _ratios(profiles, borders, f"reference does not {apart}")
    return ratios.assign({n: (ratios[n] / usual[n]).assign_attrs(usual[n].attrs) for n in usual})


def _comparable(other: xr.DataArray, da: xr.DataArray, role: str) -> xr.DataArray:
    """Return a baseline or reference as numbers in the units of ``da``."""
    return same_units(as_numbers(other, role), da, (role, "field"))


def _on_plane(other: xr.DataArray, plane: Plane, role: str) -> xr.DataArray:
    """Return a field after checking that it has the rows and columns of another."""
    if missing := [name for name in plane.dims if name not in other.dims]:
        raise AlignmentError(
            f"the {role} has no dimension {missing[0]!r}, only {other.dims}. Rename its dimensions."
        )
    return other


def find_borders(
    da: xr.DataArray,
    plane: Plane,
    rows: Sequence[int] | None,
    columns: Sequence[int] | None,
    overlap: int | None,
    wrap: bool | None,
) -> dict[str, Borders]:
    """Return the borders along ``"y"`` and ``"x"``, from arguments or the attribute."""
    tiles = _stored_tiles(da)
    if not tiles and rows is None and columns is None:
        raise GridError(
            f"no tile borders: the field has no attribute {TILES!r}. Pass rows=, columns= and "
            "overlap=."
        )
    cells = tiles.get("cells")
    if None in (rows, columns) and cells and cells != [da.sizes[plane.y], da.sizes[plane.x]]:
        raise GridError(
            f"{TILES!r} holds the borders of {cells[0]} x {cells[1]} cells, and the field has "
            f"{da.sizes[plane.y]} x {da.sizes[plane.x]}, so it is a part or on another grid. Give "
            "the whole field, or rows=, columns= and overlap=."
        )
    rows = tiles.get("rows", []) if rows is None else rows
    columns = tiles.get("columns", []) if columns is None else columns
    overlap = check_count("overlap", tiles.get("overlap", 0) if overlap is None else overlap, 0)
    wrap = check_flag("wrap", tiles.get("wrap", plane.wrap) if wrap is None else wrap)
    found = {}
    named = (("y", plane.y, "rows", rows), ("x", plane.x, "columns", columns))
    for axis, name, role, listed in named:
        size = da.sizes[name]
        around = wrap and axis == "x"
        given = [check_count(role, position, 0) for position in as_list(listed)]
        inside = sorted({p % size if around else p for p in given})
        if not around:
            inside = [p for p in inside if 0 < p < size]
        found[axis] = Borders(positions=tuple(inside), size=size, overlap=overlap, wrap=around)
    return found


def _stored_tiles(da: xr.DataArray) -> dict[str, Any]:
    """Return the tiles that a field's attribute lists; empty if it has none."""
    try:
        tiles = json.loads(da.attrs.get(TILES, "{}"))
    except (TypeError, ValueError):
        tiles = None
    if not isinstance(tiles, dict):
        raise GridError(
            f"the attribute {TILES!r} does not list tiles: {str(da.attrs[TILES])[:60]!r}. Delete "
            "it, and pass rows=, columns= and overlap=."
        )
    return tiles


def canonical(da: xr.DataArray, plane: Plane) -> xr.DataArray:
    """Sort rows from the north and, on a global grid, columns eastward from 0 degrees."""
    if plane.y in da.coords and da[plane.y][0] < da[plane.y][-1]:
        da = da.isel({plane.y: slice(None, None, -1)})
    if plane.x in da.coords and plane.wrap:
        longitude = np.round(da[plane.x].values.astype(float) % 360, 6) % 360
        da = da.isel({plane.x: np.argsort(longitude)})
    return da


def _profiles(
    da: xr.DataArray, base: xr.DataArray | None, plane: Plane, wrap: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Return the statistics along each axis, averaged over all other dimensions."""
    size = min(DETAIL, *(2 * ((da.sizes[d] - 1) // 2) + 1 for d in (plane.y, plane.x)))
    if base is None:
        base = xr.apply_ufunc(
            local_mean,
            whole_planes(da, plane),
            input_core_dims=[[plane.y, plane.x]],
            output_core_dims=[[plane.y, plane.x]],
            kwargs={"size": size, "wrap": wrap},
            dask="parallelized",
            output_dtypes=[float],
        )
    squares = (da - base) ** 2
    member = member_dimension(da)
    wanted: dict[str, dict[str, xr.DataArray]] = {"y": {}, "x": {}}
    for axis, name in (("y", plane.y), ("x", plane.x)):
        others = [d for d in da.dims if d != name]
        step = abs(da - da.roll({name: 1}, roll_coords=False))
        wanted[axis]["gradient"] = step.mean(others)
        wanted[axis]["variance"] = squares.mean(others)
        if member is not None and da.sizes[member] > 1:
            ensemble = da.transpose(member, ...)
            if da.chunks is not None:
                ensemble = ensemble.copy(data=gather_members(ensemble))
            between = ensemble.astype(float).var(member, ddof=1)
            wanted[axis]["spread"] = between.mean([d for d in others if d != member])
    flat = xr.Dataset(
        {
            f"{name} {axis}": profile.drop_vars(profile.coords)
            for axis, profiles in wanted.items()
            for name, profile in profiles.items()
        }
    ).compute()
    return {axis: {n: flat[f"{n} {axis}"].values for n in ps} for axis, ps in wanted.items()}


def _ratios(
    profiles: dict[str, dict[str, np.ndarray]], borders: dict[str, Borders], otherwise: str
) -> xr.Dataset:
    """Return the ratios of all statistics; ``otherwise`` says why there may be none."""
    texts = {
        "gradient": "gradient across tile borders over that between them",
        "variance": "variance in overlaps of tiles over that between them",
        "spread": "ensemble variance in overlaps of tiles over that between them",
    }
    result = {}
    for name in profiles["y"]:
        sums = [compare(profiles[axis][name], borders[axis], name == "gradient") for axis in "yx"]
        counted = [s for s in sums if s[0] > 0]
        if not counted:
            raise GridError(
                f"no tile border to judge: rows {borders['y'].positions}, columns "
                f"{borders['x'].positions} with overlap {borders['y'].overlap} leave no room for "
                "shifts between them. Use larger tiles, or a smaller overlap."
            )
        total = np.sum(counted, axis=0)
        attributes = {"long_name": texts[name], "units": "1"}
        result[name] = xr.DataArray(_ratio(*total), attrs=attributes)
        along = [_ratio(*s) for s in sums]
        result[f"{name}_by_axis"] = xr.DataArray(
            along, {"axis": ["y", "x"]}, ["axis"], attrs=attributes
        )
    if not all(np.isfinite(v).any() for v in result.values()):
        raise FlexclimError(f"the {otherwise}, or is NaN: no seam can be measured.")
    return xr.Dataset(result)


def _ratio(count: float, there: float, elsewhere: float) -> float:
    return there / elsewhere if count > 0 and elsewhere > 0 else np.nan


def compare(profile: np.ndarray, borders: Borders, gradient: bool) -> tuple[int, float, float]:
    """Sum a statistic over the borders, and its mean over shifted borders.

    Returns
    -------
    tuple
        Number of borders with room for shifts, sum over them, sum of their shifted means.
    """
    width = 1 if gradient else max(borders.overlap, 2)
    first = 0 if gradient else -(width // 2)
    count, there, elsewhere = 0, 0.0, 0.0
    for position in borders.positions:
        shifts = allowed_shifts(position, borders, width, first)
        if shifts.size == 0:
            continue
        cells = position + first + np.arange(width)
        shifted = (cells[None, :] + shifts[:, None]) % borders.size
        here, beside = profile[cells % borders.size], profile[shifted]
        count += 1
        if np.isnan(here).all() or np.isnan(beside).all():
            continue  # a border where the field is missing
        there += float(np.nanmean(here))
        elsewhere += float(np.nanmean(beside))
    return count, there, elsewhere


def allowed_shifts(position: int, borders: Borders, width: int, first: int) -> np.ndarray:
    """Return the shifts of one border, symmetric, that avoid the overlaps of all borders."""
    clear = max(borders.overlap, 1)
    others = [p for p in borders.positions if p != position]
    if borders.wrap:
        turns = [p + t for p in borders.positions for t in (-borders.size, borders.size)]
        left = min(position - p for p in [*others, *turns] if p < position)
        right = min(p - position for p in [*others, *turns] if p > position)
        room = min(left, right) - clear
    else:
        left = min([position - p - clear for p in others if p < position], default=borders.size)
        right = min([p - position - clear for p in others if p > position], default=borders.size)
        # Column 0 has no left neighbour, so it has no gradient.
        lowest, highest = max(1, -first), borders.size - (first + width)
        room = min(left, right, position - lowest, highest - position)
    steps = np.arange(clear, room + 1)
    return np.concatenate([-steps[::-1], steps])
