"""Power spectra of fields, and what they say about a forecast.

Powers are in squared units and sum to the variance of a plane; ``wavenumber`` is in cycles per
metre, ``wavelength`` in metres beside it. Ratios are taken of averaged powers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.verify.core import harmonics
from flexclim.verify.core.align import align, each_variable, find_member, own_attributes
from flexclim.verify.core.geometry import Plane, area_weights, find_plane
from flexclim.verify.core.sums import Dims, reduced_dims
from flexclim.verify.core.transforms import Edges, Fill, Kind, coefficients, fill_gaps, make_bins


def spectrum(
    da: xr.DataArray | xr.Dataset,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
    vector: Sequence[str] | None = None,
) -> Any:
    """Power by wavenumber, averaged over members, times and whatever else ``dim`` names.

    Parameters
    ----------
    da
        (..., y, x), numpy or dask; of a Dataset each variable.
    kind
        ``"radial"``: rings of wavenumbers of a plane; ``"zonal"``: waves along x, averaged over
        rows by area; ``"spherical"``: degrees of spherical harmonics of a global grid.
    dim
        Dimensions to average beside the plane's; None: all, (): none.
    edges
        What happens at borders that don't wrap: ``"dct"`` mirrors the field (Denis et al. 2002),
        ``"taper"`` lets it end in a Hann window, ``"periodic"`` takes it to wrap.
    fill
        ``"mean"`` puts each plane's mean where values are missing; None refuses them.
    vector
        Names of the eastward and northward components in a Dataset: the spectrum of the kinetic
        energy, half the sum of their powers, comes back.

    Returns
    -------
    DataArray or Dataset
        (kept dimensions..., wavenumber) with ``wavelength``; for ``"spherical"`` (..., degree).
        Rings beyond the grid's Nyquist wavenumber (attribute ``nyquist``) hold the corners only.

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
    if isinstance(da, xr.Dataset):
        options: dict[str, Any] = {"dim": dim, "edges": edges, "fill": fill}
        if vector is not None:
            return kinetic_energy(da[vector[0]], da[vector[1]], kind, **options)
        return xr.Dataset({name: spectrum(da[name], kind, **options) for name in gridded(da)})
    power = _power(da, da, kind, edges, fill)
    power = average(power, dim, [d for d in da.dims if d in power.dims])
    units = da.attrs.get("units")
    name = da.attrs.get("long_name", "the field" if da.name is None else da.name)
    text = f"{kind} power spectrum of {name}"
    power = power.assign_attrs(long_name=text, units=f"({units})2" if units else "1")
    return own_attributes(power, da)


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

    On a sphere it is the spectrum of vector harmonics (the components have no harmonics of
    their own at the poles). Parameters as in :func:`spectrum`.
    """
    if kind == "spherical":
        power = harmonics.vector_power(eastward, northward, fill) / 2
    else:
        power = (
            _power(eastward, eastward, kind, edges, fill)
            + _power(northward, northward, kind, edges, fill)
        ) / 2
    power = average(power, dim, [d for d in eastward.dims if d in power.dims])
    units = eastward.attrs.get("units")
    text = f"{kind} spectrum of kinetic energy"
    power = power.assign_attrs(long_name=text, units=f"({units})2" if units else "1")
    return own_attributes(power, eastward, northward)


def gridded(ds: xr.Dataset) -> list[str]:
    """Return the names of the variables of ``ds`` that hold a plane of numbers.

    Raises
    ------
    FlexclimError
        If there are none.
    """
    names = [str(n) for n in ds.data_vars if ds[n].ndim >= 2 and ds[n].dtype.kind in "fiu"]
    if not names:
        raise FlexclimError(f"no field among the variables {list(ds.data_vars)}.")
    return names


def average(power: xr.DataArray, dim: Dims, others: Sequence[Any]) -> xr.DataArray:
    """Average powers over the dimensions that ``dim`` names: None all of ``others``."""
    return power.mean(reduced_dims(others, dim), keep_attrs=True)


def _power(
    first: xr.DataArray, second: xr.DataArray, kind: Kind, edges: Edges, fill: Fill
) -> xr.DataArray:
    """Return the common power of two fields by wavenumber: the power of one where both are it."""
    if kind == "spherical":
        return harmonics.power(first, second, fill)
    if kind not in ("radial", "zonal") or edges not in ("dct", "taper", "periodic"):
        raise FlexclimError(
            f"kind={kind!r}, edges={edges!r}: use 'radial', 'zonal' or 'spherical', and 'dct', "
            "'taper' or 'periodic'."
        )
    plane = find_plane(first)
    bins = make_bins(kind, (first.sizes[plane.y], first.sizes[plane.x]), plane, edges)
    rows = area_weights(first).values * np.ones(first.sizes[plane.y])

    def transform(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        left = fill_gaps(left, fill)
        waves = coefficients(left, kind, plane, edges)
        other = (
            waves if first is second else coefficients(fill_gaps(right, fill), kind, plane, edges)
        )
        common = bins.add((waves * other.conj()).real)
        return np.average(common, axis=-2, weights=rows) if kind == "zonal" else common

    fields = [whole_planes(field, plane) for field in (first, second)]
    power = xr.apply_ufunc(
        transform,
        *fields,
        input_core_dims=[[plane.y, plane.x]] * 2,
        output_core_dims=[["wavenumber"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"wavenumber": bins.wavenumber.size}},
    )
    return _label(power, bins.wavenumber, bins.nyquist, plane)


def whole_planes(field: xr.DataArray, plane: Plane) -> xr.DataArray:
    """Return ``field`` with each plane in one chunk."""
    return field.chunk({plane.y: -1, plane.x: -1}) if field.chunks is not None else field


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


def powers(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> xr.Dataset:
    """Return averaged powers of ``forecast`` and ``truth``, and ``common`` to both.

    The waves of the truth are the same for all members, so what they have in common with these
    on average is what they have in common with the ensemble mean. Parameters as in
    :func:`spectrum`.
    """
    forecast, truth = align(forecast, truth)
    member = find_member(forecast)
    mean = forecast if member is None else forecast.mean(member, skipna=False, dtype=float)
    mine = _power(forecast, forecast, kind, edges, fill)
    parts = {
        "forecast": mine if member is None else mine.mean(member, keep_attrs=True),
        "truth": _power(truth, truth, kind, edges, fill),
        "common": _power(mean, truth, kind, edges, fill),
    }
    others = [d for d in truth.dims if d in parts["truth"].dims]
    units = truth.attrs.get("units")
    found = {
        name: average(part, dim, others).assign_attrs(
            long_name=f"{kind} power spectrum", units=f"({units})2" if units else "1"
        )
        for name, part in parts.items()
    }
    return own_attributes(xr.Dataset(found), forecast, truth)


def resolved(power: xr.DataArray) -> xr.DataArray:
    """Return the part of a spectrum up to the grid's Nyquist wavenumber."""
    if "nyquist" not in power.attrs:
        return power
    return power.isel(wavenumber=power.wavenumber.values <= power.attrs["nyquist"] * (1 + 1e-9))


