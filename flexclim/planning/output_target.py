"""What the fine grid is averaged to: cells, points or regions, and the weights for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, GridError, warn
from flexclim.grids.candidates import is_position
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.plane_weights import Part, PartWeights, plane_weights
from flexclim.grids.regridding.sparse_weights import check_coverage
from flexclim.grids.regridding.targets import Target, target_of
from flexclim.models.model import Model
from flexclim.planning.elevations import LapseRate, plan_lapse_rate
from flexclim.planning.model_choice import Choice
from flexclim.planning.plan import Attributes
from flexclim.planning.regions import PIXELS
from flexclim.planning.source import Source

# Largest share of a target that may be missing, as in ``regrid``; it is NaN where more is.
NAN_THRESHOLD = 0.5
# Rows of a block of a large target are a multiple of this, which divides into chunks of a store.
MULTIPLE = 256
# Weights of the last targets, by cells, target and parts.
_RECENT: dict[tuple[object, ...], list[PartWeights]] = {}
RECENT = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Aim:
    """The output that the user asks for.

    Parameters
    ----------
    to
        What the fine grid is averaged to; None: nothing.
    lapse_rate
        Decrease of temperature with height in K/km, to the target's elevation.
    """

    to: Any = None
    lapse_rate: float | None = None

    def __post_init__(self) -> None:
        if self.lapse_rate is not None and self.to is None:
            raise FlexclimError(
                "lapse_rate is for the elevations of a target. Pass one as to=, or leave it out."
            )

    def choice(self, model: str | Model | None, variables: Sequence[str] | str | None) -> Choice:
        """Return the user's choice of a model; the lapse rate uses static fields too."""
        optional = self.lapse_rate is not None
        return Choice(model=model, variables=variables, static_optional=optional)


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputTarget:
    """A target with the weights of the parts of the fine plane, each in a block of dask's.

    Parameters
    ----------
    target
        Where output lies.
    plane
        Dimensions of the fine cells.
    parts, weights
        Places of each part along these, and the weights of their cells.
    lapse
        How temperatures follow its elevation; None: they don't.
    """

    target: Target
    plane: tuple[str, ...]
    parts: Sequence[Part]
    weights: Sequence[PartWeights]
    lapse: LapseRate | None = None

    @property
    def blocks(self) -> list[slice]:
        """Rows of the target, or places in a list, that are computed together."""
        rows, *columns = self.target.shape
        width = columns[0] if columns else 1
        if rows * width <= PIXELS:
            return [slice(0, rows)]
        side = max(MULTIPLE, PIXELS // width // MULTIPLE * MULTIPLE)
        return [slice(first, min(first + side, rows)) for first in range(0, rows, side)]

    @property
    def used(self) -> list[Part]:
        """Places of the parts that hold some of the target."""
        pairs = zip(self.parts, self.weights, strict=True)
        return [part for part, weights in pairs if not weights.empty]

    @property
    def method(self) -> str:
        """How values are taken from the fine grid, in words."""
        if self.target.kind == "points":
            return "value of the fine cell around each point"
        return "conservative: mean of fine cells, weighted by the area in common"

    def attributes(self) -> Attributes:
        """Return the attributes that record the target."""
        found: Attributes = {
            "flexclim_target": self.target.text,
            "flexclim_target_method": self.method,
        }
        return found | ({"flexclim_lapse_rate": self.lapse.rate} if self.lapse else {})


def read_target(to: Any, source: Source) -> Target:
    """Return what ``to`` means over the input's extent.

    Raises
    ------
    GridError
        If it means nothing, or a polygon is invalid.
    """
    ds = source.dataset
    ds = ds.set_coords([name for name, one in ds.data_vars.items() if is_position(one)])
    mappings = [name for name, one in ds.data_vars.items() if "grid_mapping_name" in one.attrs]
    return target_of(to, cells_of(ds[[*source.fields, *mappings]]))


def plan_target(
    aim: Aim, read: Target, source: Source, fine: xr.Dataset, names: Sequence[str]
) -> OutputTarget:
    """Find the weights of a target in the fine grid; compute no field.

    Parameters
    ----------
    aim, read
        As the user gave it, and from :func:`read_target`.
    source
        Holds static fields.
    fine, names
        The lazy output on the fine grid, and the names of its fields.

    Raises
    ------
    GridError
        If points or polygons lie outside the input, or a dimension is taken.
    FlexclimError
        As :func:`~flexclim.planning.elevations.plan_lapse_rate` does.

    Warns
    -----
    FlexclimWarning
        If cells of an object lie outside.
    """
    field, cells = fine[names[0]], cells_of(fine)
    _check_dimensions(field, read, cells.dims)
    # A number of degrees, or a level of HEALPix, covers the extent of the fine cells.
    by_extent = bool(np.isscalar(aim.to))
    target = target_of(aim.to, cells) if by_extent else read
    chunks = (field.variable.chunksizes[dim] for dim in cells.dims)
    parts = [*itertools.product(*(_slices(sizes) for sizes in chunks))]
    weights = _weights(cells, target, parts)
    share = np.sum([one.covered for one in weights], axis=0)
    check_coverage(share, cells, target)
    outside = share < 1 - NAN_THRESHOLD
    if not by_extent and target.kind == "cells" and outside.any():
        at = int(np.flatnonzero(outside)[0])
        south, north, west, east = cells.extent()
        warn(
            f"{int(outside.sum())} of {share.size} target cells lie outside the input and are NaN, "
            f"the first at {target.name(at)}; the input spans {south:g} to {north:g} north, "
            f"{west:g} to {east:g} east. Select the others, if these are not meant."
        )
    lapse = None
    if aim.lapse_rate is not None:
        fields = {name: fine[name] for name in names}
        lapse = plan_lapse_rate(aim.lapse_rate, aim.to, target, source, fields, cells)
    return OutputTarget(target=target, plane=cells.dims, parts=parts, weights=weights, lapse=lapse)


def _weights(cells: Cells, target: Target, parts: Sequence[Part]) -> list[PartWeights]:
    key = cells.fingerprint, target.fingerprint, str(parts)
    known = _RECENT.pop(key, None)
    _RECENT[key] = plane_weights(cells, target, parts) if known is None else known
    while len(_RECENT) > RECENT:
        del _RECENT[next(iter(_RECENT))]
    return _RECENT[key]


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = [0, *itertools.accumulate(sizes)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


def _check_dimensions(field: xr.DataArray, target: Target, plane: tuple[str, ...]) -> None:
    if taken := sorted(({str(dim) for dim in field.dims} - set(plane)) & set(target.dims)):
        raise GridError(
            f"{field.name!r} has a dimension {taken[0]!r}, and the target too. Rename one of them."
        )
