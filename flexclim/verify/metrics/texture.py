"""Texture of fields: lag correlations, increments between neighbouring cells, two-cell noise.

Scores of single cells can't tell weather from speckle; these statistics of neighbouring cells can.
They are those of the members, all pooled, beside those of the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.geometry import whole_planes
from flexclim.verify.core.option_checks import as_list, check_count
from flexclim.verify.core.scoring import Fields, score_pairs

AXES = ["y", "x"]
# (fields (n, y, x), weight (y, x)) -> sums (n, length)
PlaneSums = Callable[[np.ndarray, np.ndarray], np.ndarray]


@suggest_options
def lag_correlation(
    forecast: Fields,
    truth: Fields,
    lags: int | Sequence[int] = (1, 2),
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Correlation between cells that are ``lags`` cells apart, along y and along x.

    Of downscaled fields, give departures from the interpolated ones, ``fine - base`` and
    ``truth - base``: the large scales alone correlate nearly fully. The mean of each plane is
    subtracted, and covariances are averaged before they are divided. Columns wrap around a global
    grid. A pair counts where the truth and all members have both cells.

    Parameters
    ----------
    forecast, truth
        As in :func:`flexclim.verify.crps`, with rows and columns; members are optional.
    lags
        Distances in cells.
    weights
        As in :func:`flexclim.verify.crps`; a pair has the mean weight of its cells.
    dim
        Dimensions to average over, apart from the horizontal ones; None: all, (): none.

    Returns
    -------
    Dataset
        (kept dimensions..., axis, lag) ``forecast`` and ``truth``, correlations; (kept
        dimensions..., lag) ``forecast_anisotropy`` and ``truth_anisotropy``, the ratio of the
        semivariograms (1 - correlation) along x and y: 1 is isotropic, above 1 rougher along x.

    Notes
    -----
    Cressie (1993), Statistics for Spatial Data, sections 2.3 and 2.4.

    >>> stripes = xr.DataArray(np.tile([1.0, -1.0, 1.0, -1.0], (4, 1)), dims=["y", "x"])
    >>> found = lag_correlation(stripes, stripes)
    >>> found.truth.sel(axis="x").values, found.truth.sel(axis="y").values
    (array([-1.,  1.]), array([1., 1.]))
    """
    return score_pairs(lag_correlation_of, forecast, truth, lags, weights, dim)


