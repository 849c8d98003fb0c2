"""Power spectra of fields, and of a forecast and its truth together.

Powers are in squared units and sum to the variance of a plane. ``wavenumber`` is in cycles per
metre; the coordinate ``wavelength`` in metres comes with it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import overload

import numpy as np
import xarray as xr

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.errors import FlexclimError, suggest_options
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.verify.core import harmonics
from flexclim.verify.core.alignment import Dims, Pair, check_not_empty, reduced_dims, same_units
from flexclim.verify.core.cell_areas import Variables, area_weights, of_rows
from flexclim.verify.core.geometry import Plane, find_plane, whole_planes
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import check_choice
from flexclim.verify.core.scoring import drop_inherited
from flexclim.verify.core.transforms import Edges, Fill, Kind, coefficients, fill_gaps, make_bins

KINDS: tuple[Kind, ...] = ("radial", "zonal", "spherical")


@overload
def spectrum(
    da: xr.DataArray,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
    vector: None = None,
) -> xr.DataArray: ...


@overload
def spectrum(
    da: xr.Dataset,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
    vector: None = None,
) -> xr.Dataset: ...


@overload
def spectrum(
    da: xr.Dataset,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
    vector: Sequence[str],
) -> xr.DataArray: ...


@suggest_options
def spectrum(
    da: xr.DataArray | xr.Dataset,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
    vector: Sequence[str] | None = None,
) -> xr.DataArray | xr.Dataset:
    """Power by wavenumber, averaged over members, times and other dimensions.

    Parameters
    ----------
    da
        (..., y, x), numpy or dask; of a Dataset each variable.
    kind
        ``"radial"``: rings of wavenumbers of a plane; ``"zonal"``: waves along x, averaged over
        rows by area; ``"spherical"``: degrees of spherical harmonics of a global grid.
    dim
        Dimensions to average over, apart from the horizontal ones; None: all, (): none.
    edges
        Treatment of edges that do not wrap: ``"dct"`` mirrors the field (Denis et al. 2002),
        ``"taper"`` applies a Hann window, ``"periodic"`` assumes a periodic field.
    fill
        ``"mean"`` replaces missing values by the mean of their plane; None: they raise an error.
    vector
        Names of the eastward and northward components in a Dataset: returns the spectrum of
        kinetic energy, half the sum of their powers.

    Returns
    -------
    DataArray or Dataset
        (kept dimensions..., wavenumber) with ``wavelength``; for ``"spherical"`` (..., degree).
        Rings beyond the grid's Nyquist wavenumber (attribute ``nyquist``) are incomplete.

    Raises
    ------
    FlexclimError
        If values are missing.
    GridError
        If the grid is irregular, or not global for ``"spherical"``.

    >>> x = np.arange(8) * 1e3
    >>> wave = np.broadcast_to(np.sin(2 * np.pi * x / 4e3), (8, 8))
    >>> field = xr.DataArray(wave, {"y": x, "x": x}, ["y", "x"])
    >>> power = spectrum(field, edges="periodic")
    >>> float(power.wavelength[power.argmax('wavenumber')]), float(power.sum().round(6))
    (4000.0, 0.5)
    """
    da = with_plain_attributes(da)
    if not isinstance(da, xr.Dataset):
        if vector is not None:
            raise FlexclimError(f"vector={vector!r} names variables of a Dataset: give a Dataset.")
        return _spectrum_of_field(da, kind, dim, edges, fill)
    if vector is not None:
        eastward, northward = (da[name] for name in _components(da, vector))
        return kinetic_energy(eastward, northward, kind, dim=dim, edges=edges, fill=fill)
    return xr.Dataset(
        {
            name: _spectrum_of_field(
                with_positions(da, name), kind, dim, edges, fill, variables=da.variables
            )
            for name in gridded(da)
        }
    )


@suggest_options
def kinetic_energy(
    eastward: xr.DataArray,
    northward: xr.DataArray,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> xr.DataArray:
    """Spectrum of the kinetic energy of a wind: half the sum of its components' powers.

    On a sphere it is the spectrum of vector harmonics, since the components alone are
    discontinuous at the poles. Parameters as in :func:`spectrum`.

    >>> wind = xr.DataArray(np.random.default_rng(0).normal(size=(8, 8)), dims=["y", "x"])
    >>> energy, power = kinetic_energy(wind, wind), spectrum(wind)
    >>> bool(np.allclose(energy, power))
    True
    """
    eastward = _field(eastward, "eastward component")
    northward = _field(northward, "northward component")
    check_choice("kind", kind, KINDS)
    plane = find_plane(eastward)
    northward = same_units(
        check_coordinates(northward, eastward, "northward component"),
        eastward,
        ("northward component", "eastward component"),
    )
    if kind == "spherical":
        power = harmonics.vector_power(eastward, northward, plane, fill) / 2
    else:
        area = area_weights(eastward) if kind == "zonal" else None
        power = (
            _power(eastward, eastward, plane, kind, edges, fill, area)
            + _power(northward, northward, plane, kind, edges, fill, area)
        ) / 2
    power = _average(power, dim, [d for d in eastward.dims if d in power.dims])
    power = _describe(power, f"{kind} spectrum of kinetic energy", eastward)
    drop_inherited(power, eastward, northward)
    return power


def powers(
    pair: Pair,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> xr.Dataset:
    """Return the averaged power of ``forecast`` and ``truth``, and their ``common`` power.

    Every member is compared with the same truth, so the average common power of the members is
    that of the ensemble mean. Where the truth or a member is missing, all are; planes where
    nothing is left do not count. Parameters as in :func:`spectrum`.
    """
    forecast, truth, plane = pair.forecast, pair.truth, pair.plane
    check_choice("kind", kind, KINDS)
    known = truth.notnull() & pair.mean.notnull()
    area = pair.area if kind == "zonal" else None
    power = partial(_power, plane=plane, kind=kind, edges=edges, fill=fill, area=area, known=known)
    mine = power(forecast, forecast)
    parts = {
        "forecast": mine if pair.member is None else mine.mean(pair.member, keep_attrs=True),
        "truth": power(truth, truth),
        "common": power(pair.mean, truth),
    }
    others = [d for d in truth.dims if d in parts["truth"].dims]
    found = xr.Dataset(
        {
            name: _describe(_average(part, dim, others), f"{kind} power spectrum", truth)
            for name, part in parts.items()
        }
    )
    drop_inherited(found, forecast, truth)
    return found


def resolved(power: xr.DataArray) -> xr.DataArray:
    """Return the part of a spectrum up to the grid's Nyquist wavenumber."""
    if "nyquist" not in power.attrs:
        return power
    return power.isel(wavenumber=power.wavenumber.values <= power.attrs["nyquist"] * (1 + 1e-9))


