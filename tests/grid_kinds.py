"""Fields on grids of every kind, made from functions of latitude and longitude."""

import numpy as np
import xarray as xr
from scipy.spatial import ConvexHull

from flexclim.grids.regridding import healpix


def smooth(lat, lon):
    """Return a smooth field: spherical harmonics of degrees 0 to 3."""
    phi, lam = np.deg2rad(lat), np.deg2rad(lon)
    return (
        2
        + np.sin(phi)
        + np.cos(phi) * np.cos(lam)
        + np.cos(phi) ** 2 * np.sin(2 * lam)
        + np.sin(phi) * np.cos(phi) ** 2 * np.cos(2 * lam)
    )


def positions(points):
    """Return latitude and longitude in degrees of (..., 3) vectors."""
    x, y, z = np.moveaxis(points / np.linalg.norm(points, axis=-1, keepdims=True), -1, 0)
    return np.rad2deg(np.arcsin(z)), np.rad2deg(np.arctan2(y, x))


def regular(n=18, f=smooth, shift=0.0):
    lat = 90 - (np.arange(n) + 0.5) * 180 / n
    lon = (np.arange(2 * n) + 0.5) * 180 / n + shift
    return rows(lat, lon, f)


def rows(lat, lon, f=smooth):
    values = f(lat[:, None], lon[None])
    return xr.DataArray(values, coords={"lat": lat, "lon": lon}, dims=("lat", "lon"), name="t")


def gaussian(n=18, f=smooth):
    lat = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(n)[0]))[::-1]
    return rows(lat, np.arange(2 * n) * 180 / n, f)


def rotated_positions(y, x, pole=(40.0, -160.0)):
    """Return true latitude and longitude of rotated ones, for a north pole (lat, lon)."""
    phi, lam = np.deg2rad(y), np.deg2rad(x)
    local = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], -1)
    a, b = np.deg2rad(90 - pole[0]), np.deg2rad(pole[1])
    turn_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    turn_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return positions(local @ (turn_z @ turn_y).T)


def curvilinear(n=18, f=smooth, corners=False, pole=(40.0, -160.0)):
    """Return a global rotated grid with 2-D positions, periodic, with or without corners."""
    y, x = (np.arange(n) + 0.5) * 180 / n - 90, (np.arange(2 * n) + 0.5) * 180 / n
    lat, lon = rotated_positions(*np.meshgrid(y, x, indexing="ij"), pole)
    coords = {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    ds = xr.Dataset({"t": (("y", "x"), f(lat, lon))}, coords)
    if corners:
        half = 90 / n
        offsets = ((-half, -half), (-half, half), (half, half), (half, -half))
        around = [np.meshgrid(y + a, x + b, indexing="ij") for a, b in offsets]
        both = np.stack([rotated_positions(*one, pole) for one in around], axis=-1)
        for name, values in zip(("lat", "lon"), both, strict=True):
            ds[f"{name}_bnds"] = (("y", "x", "nv"), values)
            ds[name].attrs = {"bounds": f"{name}_bnds"}
    return ds


def projected(n=20, f=smooth, size=4e6):
    """Return a polar stereographic grid around the north pole, described by its grid mapping."""
    from pyproj import CRS, Transformer

    mapping = {
        "grid_mapping_name": "polar_stereographic",
        "latitude_of_projection_origin": 90.0,
        "straight_vertical_longitude_from_pole": 0.0,
        "standard_parallel": 70.0,
        "earth_radius": 6371e3,
    }
    crs = CRS.from_cf(mapping)
    x = (np.arange(n) + 0.5) * 2 * size / n - size
    to_degrees = Transformer.from_crs(crs, crs.source_crs, always_xy=True).transform
    lon, lat = to_degrees(*np.meshgrid(x, x))
    attrs = {"units": "m"}
    coords = {
        "y": ("y", x, {"standard_name": "projection_y_coordinate", **attrs}),
        "x": ("x", x, {"standard_name": "projection_x_coordinate", **attrs}),
        "crs": ((), 0, mapping),
    }
    return xr.Dataset({"t": (("y", "x"), f(lat, lon), {"grid_mapping": "crs"})}, coords)


def healpix_field(level=3, f=smooth, nested=True):
    lat, lon = healpix.centres(level, np.arange(12 * 4**level), nested=nested)
    attrs = {
        "grid_mapping_name": "healpix",
        "refinement_level": level,
        "indexing_scheme": "nested" if nested else "ring",
    }
    field = xr.DataArray(f(lat, lon), dims="cell", name="t", attrs={"grid_mapping": "crs"})
    return field.assign_coords(crs=((), 0, attrs))


def reduced_gaussian(n=18, f=smooth):
    lat = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(n)[0]))[::-1]
    counts = [max(8, 4 * round(n * np.cos(np.deg2rad(one)) / 2)) for one in lat]
    lats = np.repeat(lat, counts)
    lons = np.concatenate([np.arange(count) * 360 / count for count in counts])
    coords = {"latitude": ("values", lats), "longitude": ("values", lons)}
    return xr.DataArray(f(lats, lons), coords=coords, dims="values", name="t")


