"""Small multiples of maps: members, mean, quantiles and spread of fields."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from flexclim.cf.ensembles import REALIZATION, with_realization
from flexclim.cf.fields import as_dataset, fields_along
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.times import is_time
from flexclim.errors import FlexclimError, suggest_options
from flexclim.grids.arguments import check_fields, is_whole, names_of, shown
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.discovery import find_grid
from flexclim.grids.regridding.cell_discovery import cells_in_list
from flexclim.plotting.colours import colours_of, uncertainty
from flexclim.plotting.drawings import Drawing, new_figure
from flexclim.plotting.maps import (
    add_colour_bar,
    draw_field,
    label_degrees,
    map_or_plain_axes,
    shape_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

SPREAD = "spread"
MOST_MAPS, COLUMNS, WIDTH = 48, 3, 3.7  # of a figure, of its rows, and of a map in inches


@dataclass(frozen=True)
class Block:
    """Maps of one variable that share a colour scale, except for the spread."""

    title: str
    panels: dict[str, xr.DataArray]

    @property
    def shared(self) -> xr.DataArray:
        """The values on the shared scale, with the attributes of the variable."""
        fields = [field for name, field in self.panels.items() if name != SPREAD]
        values = np.concatenate([np.ravel(field.values) for field in fields])
        return xr.DataArray(values, dims="value", name=fields[0].name, attrs=fields[0].attrs)


@suggest_options
def plot(
    obj: xr.Dataset | xr.DataArray,
    *,
    variables: Sequence[str] | str | None = None,
    members: int = 2,
    quantiles: Sequence[float] = (0.1, 0.9),
) -> Drawing[np.ndarray]:
    """Draw maps of fields with coastlines, on one colour scale a variable.

    Of an ensemble these are some members, the mean, quantiles and, on a scale of its own, the
    spread; of other fields, one map for each time. In a notebook the figure appears at the end of
    the cell; elsewhere, ``plt.show()`` shows it and ``figure.savefig`` saves it.

    Parameters
    ----------
    obj
        Fields (..., y, x), or along one dimension of stations or cells; lazy ones are computed.
    variables
        Which of a Dataset. Default: all fields on the grid.
    members
        How many members of an ensemble are drawn, from the first one.
    quantiles
        Which quantiles of the members are drawn, between 0 and 1.

    Returns
    -------
    Drawing
        ``figure, axes``: the axes of all maps, in order, in an array.

    Raises
    ------
    FlexclimError
        If there are more than 48 maps, or no field on the grid.
    GridError
        If no grid is found.

    Examples
    --------
    >>> field = xr.DataArray(
    ...     np.random.default_rng(0).normal(280, 5, (10, 4, 6)),
    ...     coords={"realization": range(10), "lat": range(50, 54), "lon": range(5, 11)},
    ...     dims=("realization", "lat", "lon"), name="t2m", attrs={"units": "K"},
    ... )
    >>> figure, axes = plot(field)
    >>> [ax.get_title() for ax in axes]
    ['member 0', 'member 1', 'mean', '10 %', '90 %', 'spread']
    """
    check_fields(obj)
    obj = with_plain_attributes(obj)
    _check(members, quantiles)
    fields, plane = _fields(obj, names_of(variables))
    drawn = [_Panels(field, plane, members, tuple(sorted(quantiles))) for field in fields]
    if (count := sum(one.count for one in drawn)) > MOST_MAPS:
        raise FlexclimError(
            f"these fields make {count} maps; a figure holds at most {MOST_MAPS}. Select some, "
            "such as with .isel(time=0) or variables=."
        )
    return _drawn([block for one in drawn for block in one.blocks()])


def _check(members: object, quantiles: Sequence[float]) -> None:
    if not is_whole(members) or int(members) < 0:  # type: ignore[call-overload]
        raise FlexclimError(f"members={shown(members)} is no number of members to draw.")
    if not all(isinstance(level, Real) and 0 <= level <= 1 for level in quantiles):
        raise FlexclimError(f"quantiles={shown(quantiles)} are not between 0 and 1.")


def _fields(
    obj: xr.Dataset | xr.DataArray, names: list[str] | None
) -> tuple[list[xr.DataArray], tuple[str, ...]]:
    """Return the fields to draw, with an ensemble along ``realization``, and their plane."""
    ds = obj if isinstance(obj, xr.Dataset) else as_dataset(obj)
    cells = cells_in_list(ds, None, names or [])
    if cells is None:
        grid = find_grid(obj, variables=names)
        plane: tuple[str, ...] = (grid.y, grid.x)
    else:
        plane = cells.dims
    ds = with_realization(ds, [dim for dim in ds.dims if dim not in plane])
    known = fields_along(ds, plane)
    if lacking := [name for name in names or () if name not in known]:
        raise FlexclimError(
            f"variables={shown(lacking)} are not on the grid along {', '.join(plane)}, which has "
            f"{', '.join(known) or 'none'}."
        )
    if not known:
        raise FlexclimError(f"no variable has numbers along {', '.join(plane)}. Add one.")
    return [ds[name] for name in names or known], plane


@dataclass(frozen=True)
class _Panels:
    """The maps of one variable."""

    field: xr.DataArray
    plane: tuple[str, ...]
    members: int
    quantiles: tuple[float, ...]

    @property
    def ensemble(self) -> bool:
        return self.field.sizes.get(REALIZATION, 0) > 1

    @property
    def others(self) -> list[str]:
        """Dimensions besides the plane and, of an ensemble, the members."""
        left = {*self.plane, *([REALIZATION] if self.ensemble else [])}
        return [str(dim) for dim in self.field.dims if dim not in left]

    @property
    def count(self) -> int:
        of_each = 1
        if self.ensemble:
            of_each = min(self.members, self.field.sizes[REALIZATION])
            if FieldProperties.of(self.field).continuous:
                of_each += 2 + len(self.quantiles)
        return of_each * math.prod(self.field.sizes[dim] for dim in self.others)

    def blocks(self) -> Iterator[Block]:
        """Yield the maps of each plane of an ensemble, or those of all planes at once."""
        name = str(self.field.attrs.get("long_name", self.field.name))
        planes: dict[str, xr.DataArray] = {}
        for number, plane in enumerate(_planes(self.field.compute(), self.others)):
            place = _place(plane, self.others)
            # Of planes without coordinates, or closer in time than a minute, none is lost.
            planes[f"{place} ({number})".strip() if place in planes else place] = plane
        if not self.ensemble:
            yield Block(name, planes)
            return
        for where, plane in planes.items():
            yield Block(f"{name}, {where}" if where else name, self._of_ensemble(plane))

    def _of_ensemble(self, plane: xr.DataArray) -> dict[str, xr.DataArray]:
        """Return the maps of one plane: NaN in one member is NaN in all statistics."""
        first = plane.transpose(REALIZATION, ...).isel({REALIZATION: slice(self.members)})
        panels = {
            f"member {_text(one[REALIZATION]) if REALIZATION in one.coords else n}": one
            for n, one in enumerate(first)
        }
        if not FieldProperties.of(plane).continuous:
            return panels
        with xr.set_options(keep_attrs=True):
            panels["mean"] = plane.mean(REALIZATION, skipna=False)
            for level in self.quantiles:
                found = plane.quantile(level, REALIZATION, skipna=False)
                panels[f"{100 * level:g} %"] = found.drop_vars("quantile")
            panels[SPREAD] = plane.std(REALIZATION, ddof=1, skipna=False)
        return panels


def _planes(field: xr.DataArray, dims: Sequence[str]) -> Iterator[xr.DataArray]:
    for place in itertools.product(*(range(field.sizes[dim]) for dim in dims)):
        yield field.isel(dict(zip(dims, place, strict=True)))


def _place(plane: xr.DataArray, dims: Sequence[str]) -> str:
    """Return the time of a plane, and its place along other dimensions.

    >>> level = xr.DataArray(0.0, {"time": np.datetime64("2020-01-01", "ns"), "level": 850})
    >>> _place(level, ["level"])
    '2020-01-01 00:00, level 850'
    """
    times = [str(n) for n, c in plane.coords.items() if c.ndim == 0 and is_time(c.variable)]
    shown = dict.fromkeys([*times[:1], *(dim for dim in dims if dim in plane.coords)])
    return ", ".join(
        text if name in times else f"{name} {text}"
        for name in shown
        for text in [_text(plane[name])]
    )


def _text(value: xr.DataArray) -> str:
    """Return a scalar as text; dates to the minute."""
    item: Any = value.values[()]
    if value.dtype.kind == "M":
        return str(item.astype("M8[m]")).replace("T", " ")
    if value.dtype.kind == "m":
        return f"{item / np.timedelta64(1, 'h'):g} h"
    if is_time(value.variable):
        return str(item.isoformat(" ", "minutes"))
    return f"{item:g}" if value.dtype.kind in "iuf" else str(item)


def _drawn(blocks: list[Block]) -> Drawing[np.ndarray]:
    """Draw blocks one below the other; those of one map each side by side."""
    single = all(len(block.panels) == 1 for block in blocks)
    across = min(len(blocks), COLUMNS) if single else 1
    columns = across if single else min(COLUMNS, max(len(block.panels) for block in blocks))
    rows = [-(-len(block.panels) // COLUMNS) for block in blocks]
    down = -(-len(blocks) // across)
    figure = new_figure()
    parts = figure.subfigures(down, across, squeeze=False, height_ratios=rows[::across]).flat
    axes: list[Axes] = []
    for part, block in zip(parts, blocks, strict=False):
        axes += _draw_block(part, block, 1 if single else columns)
    shape = shape_of(axes[0])
    width = WIDTH / max(1.0, shape)  # tall maps are narrower instead of higher
    height = sum(rows[::across]) * (0.93 * width * shape + 0.25) + down * 0.5
    figure.set_size_inches(width * columns + 0.9 * across, height)
    return Drawing(figure, np.array(axes, dtype=object))


def _draw_block(figure: SubFigure, block: Block, columns: int) -> list[Axes]:
    """Draw the maps of a block, with one colour bar a row and one of the spread."""
    style, axes, count = colours_of(block.shared), [], len(block.panels)
    rows = -(-count // columns)
    meshes = []
    for index, (name, field) in enumerate(block.panels.items()):
        ax = map_or_plain_axes(figure, rows, columns, index + 1, field)
        own = uncertainty(field) if name == SPREAD else style
        meshes.append(draw_field(ax, field, title=name, **own))
        last_row, first_column = index + columns >= count, index % columns == 0
        if hasattr(ax, "projection"):
            label_degrees(ax, left=first_column, bottom=last_row)
        axes.append(ax)
    figure.suptitle(block.title, fontsize="large" if count > 1 else "medium")
    if SPREAD in block.panels:
        add_colour_bar(figure, meshes[-1], axes[-1:], block.panels[SPREAD])
    first_row = axes[: min(columns, count - (SPREAD in block.panels))]
    add_colour_bar(figure, meshes[0], first_row, block.shared)
    return axes
