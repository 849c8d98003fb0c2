"""Polygons in longitude and latitude, as geographic information systems have them.

Edges are straight in longitude and latitude (RFC 7946). Polygons may have holes and parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from scipy import sparse
from shapely.geometry.polygon import orient

from flexclim.errors import GridError
from flexclim.grids.regridding.overlap import overlap_moments
from flexclim.grids.regridding.polygons import Edges, Polygons, follow, joined, polygons_of

# Properties of a feature that name it, in this order.
NAMES = ("name", "NAME", "Name", "region", "NAME_0", "ADMIN", "admin", "NAME_1", "id", "ID")
AREAS = ("Polygon", "MultiPolygon")
# Shares of a cell or polygon below which areas are rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Polygons with labels.

    Parameters
    ----------
    labels
        Their names, or numbers.
    shapes
        Polygons or MultiPolygons in degrees of longitude and latitude, valid and oriented.
    """

    labels: list[Hashable]
    shapes: list[Any]

    @cached_property
    def _trapezoids(self) -> tuple[Polygons, sparse.csr_array]:
        """Areas between edges and the southern ends of polygons, and (regions, edges) signs.

        A polygon is the sum of those below edges that run west, less those below edges east.
        """
        edges = joined([_edges(number, shape) for number, shape in enumerate(self.shapes)])
        owner, x1, z1, x2, z2 = edges.chosen(np.abs(edges.x2 - edges.x1) > 1e-15)
        south = np.full(len(self.shapes), np.inf)
        np.minimum.at(south, owner, np.minimum(z1, z2))
        base, size = south[owner], owner.size
        number = np.arange(size)
        both = joined([Edges(number, x1, z1, x2, z2), Edges(number, x2, base, x1, base)])
        index = owner, number
        signs = sparse.csr_array((np.sign(x1 - x2), index), shape=(len(self.shapes), size))
        return polygons_of(both, size), signs

    @property
    def boxes(self) -> np.ndarray:
        """(edges, 4) boxes around the areas that polygons are made of, as ``Polygons`` have."""
        return self._trapezoids[0].boxes

    @cached_property
    def areas(self) -> np.ndarray:
        """(regions,) areas in steradians."""
        trapezoids, signs = self._trapezoids
        return np.asarray(signs @ trapezoids.areas)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the polygons."""
        digest = hashlib.sha256()
        for shape in self.shapes:
            digest.update(shape.wkb)
        return digest.hexdigest()[:16]

    @property
    def latitude(self) -> np.ndarray:
        """(regions,) latitudes of points within, in degrees."""
        return np.array([shape.representative_point().y for shape in self.shapes])

    @property
    def longitude(self) -> np.ndarray:
        """(regions,) longitudes of points within, in degrees."""
        return np.array([shape.representative_point().x for shape in self.shapes])

    def overlaps(self, source: Polygons) -> sparse.csr_array:
        """Return the (regions, source) areas in common in steradians."""
        return self.moments(source, order=0)[0]

    def moments(self, source: Polygons, *, order: int = 1) -> tuple[sparse.csr_array, ...]:
        """Return them and the integrals of x and z over them, as in ``overlap_moments``."""
        trapezoids, signs = self._trapezoids
        parts = overlap_moments(source, trapezoids, order=order)
        found = [(signs @ part).tocoo() for part in parts]
        areas = found[0]
        least = np.minimum(self.areas[areas.row], source.areas[areas.col])
        keep = areas.data > ROUNDING * least
        index = areas.row[keep], areas.col[keep]
        mask = sparse.csr_array((np.ones(keep.sum()), index), shape=areas.shape)
        return tuple((part.tocsr() * mask).tocsr() for part in found)


def regions_of(to: Any) -> Regions | None:
    """Return the polygons of an object with ``__geo_interface__``, of GeoJSON, or of a list.

    None if ``to`` is nothing of the kind.

    Raises
    ------
    GridError
        If a geometry is no polygon, is empty, crosses itself or jumps across the date line.

    >>> box = {"type": "Polygon", "coordinates": [[(0, 0), (90, 0), (90, 90), (0, 90), (0, 0)]]}
    >>> float(regions_of(box).areas[0] / np.pi)
    0.5
    """
    features = _features(to)
    if features is None:
        return None
    labels = [_label(number, feature) for number, feature in enumerate(features)]
    shapes = [
        _checked(label, _shape(label, feature))
        for label, feature in zip(labels, features, strict=True)
    ]
    if not shapes:
        raise GridError("the target has no polygon. Pass at least one.")
    return Regions(labels=labels, shapes=shapes)


def _shape(label: Any, feature: Mapping[str, Any]) -> Any:
    """Return the geometry of a GeoJSON feature; raise GridError if it holds none."""
    try:
        return shapely.geometry.shape(feature["geometry"])
    except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise GridError(
            f"region {label} has no valid geometry: {error}. Pass GeoJSON polygons whose rings "
            "have at least 4 points, the last equal to the first."
        ) from None


def _features(to: Any) -> list[Mapping[str, Any]] | None:
    """Return GeoJSON features."""
    crs = getattr(to, "crs", None)
    if crs is not None and not getattr(crs, "is_geographic", True):
        to = to.to_crs("EPSG:4326")
    found = getattr(to, "__geo_interface__", to)
    if isinstance(found, Mapping):
        kind = found.get("type")
        if kind == "FeatureCollection":
            return list(found["features"])
        if kind == "Feature":
            return [found]
        return [{"geometry": found, "properties": {}}] if "coordinates" in found else None
    several = isinstance(to, Iterable) and getattr(to, "ndim", 1) > 0
    if several and not isinstance(to, str) and not hasattr(to, "dims"):
        parts = [_features(one) for one in to]
        if parts and all(part is not None for part in parts):
            return [feature for part in parts if part is not None for feature in part]
    return None


def _label(number: int, feature: Mapping[str, Any]) -> Hashable:
    properties = feature.get("properties") or {}
    named = next((properties[key] for key in NAMES if properties.get(key) is not None), None)
    return number if named is None else str(named)


def _checked(label: Hashable, shape: Any) -> Any:
    """Return a valid polygon: outer rings counter-clockwise, holes clockwise."""
    if shape.geom_type not in AREAS or shape.is_empty:
        what = "is empty" if shape.is_empty else f"is a {shape.geom_type}"
        raise GridError(f"geometry {label!r} {what}, not a polygon. Leave it out.")
    if not shape.is_valid:
        why = shapely.is_valid_reason(shape)
        raise GridError(
            f"polygon {label!r} is not valid: {why}. Repair it with shapely.make_valid."
        )
    west, south, east, north = shape.bounds
    if south < -90 or north > 90 or east - west > 360 + 1e-9:
        raise GridError(
            f"polygon {label!r} runs from {south:g} to {north:g} and {west:g} to {east:g}: these "
            'are not latitudes and longitudes. Convert it with .to_crs("EPSG:4326").'
        )
    parts = [orient(part) for part in getattr(shape, "geoms", [shape])]
    for ring in (ring for part in parts for ring in (part.exterior, *part.interiors)):
        x = np.asarray(ring.coords)[:, 0]
        jumps = (np.abs(np.diff(x)) > 180) & (np.abs(x[:-1]) > 150) & (np.abs(x[1:]) > 150)
        if (jumps & (np.abs(np.diff(x)) < 359)).any():
            raise GridError(
                f"polygon {label!r} jumps from {x[:-1][jumps][0]:g} to {x[1:][jumps][0]:g} degrees "
                "of longitude. Cut it at the date line, or count longitudes on beyond 180."
            )
    return shapely.MultiPolygon(parts)


def _edges(number: int, shape: Any) -> Edges:
    """Return the edges of one region."""
    rings = [r for part in shape.geoms for r in (part.exterior, *part.interiors)]
    points = [np.deg2rad(np.asarray(ring.coords)[:, :2]) for ring in rings]
    x1, phi1 = np.concatenate([ring[:-1] for ring in points]).T
    x2, phi2 = np.concatenate([ring[1:] for ring in points]).T
    half = (phi2 - phi1) / 2
    # The integral of sin(phi) along a line that is straight in longitude and latitude.
    area = (x2 - x1) * np.sin((phi1 + phi2) / 2) * np.sinc(half / np.pi)

    def along(edge: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = x1[edge] + share * (x2 - x1)[edge]
        return x, np.sin(phi1[edge] + share * (phi2 - phi1)[edge])

    owner = np.full(x1.size, number)
    return follow(Edges(owner, x1, np.sin(phi1), x2, np.sin(phi2)), area, along)