@suggest_options
def increments(
    forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Variance and kurtosis of the differences between neighbouring cells, along y and along x.

    The second-order structure function at a lag of one cell, S2, and the flatness S4 / S2**2, with
    moments about 0: 3 for Gaussian increments, more where fronts and coasts are sharp. Parameters
    as in :func:`lag_correlation`.

    Returns
    -------
    Dataset
        (kept dimensions..., axis) ``variance``, ``kurtosis``; those of the truth,
        ``truth_variance``, ``truth_kurtosis``; and the first over the second,
        ``variance_ratio``, ``kurtosis_ratio``.

    Notes
    -----
    Frisch (1995), Turbulence, sections 5.1 and 8.2.

    >>> ramp = xr.DataArray(np.arange(4.0) * np.ones((4, 1)), dims=["y", "x"])
    >>> found = increments(2 * ramp, ramp)
    >>> float(found.variance_ratio.sel(axis="x")), float(found.kurtosis.sel(axis="x"))
    (4.0, 1.0)
    """
    return score_pairs(increments_of, forecast, truth, weights, dim)


@suggest_options
def two_cell_noise(
    forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Variance of waves of two cells: stripes across y, stripes across x, and checkerboards.

    The mean square of what one pass of Shapiro's filter removes, (2 f[i] - f[i-1] - f[i+1]) / 4:
    all of a wave of two cells, half the amplitude of one of four. ``"both"`` applies it along y
    and along x. Cells at edges do not count. Parameters as in :func:`lag_correlation`.

    Returns
    -------
    Dataset
        (kept dimensions..., axis) ``forecast``, ``truth`` and ``ratio``; axis y, x and both.

    Raises
    ------
    FlexclimError
        If the fields have fewer than 3 rows or columns.

    Notes
    -----
    Shapiro (1970), Rev. Geophys. 8, 359-387.

    >>> board = xr.DataArray((-1.0) ** np.add.outer(range(4), range(4)), dims=["y", "x"])
    >>> two_cell_noise(3 * board, board).ratio.values
    array([9., 9., 9.])
    """
    return score_pairs(two_cell_noise_of, forecast, truth, weights, dim)


def lag_correlation_of(
    pair: Pair,
    lags: int | Sequence[int] = (1, 2),
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Score an aligned pair with :func:`lag_correlation`."""
    wanted, plane = [check_count("lags", lag) for lag in as_list(lags)], pair.plane
    sizes = [pair.truth.sizes[name] for name in plane.dims]
    if not wanted or max(wanted) >= min(sizes):
        raise FlexclimError(
            f"lags={lags!r} are no distances within {sizes[0]} x {sizes[1]} cells. Give numbers "
            "of cells below both sizes."
        )

    def products(fields: np.ndarray, weight: np.ndarray) -> np.ndarray:
        fields = fields - _weighted_mean(fields, weight)
        found = []
        for axis in AXES:
            for lag in wanted:
                one, two = _lagged(fields, axis, lag, plane.wrap)
                both = one * two
                light = np.where(np.isnan(both), 0.0, _pair_weight(weight, axis, lag, plane.wrap))
                found += [_total(part, light) for part in (both, one**2, two**2)]
        return np.stack(found, axis=-1)

    sums = _plane_sums(pair, products, 6 * len(wanted), weights, dim)
    both, left, right = (sums.isel(part=slice(start, None, 3)) for start in range(3))
    norm = (left * right) ** 0.5
    split = both / norm.where(norm > 0)
    parts = [split.isel(part=slice(i * len(wanted), (i + 1) * len(wanted))) for i in range(2)]
    joined = xr.concat(parts, "axis").assign_coords(axis=AXES)
    joined = joined.rename(part="lag").assign_coords(lag=wanted)
    rough = 1 - joined.sel(axis="y", drop=True)
    unequal = (1 - joined.sel(axis="x", drop=True)) / rough.where(rough > 0)
    result = {}
    for source in ("forecast", "truth"):
        result[source] = joined.sel(source=source, drop=True), "lag correlation"
        unlike = unequal.sel(source=source, drop=True)
        result[f"{source}_anisotropy"] = unlike, "ratio of semivariograms along x and y"
    found = xr.Dataset(
        {n: v.assign_attrs(pair.describe(text, units="1")) for n, (v, text) in result.items()}
    )
    return found.transpose(..., "axis", "lag")


def increments_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.Dataset:
    """Score an aligned pair with :func:`increments`."""
    wrap = pair.plane.wrap

    def powers(fields: np.ndarray, weight: np.ndarray) -> np.ndarray:
        found = []
        for axis in AXES:
            one, two = _lagged(fields, axis, 1, wrap)
            light, square = _pair_weight(weight, axis, 1, wrap), (two - one) ** 2
            counted = np.where(np.isnan(square), 0.0, light)
            found += [_total(square, light), _total(square**2, light), counted.sum((-2, -1))]
        return np.stack(found, axis=-1)

    sums = _plane_sums(pair, powers, 6, weights, dim)
    second, fourth, weight = (
        sums.isel(part=slice(start, None, 3)).rename(part="axis").assign_coords(axis=AXES)
        for start in range(3)
    )
    weight = weight.where(weight > 0)
    variance = second / weight
    kurtosis = fourth / weight / variance.where(variance > 0) ** 2
    found = {}
    for name, values, units in (
        ("variance", variance, f"({pair.units})2" if pair.units else "1"),
        ("kurtosis", kurtosis, "1"),
    ):
        mine, theirs = (values.sel(source=s, drop=True) for s in ("forecast", "truth"))
        text = f"{name} of differences between neighbours"
        found[name] = mine.assign_attrs(pair.describe(text, units=units))
        found[f"truth_{name}"] = theirs.assign_attrs(pair.describe(f"{text}, truth", units=units))
        ratio = mine / theirs.where(theirs > 0)
        found[f"{name}_ratio"] = ratio.assign_attrs(
            pair.describe(f"{text}, over the truth's", units="1")
        )
    return xr.Dataset(found)


def two_cell_noise_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.Dataset:
    """Score an aligned pair with :func:`two_cell_noise`."""
    wrap = pair.plane.wrap
    if min(sizes := [pair.truth.sizes[name] for name in pair.plane.dims]) < 3:
        raise FlexclimError(
            f"two_cell_noise compares cells with those on both sides, and the fields have "
            f"{sizes[0]} x {sizes[1]} cells. Give at least 3 x 3."
        )

    def squares(fields: np.ndarray, weight: np.ndarray) -> np.ndarray:
        along_y = _removed(fields, "y", wrap=False)
        parts = [along_y, _removed(fields, "x", wrap), _removed(along_y, "x", wrap)]
        found = [_total(part**2, weight) for part in parts]
        counted = [np.where(np.isnan(part), 0.0, weight).sum((-2, -1)) for part in parts]
        return np.stack([*found, *counted], axis=-1)

    sums = _plane_sums(pair, squares, 6, weights, dim).rename(part="axis")
    total, weight = (
        sums.isel(axis=part).assign_coords(axis=[*AXES, "both"])
        for part in (slice(0, 3), slice(3, 6))
    )
    noise = total / weight.where(weight > 0)
    found = {source: noise.sel(source=source, drop=True) for source in ("forecast", "truth")}
    units = f"({pair.units})2" if pair.units else "1"
    text = "variance of waves of two cells"
    result = {n: v.assign_attrs(pair.describe(text, units=units)) for n, v in found.items()}
    ratio = found["forecast"] / found["truth"].where(found["truth"] > 0)
    result["ratio"] = ratio.assign_attrs(pair.describe(f"{text}, over the truth's", units="1"))
    return xr.Dataset(result)


def _plane_sums(
    pair: Pair, function: PlaneSums, length: int, weights: Weights, dim: Dims
) -> xr.DataArray:
    """Add up what ``function`` returns for each plane.

    It is called with the members and the truth of one plane (M + 1, y, x), NaN where any of them
    is missing, and the weights (y, x). Returns (kept dimensions..., source, part).
    """
    plane, over = pair.plane, pair.reduced_dims(dim)
    member = pair.member or "_single"
    forecast = pair.forecast if pair.member else pair.forecast.expand_dims(member)
    forecast = forecast.chunk({member: -1}) if forecast.chunks is not None else forecast
    weight = pair.point_weights(weights)
    weight = weight.expand_dims(
        {d: pair.truth.sizes[d] for d in plane.dims if d not in weight.dims}
    )

    def each(members: np.ndarray, observed: np.ndarray, light: np.ndarray) -> np.ndarray:
        light = np.broadcast_to(light, observed.shape)
        result = np.empty((*observed.shape[:-2], 2, length))
        for case in np.ndindex(observed.shape[:-2]):
            fields = np.concatenate([members[case], observed[case][None]]).astype(float)
            fields[:, np.isnan(fields).any(axis=0)] = np.nan
            sums = function(fields, light[case])
            result[case] = sums[:-1].sum(axis=0), sums[-1]
        return result

    core = list(plane.dims)
    sums = xr.apply_ufunc(
        each,
        whole_planes(forecast, plane),
        whole_planes(pair.truth, plane),
        whole_planes(weight, plane),
        input_core_dims=[[member, *core], core, core],
        output_core_dims=[["source", "part"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"source": 2, "part": length}},
    )
    result: xr.DataArray = sums.sum([name for name in over if name in sums.dims])
    return result.assign_coords(source=["forecast", "truth"])


def _lagged(field: np.ndarray, axis: str, lag: int, wrap: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells (..., y, x) that have one ``lag`` cells on, and the latter."""
    if axis == "y":
        return field[..., :-lag, :], field[..., lag:, :]
    if wrap:
        return field, np.roll(field, -lag, axis=-1)
    return field[..., :-lag], field[..., lag:]


def _pair_weight(weight: np.ndarray, axis: str, lag: int, wrap: bool) -> np.ndarray:
    one, two = _lagged(weight, axis, lag, wrap)
    return np.asarray((one + two) / 2)


def _removed(fields: np.ndarray, axis: str, wrap: bool) -> np.ndarray:
    """Return what Shapiro's filter removes along an axis; NaN at edges."""
    place = -2 if axis == "y" else -1
    found = (2 * fields - np.roll(fields, 1, place) - np.roll(fields, -1, place)) / 4
    if not wrap:
        edge: list[slice | list[int]] = [slice(None)] * fields.ndim
        edge[place] = [0, -1]
        found[tuple(edge)] = np.nan
    return np.asarray(found)


def _total(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sum (n, y, x) over planes, without missing values."""
    return np.asarray(np.where(np.isnan(values), 0.0, values * weight).sum(axis=(-2, -1)))


def _weighted_mean(fields: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the mean of each plane, (n, 1, 1); 0 where there is no value."""
    counted = np.where(np.isnan(fields), 0.0, weight).sum(axis=(-2, -1))
    mean = _total(fields, weight) / np.where(counted > 0, counted, 1.0)
    return np.asarray(mean[:, None, None])
