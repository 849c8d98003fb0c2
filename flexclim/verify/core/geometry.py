"""The horizontal dimensions of a field and their spacing in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.axes import find_axes
from flexclim.grids.candidates import COLUMNS, LATITUDES, LONGITUDES, ROWS
from flexclim.grids.regridding.corners import straight
from flexclim.verify.core.curvilinear import find_positions

EARTH_RADIUS = 6_371_229.0
STANDARD = {
    "Y": ("latitude", "grid_latitude", "projection_y_coordinate"),
    "X": ("longitude", "grid_longitude", "projection_x_coordinate"),
}
# In lower case.
NAMES = {"Y": (*LATITUDES, *ROWS), "X": (*LONGITUDES, *COLUMNS)}
POSITIONS = {"Y": ("latitude", "grid_latitude"), "X": ("longitude", "grid_longitude")}
ANGLES = ("latitude", "longitude", "grid_latitude", "grid_longitude")
METRES = {"m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0, "km": 1e3}


@dataclass(frozen=True, kw_only=True)
class Plane:
    """The two horizontal dimensions of a field.

    Parameters
    ----------
    y, x
        Names of the dimensions of rows and columns.
    step_y, step_x
        Distance between rows and between columns in metres; on a grid in degrees, the latter at
        the mean latitude. 1 without a coordinate.
    wrap
        Whether the columns span the whole globe.
    geographic
        Whether the coordinates are in degrees.
    """

    y: str
    x: str
    step_y: float
    step_x: float
    wrap: bool
    geographic: bool

    @property
    def dims(self) -> tuple[str, str]:
        """Names of the dimensions."""
        return self.y, self.x


def find_plane(field: xr.DataArray) -> Plane:
    """Find the horizontal dimensions of ``field`` and their spacing in metres.

    Raises
    ------
    GridError
        If there are none, or their coordinates are not equally spaced.

    >>> field = xr.DataArray(np.zeros((2, 4)), {"lat": [1, 0], "lon": [0, 1, 2, 3]}, ["lat", "lon"])
    >>> plane = find_plane(field)
    >>> plane.y, plane.x, round(plane.step_y), plane.wrap
    ('lat', 'lon', 111199, False)
    """
    y, x = find_dimension(field, "Y"), find_dimension(field, "X")
    if y is None or x is None:
        raise GridError(
            f"no rows and columns among the dimensions {tuple(field.dims)}. Set the coordinates' "
            "standard_name, for example to latitude and longitude, or rename them lat and lon; "
            "take HEALPix and unstructured cells to rows first with .flex.regrid."
        )
    step_y, step_x = _spacing(field, y), _spacing(field, x)
    geographic = is_angle(field, y) and is_angle(field, x)
    wrap = False
    if geographic:
        wrap = bool(abs(step_x * field.sizes[x] - 360) < 0.01 * step_x)
        middle = float(field[y].mean())
        degree = np.deg2rad(1.0) * EARTH_RADIUS
        step_y, step_x = step_y * degree, step_x * degree * np.cos(np.deg2rad(middle))
    return Plane(y=y, x=x, step_y=step_y, step_x=step_x, wrap=wrap, geographic=geographic)


def whole_planes(field: xr.DataArray, plane: Plane) -> xr.DataArray:
    """Return ``field`` with each plane in one chunk."""
    return field.chunk({plane.y: -1, plane.x: -1}) if field.chunks is not None else field


def find_dimension(field: xr.DataArray, axis: str) -> str | None:
    """Return the dimension of rows (``"Y"``) or columns (``"X"``).

    By attributes, then by name, then by other latitudes and longitudes along it.
    """
    names = [str(name) for name in field.dims]
    for name in names:
        attributes = field[name].attrs if name in field.coords else {}
        if attributes.get("standard_name") in STANDARD[axis] or attributes.get("axis") == axis:
            return name
    known = next((name for name in names if name.lower() in NAMES[axis]), None)
    if known is not None:
        return known
    single = {
        one: [c.dims[0] for c in field.coords.values() if c.ndim == 1 and _is_position(c, one)]
        for one in "YX"
    }
    if single["Y"] and single["X"] and not set(single["Y"]) & set(single["X"]):
        return str(single[axis][0])
    try:
        axes = find_axes(field)
    except GridError:
        return None
    return axes.y if axis == "Y" else axes.x


def is_angle(field: xr.DataArray, name: str) -> bool:
    """Return whether the coordinate ``name`` is in degrees rather than a length."""
    if name not in field.coords:
        return False
    attributes = field[name].attrs
    if "standard_name" in attributes:
        return attributes["standard_name"] in ANGLES
    if "units" in attributes:
        return str(attributes["units"]).lower().startswith("degree")
    return name.lower() in (*LATITUDES, *LONGITUDES, "rlat", "rlon")


def latitude_along(field: xr.DataArray, dim: str) -> xr.DataArray | None:
    """Return the latitudes of rows in degrees: the coordinate of ``dim``, or another along it.

    The latitudes of a rotated pole count too. None for rows of a projected grid, and for points
    that have both latitudes and longitudes.
    """
    if dim in field.coords:
        return field[dim] if is_angle(field, dim) else None
    along = [one for one in field.coords.values() if one.dims == (dim,)]
    if any(_is_position(one, "X") for one in along):
        return None
    return next((one for one in along if _is_position(one, "Y")), None)


def _is_position(coordinate: xr.DataArray, axis: str) -> bool:
    """Return whether a coordinate is a latitude (``"Y"``) or longitude (``"X"``)."""
    attributes = coordinate.attrs
    if "standard_name" in attributes:
        return attributes["standard_name"] in POSITIONS[axis]
    return str(coordinate.name).lower() in (LATITUDES if axis == "Y" else LONGITUDES)


def _spacing(field: xr.DataArray, name: str) -> float:
    # Beside 2-D positions, they may be uneven labels.
    if name not in field.coords or find_positions(field) is not None:
        return 1.0
    values = field[name].values
    if values.dtype.kind not in "fiu":
        raise GridError(
            f"{name!r} holds values of type {values.dtype}, no numbers. Give rows and columns "
            "numbers, or none at all with .drop_vars."
        )
    if values.size < 2:
        return 1.0
    degrees = is_angle(field, name)
    steps = np.diff(straight(values.astype(float)) if degrees else values.astype(float))
    # Rounding alone changes steps of 0.003 degrees in float32 by a hundredth.
    rounded = 2 * np.spacing(np.abs(values).max()) if values.dtype.kind == "f" else 0.0
    allowed = max(1e-2 * abs(steps.mean()), min(rounded, 0.1 * abs(steps.mean())))
    if np.ptp(steps) > allowed or steps.mean() == 0:
        raise GridError(
            f"{name!r} is not regular: its spacing runs from {steps.min():.4g} to "
            f"{steps.max():.4g}. Regrid to a regular grid first."
        )
    length = METRES.get(str(field[name].attrs.get("units", "m")).lower(), 1.0)
    return float(abs(steps.mean())) * (1.0 if degrees else length)
