"""Maps of scores and of the worst case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np
import xarray as xr

from flexclim.errors import suggest_options
from flexclim.plotting.colours import Style, colours_of, signed, uncertainty
from flexclim.plotting.drawings import Drawing, drawing_of, new_figure
from flexclim.plotting.maps import (
    add_colour_bar,
    draw_field,
    label_degrees,
    map_or_plain_axes,
    shape_of,
)
from flexclim.verify.plot.score_figures import name_of, part_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 6.0  # of a map in inches


def field_map(
    field: xr.DataArray, ax: Axes | None = None, *, title: str = "", **style: Unpack[Style]
) -> Drawing[Axes]:
    """Draw one field with a colour bar, and with coastlines if it has latitudes and longitudes.

    Parameters
    ----------
    field
        (y, x), or values at (station,) positions; NaN stays blank.
    ax
        Where to draw: cartopy's axes, or plain ones for rows and columns.
    title
        Title of the map.
    **style
        ``cmap``, ``vmin`` and ``vmax``; default: the colours of the quantity.

    >>> figure, ax = field_map(truth.u10.isel(time=0))  # doctest: +SKIP
    """
    if ax is None:
        ax = axes_for(field, new_figure())
    mesh = draw_field(ax, field, title=title, **(style or colours_of(field)))
    if hasattr(ax, "projection"):
        label_degrees(ax)
    figure = drawing_of(ax).figure
    add_colour_bar(figure, mesh, [ax], field)
    return Drawing(figure, ax)


def axes_for(field: xr.DataArray, figure: Figure) -> Axes:
    """Return axes for a map that fill a figure, whose height is changed to fit."""
    ax = map_or_plain_axes(figure, 1, 1, 1, field)
    figure.set_size_inches(WIDTH, 0.85 * WIDTH * shape_of(ax) + 0.5)
    return ax


@suggest_options
def score_map(
    scores: xr.Dataset,
    variable: str,
    metric: str = "crps",
    candidate: str = "forecast",
    ax: Axes | None = None,
) -> Drawing[Axes]:
    """Draw a map of a score: ``"crps"``, ``"mae"``, ``"rmse"``, ``"bias"`` or ``"spread"``.

    >>> figure, ax = score_map(scores, "u10", "crps")  # doctest: +SKIP
    """
    field = score_field(scores, variable, metric, candidate)
    style = signed(field) if metric == "bias" else uncertainty(field)
    return field_map(field, ax, title=f"{name_of(metric)}, {candidate}", **style)


def score_field(
    scores: xr.Dataset, variable: str, metric: str, candidate: str = "forecast"
) -> xr.DataArray:
    """Return the field that :func:`score_map` draws."""
    return part_of(scores, f"{metric}_map", variable).sel(candidate=candidate)


@suggest_options
def worst_case(scores: xr.Dataset, variable: str) -> Drawing[np.ndarray]:
    """Draw the case with the largest CRPS: truth, forecast and baseline, in one figure.

    >>> figure, axes = worst_case(scores, "u10")  # doctest: +SKIP
    """
    panels = worst_panels(scores, variable)
    figure, rows = new_figure(), -(-len(panels) // 2)
    axes = []
    for index, (name, field, style) in enumerate(panels):
        ax = map_or_plain_axes(figure, rows, 2, index + 1, field)
        axes.append(field_map(field, ax, title=name, **style).axes)
    shape = shape_of(axes[0])
    width = WIDTH / max(1.0, 1.5 * shape)  # tall maps are narrower instead of higher
    figure.set_size_inches(2 * width + 1, rows * (0.85 * width * shape + 0.4))
    return Drawing(figure, np.array(axes, dtype=object))


def worst_panels(scores: xr.Dataset, variable: str) -> list[tuple[str, xr.DataArray, Style]]:
    """Return the name, field and colours of each map of :func:`worst_case`.

    >>> list(worst_panels(scores, "u10"))  # doctest: +SKIP
    """
    fields = part_of(scores, "worst_case", variable)
    shared = colours_of(fields.sel(panel="truth").rename(variable))
    panels = []
    for name in map(str, fields["panel"].values):
        field = fields.sel(panel=name).assign_attrs(fields.attrs)
        panels.append((name, field, uncertainty(field) if name == "spread" else shared))
    return panels