def spiral(n):
    """Return (n, 3) points spread evenly over the sphere."""
    z = 1 - (2 * np.arange(n) + 1) / n
    turn = np.arange(n) * np.pi * (3 - np.sqrt(5))
    return np.stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z], -1)


def points(n=700, f=smooth):
    lat, lon = positions(spiral(n))
    coords = {"lat": ("cell", lat), "lon": ("cell", lon)}
    return xr.DataArray(f(lat, lon), coords=coords, dims="cell", name="t")


def triangles(n=350, f=smooth):
    """Return triangular cells in radians, as ICON has them."""
    corners = spiral(n)
    cells = corners[ConvexHull(corners).simplices]
    lat, lon = (np.deg2rad(part) for part in positions(cells.mean(axis=1)))
    lats, lons = (np.deg2rad(part) for part in positions(cells))
    values = f(np.rad2deg(lat), np.rad2deg(lon))
    return xr.Dataset(
        {
            "t": ("ncells", values),
            "clat_bnds": (("ncells", "nv"), lats),
            "clon_bnds": (("ncells", "nv"), lons),
        },
        {
            "clat": ("ncells", lat, _radians("latitude", "clat_bnds")),
            "clon": ("ncells", lon, _radians("longitude", "clon_bnds")),
        },
    )


def _radians(name, bounds):
    return {"standard_name": name, "units": "radian", "bounds": bounds}


def random_triangles(count, size, centre=None, seed=0):
    """Return (count, 3, 3) unit vectors around random centres, or one."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(count, 1, 3)) if centre is None else np.asarray(centre, float)
    middle = middle / np.linalg.norm(middle, axis=-1, keepdims=True)
    corners = middle + size * rng.normal(size=(count, 3, 3))
    return corners / np.linalg.norm(corners, axis=-1, keepdims=True)


def solid_angle(triangles):
    """Return the areas of spherical triangles (Van Oosterom and Strackee, 1983)."""
    a, b, c = np.moveaxis(triangles, 1, 0)
    volume = np.abs((a * np.cross(b, c)).sum(axis=1))
    sides = (a * b).sum(axis=1) + (b * c).sum(axis=1) + (c * a).sum(axis=1)
    return 2 * np.arctan2(volume, 1 + sides)


GLOBAL = {
    "regular": regular,
    "gaussian": gaussian,
    "curvilinear": curvilinear,
    "cornered": lambda n=18, f=smooth: curvilinear(n, f, corners=True),
    "nested": lambda n=18, f=smooth: healpix_field(round(np.log2(n / 2.25)), f),
    "ring": lambda n=18, f=smooth: healpix_field(round(np.log2(n / 2.25)), f, nested=False),
    "reduced": reduced_gaussian,
    "points": lambda n=18, f=smooth: points(2 * n * n, f),
    "triangles": lambda n=18, f=smooth: triangles(n * n, f),
}
KINDS = {**GLOBAL, "projected": projected}