def decibels(both: xr.Dataset) -> xr.DataArray:
    """Return ten times the logarithm of the ratio of two powers, up to the Nyquist wavenumber."""
    ratio = resolved(both["forecast"]) / resolved(both["truth"])
    return 10 * xr.apply_ufunc(np.log10, ratio.where(ratio > 0), dask="allowed")


def distance_of(both: xr.Dataset) -> xr.DataArray:
    """Return the log-spectral distance from what :func:`powers` gives."""
    level = decibels(both)
    distance = (level**2).mean(level.dims[-1:]) ** 0.5
    return distance.assign_attrs(long_name="log-spectral distance", units="dB")


def coherence_of(both: xr.Dataset) -> xr.DataArray:
    """Return the coherence from what :func:`powers` gives."""
    ratio = both["common"] ** 2 / (both["forecast"] * both["truth"])
    return ratio.assign_attrs(both["truth"].attrs, long_name="coherence", units="1")


def resolution_of(
    both: xr.Dataset, by: Literal["power", "coherence"] = "power", threshold: float = 0.5
) -> xr.DataArray:
    """Return the effective resolution from what :func:`powers` gives."""
    if by not in ("power", "coherence"):
        raise FlexclimError(f"by={by!r} is unknown: use 'power' or 'coherence'.")
    curve = both["forecast"] / both["truth"] if by == "power" else coherence_of(both)
    curve = resolved(curve.assign_attrs(both["truth"].attrs))
    axis = curve.dims[-1]
    if curve.chunks is not None:
        curve = curve.chunk({axis: -1})
    result = xr.apply_ufunc(
        _first_below,
        curve,
        input_core_dims=[[axis]],
        kwargs={"logarithm": np.log(curve["wavelength"].values), "threshold": threshold},
        vectorize=True,
        dask="parallelized",
        output_dtypes=[float],
    )
    units = curve["wavelength"].attrs.get("units", "m")
    return result.assign_attrs(long_name=f"effective resolution by {by}", units=units)