def gridded(ds: xr.Dataset) -> list[str]:
    """Return the names of the numeric variables of ``ds`` with at least two dimensions.

    Variables that describe others, such as bounds and grid mappings, are left out.

    Raises
    ------
    FlexclimError
        If there are none.
    """
    others = auxiliary_variables(ds)
    names = [str(n) for n in ds.data_vars if ds[n].ndim >= 2 and ds[n].dtype.kind in "fiu"]
    names = [name for name in names if name not in others]
    if not names:
        raise FlexclimError(
            f"no field among the variables {list(ds.data_vars)}: give numbers on rows and columns."
        )
    return names


def _spectrum_of_field(
    field: xr.DataArray,
    kind: Kind,
    dim: Dims,
    edges: Edges,
    fill: Fill,
    variables: Variables | None = None,
) -> xr.DataArray:
    field = _field(field, "field")
    check_choice("kind", kind, KINDS)
    area = area_weights(field, variables) if kind == "zonal" else None
    power = _power(field, field, find_plane(field), kind, edges, fill, area)
    power = _average(power, dim, [d for d in field.dims if d in power.dims])
    name = field.attrs.get("long_name", "the field" if field.name is None else field.name)
    power = _describe(power, f"{kind} power spectrum of {name}", field)
    drop_inherited(power, field)
    return power


