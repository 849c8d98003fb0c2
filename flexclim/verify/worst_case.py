"""The case, such as a time, where a forecast's score is largest: its fields, for a figure.

Fields of a lazy forecast are kept while it is read, so that no case is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.members import gather_members
from flexclim.verify.core.merging import boxed, merge_boxes

if TYPE_CHECKING:
    from dask.array import Array

ENSEMBLE_PANELS = ["one member", "ensemble mean", "spread"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """The case with the largest score so far.

    Parameters
    ----------
    score
        Minus infinity where it is missing.
    index
        Position among all cases.
    fields
        (panel, y, x).
    """

    score: float
    index: int
    fields: np.ndarray

    def merge(self, other: Case) -> Case:
        """Return the case with the larger score, the first of equal ones."""
        return max(self, other, key=lambda case: (case.score, -case.index))


def find_worst(pair: Pair, bicubic: xr.DataArray | None, score: xr.DataArray) -> np.ndarray | Array:
    """Return an array of one object, the case with the largest score; lazy if a field is.

    Parameters
    ----------
    pair
        Its truth, and one member, mean and spread of the ensemble (or the single field) are kept.
    bicubic
        The interpolated coarse field, kept as well.
    score
        (cases...), along the dimensions of the truth that are not horizontal.
    """
    cases = _cases(pair)
    order = (*cases, *pair.plane.dims)
    members = pair.forecast if pair.member else pair.forecast.expand_dims("_single")
    members = members.transpose(pair.member or "_single", *order)
    others = [field.transpose(*order) for field in (pair.truth, bicubic) if field is not None]
    score = score.transpose(*cases)
    if not cases:
        members = members.expand_dims("_case", axis=1)
        score, *others = (field.expand_dims("_case") for field in (score, *others))
    if any(field.chunks is not None for field in (members, score, *others)):
        return _lazy_worst(members, others, score)
    place = np.unravel_index(_largest(score.values), score.shape)
    here = dict(zip(score.dims, map(int, place), strict=True))
    truth, *rest = (field.isel(here).values for field in others)
    panels = np.stack([truth, *_panels(members.isel(here).values), *rest])
    index = int(np.ravel_multi_index(place, score.shape))
    return boxed(Case(score=float(score.values[place]), index=index, fields=panels), 1)


def worst_fields(pair: Pair, found: np.ndarray) -> xr.DataArray:
    """Return the fields of the worst case, (panel, y, x), and name the case in an attribute."""
    case: Case = found.item()
    cases = _cases(pair)
    index = np.unravel_index(case.index, [pair.truth.sizes[name] for name in cases] or [1])
    place = dict(zip(cases, map(int, index), strict=False))
    observed = pair.truth.isel(place)
    panels = ["truth", *(ENSEMBLE_PANELS if pair.size > 1 else ["forecast"]), "bicubic"]
    names = np.array(panels[: len(case.fields)], dtype=object)  # Zarr has no fixed-length text
    like = observed.drop_vars(place, errors="ignore")
    fields = xr.DataArray(case.fields, dims=["panel", *pair.plane.dims])
    fields = fields.transpose("panel", *like.dims).assign_coords(like.coords)
    fields = fields.assign_coords(panel=names)
    label = ", ".join(f"{n} {_label(observed[n])}" for n in place if n in observed.coords)
    attributes = pair.describe("fields where the forecast's CRPS is largest", values=True)
    return fields.rename(pair.truth.name).assign_attrs(attributes, case=label or "the only case")


def _cases(pair: Pair) -> list[str]:
    return [str(name) for name in pair.truth.dims if name not in pair.plane.dims]


def _lazy_worst(
    members: xr.DataArray, others: Sequence[xr.DataArray], score: xr.DataArray
) -> Array:
    """Choose the worst case of each chunk, and merge them along a tree."""
    import dask.array as da

    gathered = gather_members(members)
    count = len(ENSEMBLE_PANELS) if members.sizes[members.dims[0]] > 1 else 1
    own = da.map_blocks(
        _panels,
        gathered,
        chunks=((count,), *gathered.chunks[1:]),
        dtype=gathered.dtype,
        meta=np.empty((0,) * gathered.ndim, gathered.dtype),
    )
    chunks = gathered.chunks[1:-2]
    axes = tuple(range(score.ndim))
    y, x = score.ndim, score.ndim + 1
    arguments: list[Any] = [da.asarray(score.data).rechunk(chunks), axes]
    number = np.arange(score.size).reshape(score.shape)
    arguments += [da.from_array(number, chunks=chunks), axes]
    arguments += [own.rechunk((-1, *chunks, -1, -1)), (x + 1, *axes, y, x)]
    for field in others:
        arguments += [da.asarray(field.data).rechunk((*chunks, -1, -1)), (*axes, y, x)]
    boxes: Array = da.blockwise(
        _choose,
        axes,
        *arguments,
        adjust_chunks=dict.fromkeys(axes, lambda size: 1),
        concatenate=True,
        dtype=object,
        meta=np.empty((0,) * score.ndim, object),
    )
    return merge_boxes(boxes, axes)


def _choose(
    score: np.ndarray, number: np.ndarray, own: np.ndarray, *others: np.ndarray
) -> np.ndarray:
    """Return the worst case of a block: ``own`` panels (panel, cases..., y, x), truth, bicubic."""
    place = np.unravel_index(_largest(score), score.shape)
    truth, *rest = (field[place] for field in others)
    fields = np.stack([truth, *(panel[place] for panel in own), *rest])
    found = float(np.nan_to_num(score[place], nan=-np.inf))
    return boxed(Case(score=found, index=int(number[place]), fields=fields), score.ndim)


def _largest(score: np.ndarray) -> int:
    """Return the position of the largest score, 0 if all are missing."""
    return int(np.argmax(np.where(np.isnan(score), -np.inf, score)))


def _panels(members: np.ndarray) -> np.ndarray:
    """Return one member, the mean and the spread of (M, ...), or the single field."""
    if len(members) == 1:
        return members
    field = xr.Variable(["member", *map(str, range(members.ndim - 1))], members)
    mean, spread = field.mean("member"), field.std("member", ddof=1)
    return np.stack([members[0], mean.values, spread.values])


def _label(coordinate: xr.DataArray) -> str:
    value = coordinate.values
    if value.dtype.kind == "M":
        return str(value.astype("datetime64[m]")).replace("T", " ")
    return str(value)