@each_variable
def log_spectral_distance(
    forecast: xr.DataArray, truth: xr.DataArray, kind: Kind = "radial", **options: Any
) -> xr.DataArray:
    """Log-spectral distance: root mean square over wavenumbers of the power ratio in dB.

    Powers are averaged over members, times and so on first; wavenumbers up to Nyquist count
    alike. 0 is perfect; a spectrum at half the true power everywhere is 3 dB away. ``kind`` and
    the options ``dim``, ``edges`` and ``fill`` as in :func:`spectrum`.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(8, 8)), dims=["y", "x"])
    >>> float(log_spectral_distance(truth / 2**0.5, truth).round(2))
    3.01
    """
    return distance_of(powers(forecast, truth, kind, **options))


@each_variable
def spectral_bias(
    forecast: xr.DataArray, truth: xr.DataArray, kind: Kind = "radial", **options: Any
) -> xr.DataArray:
    """Mean over wavenumbers of the power ratio in dB: below 0 where variance is missing.

    Parameters as in :func:`log_spectral_distance`.
    """
    level = decibels(powers(forecast, truth, kind, **options))
    return level.mean(level.dims[-1:]).assign_attrs(long_name="mean power ratio", units="dB")


@each_variable
def amplitude_ratio(
    forecast: xr.DataArray, truth: xr.DataArray, kind: Kind = "radial", **options: Any
) -> xr.DataArray:
    """Root of the ratio of averaged powers, by wavenumber.

    Parameters as in :func:`log_spectral_distance`.
    """
    both = powers(forecast, truth, kind, **options)
    ratio = (both["forecast"] / both["truth"]) ** 0.5
    return ratio.assign_attrs(both["truth"].attrs, long_name="amplitude ratio", units="1")


@each_variable
def coherence(
    forecast: xr.DataArray, truth: xr.DataArray, kind: Kind = "radial", **options: Any
) -> xr.DataArray:
    """Squared correlation of the waves of forecast and truth, by wavenumber: 1 in phase.

    The square of the common power over the product of both powers, each averaged first.
    Parameters as in :func:`log_spectral_distance`.
    """
    return coherence_of(powers(forecast, truth, kind, **options))


@each_variable
def effective_resolution(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    kind: Kind = "radial",
    *,
    by: Literal["power", "coherence"] = "power",
    threshold: float = 0.5,
    **options: Any,
) -> xr.DataArray:
    """Wavelength down to which the forecast holds the truth's power, or is in phase with it.

    From large scales to small, the first wavenumber at which the ratio of powers (or the
    coherence) falls below ``threshold``, interpolated in the logarithm; the Nyquist wavelength
    where it never does. Other parameters as in :func:`log_spectral_distance`.
    """
    return resolution_of(powers(forecast, truth, kind, **options), by, threshold)


def _first_below(curve: np.ndarray, logarithm: np.ndarray, threshold: float) -> float:
    low = np.flatnonzero(curve < threshold)
    if low.size == 0:
        return float(np.exp(logarithm[-1]))
    at = int(low[0])
    if at == 0:
        return float(np.exp(logarithm[0]))
    share = (curve[at - 1] - threshold) / (curve[at - 1] - curve[at])
    return float(np.exp(logarithm[at - 1] + share * (logarithm[at] - logarithm[at - 1])))