def _field(field: xr.DataArray, role: str) -> xr.DataArray:
    """Return a field as floating-point numbers, after checking that there are some."""
    field = as_numbers(field, role)
    check_not_empty(field)
    return field


def _components(ds: xr.Dataset, vector: Sequence[str]) -> Sequence[str]:
    """Return the names of the two components of a wind."""
    names = [vector] if isinstance(vector, str) else list(vector)
    missing = [name for name in names if name not in ds.data_vars]
    if len(names) != 2 or missing:
        found = f"no {missing[0]!r} among" if missing else "choose two of"
        raise FlexclimError(
            f"vector={vector!r} does not name the eastward and the northward component: {found} "
            f"{list(ds.data_vars)}."
        )
    return names


def _average(power: xr.DataArray, dim: Dims, others: Sequence[Hashable]) -> xr.DataArray:
    return power.mean(reduced_dims(others, dim), keep_attrs=True)


def _describe(power: xr.DataArray, text: str, field: xr.DataArray) -> xr.DataArray:
    units = field.attrs.get("units")
    return power.assign_attrs(long_name=text, units=f"({units})2" if units else "1")


def _power(
    first: xr.DataArray,
    second: xr.DataArray,
    plane: Plane,
    kind: Kind,
    edges: Edges,
    fill: Fill,
    area: xr.DataArray | None,
    known: xr.DataArray | None = None,
) -> xr.DataArray:
    """Return the common power of two fields by wavenumber; its power if both are one field.

    Zonal powers are averaged over rows by ``area``. Only values that are ``known`` count; the power
    of a plane without any is NaN.
    """
    check_choice("edges", edges, ("dct", "taper", "periodic"))
    check_choice("fill", fill, ("mean", None))
    if kind == "spherical":
        return harmonics.power(first, second, plane, fill, known)
    bins = make_bins(kind, (first.sizes[plane.y], first.sizes[plane.x]), plane, edges)
    rows = None if area is None else of_rows(area, plane.y, first.sizes[plane.y])

    def transform(left: np.ndarray, right: np.ndarray, *known: np.ndarray) -> np.ndarray:
        left, empty = fill_gaps(left, fill, *known)
        waves = other = coefficients(left, kind, plane, edges)
        if first is not second:
            right, nothing = fill_gaps(right, fill, *known)
            other, empty = coefficients(right, kind, plane, edges), empty | nothing
        common = bins.add((waves * other.conj()).real).astype(float)
        if kind == "zonal":
            common = np.average(common, axis=-2, weights=rows)
        common[empty] = np.nan
        return common

    given = [first, second] if known is None else [first, second, known]
    fields = [whole_planes(field, plane) for field in given]
    power = xr.apply_ufunc(
        transform,
        *fields,
        input_core_dims=[[plane.y, plane.x]] * len(fields),
        output_core_dims=[["wavenumber"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"wavenumber": bins.wavenumber.size}},
    )
    return _label(power, bins.wavenumber, bins.nyquist, plane)


def _label(
    power: xr.DataArray, wavenumber: np.ndarray, nyquist: float, plane: Plane
) -> xr.DataArray:
    metric = plane.step_y != 1.0 or plane.step_x != 1.0
    units = ("m-1", "m") if metric else ("cells-1", "cells")
    power = power.assign_coords(
        wavenumber=("wavenumber", wavenumber, {"units": units[0], "long_name": "wavenumber"}),
        wavelength=("wavenumber", 1 / wavenumber, {"units": units[1], "long_name": "wavelength"}),
    )
    return power.assign_attrs(nyquist=nyquist)
