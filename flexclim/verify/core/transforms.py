"""Power of planes by wavenumber, normalised to sum to the variance (numpy arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import fft

from flexclim.errors import FlexclimError
from flexclim.verify.core.geometry import Plane
from flexclim.verify.core.option_checks import check_choice

Kind = Literal["radial", "zonal", "spherical"]
Edges = Literal["dct", "taper", "periodic"]
Fill = Literal["mean"] | None


@dataclass(frozen=True, kw_only=True)
class Bins:
    """The wavenumber of each coefficient of a plane.

    Parameters
    ----------
    index
        (ky, kx) or (kx,): bin of each coefficient; -1 excludes it (the mean).
    share
        Multiplicity of a coefficient: 2 if its complex conjugate is not stored.
    wavenumber
        (bins,) in cycles per metre.
    nyquist
        The largest wavenumber that the grid resolves in every direction.
    """

    index: np.ndarray
    share: np.ndarray
    wavenumber: np.ndarray
    nyquist: float

    def add(self, power: np.ndarray) -> np.ndarray:
        """Sum (..., ky, kx) over the coefficients of each bin."""
        count, keep = self.wavenumber.size, self.index.ravel() >= 0
        flat = (power * self.share).reshape(-1, keep.size)[:, keep]
        index = self.index.ravel()[keep]
        sums = np.stack([np.bincount(index, row, minlength=count) for row in flat])
        return sums.reshape(*power.shape[: power.ndim - self.index.ndim], count)


def fill_gaps(
    field: np.ndarray, fill: Fill, known: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Replace missing values of (..., y, x) by the mean of their plane if ``fill`` is "mean".

    Parameters
    ----------
    field
        (..., y, x).
    fill
        None leaves single missing values as they are.
    known
        (..., y, x) where a value counts, also in the fields that are compared; None: everywhere.

    Returns
    -------
    field, empty
        The filled field, and (...) which planes have no value that counts: these are 0.
    """
    check_choice("fill", fill, ("mean", None))
    missing = np.isnan(field) if known is None else np.isnan(field) | ~known
    empty = missing.all(axis=(-2, -1))
    if empty.any():
        field, missing = (
            np.where(empty[..., None, None], 0.0, field),
            missing & ~empty[..., None, None],
        )
    if fill is None or not missing.any():
        return field, empty
    mean = np.nanmean(np.where(missing, np.nan, field), axis=(-2, -1), keepdims=True)
    return np.where(missing, mean, field), empty


def make_bins(kind: Kind, shape: tuple[int, int], plane: Plane, edges: Edges) -> Bins:
    """Return the bins of a plane: rings around 0 (``"radial"``) or waves along x (``"zonal"``)."""
    folded_x = edges == "dct" and not plane.wrap
    along_x, share = _axis(shape[1], plane.step_x, folded_x, real=True)
    if kind == "zonal":
        index = np.arange(along_x.size) - 1
        return Bins(index=index, share=share, wavenumber=along_x[1:], nyquist=float(along_x[-1]))
    along_y, _ = _axis(shape[0], plane.step_y, edges == "dct", real=False)
    distance = np.hypot(along_y[:, None], along_x[None, :])
    width = 1 / min(shape[0] * plane.step_y, shape[1] * plane.step_x)
    ring = np.maximum(np.rint(distance / width).astype(int), 1) - 1
    ring[0, 0] = -1
    filled, ring_index = np.unique(ring, return_inverse=True)
    ring_index = ring_index.reshape(ring.shape) - 1
    return Bins(
        index=ring_index,
        share=np.broadcast_to(share, ring.shape),
        wavenumber=(filled[1:] + 1) * width,
        nyquist=0.5 / max(plane.step_y, plane.step_x),
    )


def _axis(size: int, step: float, folded: bool, real: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the wavenumbers of one axis and the multiplicity of each."""
    if folded:
        return np.arange(size) / (2 * size * step), np.ones(size)
    if not real:
        return np.abs(fft.fftfreq(size, step)), np.ones(size)
    share = np.full(size // 2 + 1, 2.0)
    share[0] = 1.0
    if size % 2 == 0:
        share[-1] = 1.0  # the Nyquist wave is its own conjugate
    return fft.rfftfreq(size, step), share


def coefficients(field: np.ndarray, kind: Kind, plane: Plane, edges: Edges) -> np.ndarray:
    """Transform (..., y, x) so that squared coefficients times multiplicities sum to the variance.

    Directions that wrap use a Fourier transform. In other directions, ``"dct"`` uses the cosine
    transform of Denis et al. (2002), Mon. Weather Rev. 130, which mirrors the field at its edges;
    ``"taper"`` applies a Hann window that preserves the variance on average; ``"periodic"``
    assumes that the field wraps.

    Raises
    ------
    FlexclimError
        If a value is missing.
    """
    if np.isnan(field).any():
        raise FlexclimError(
            f"{int(np.isnan(field).sum())} NaN in the field: a spectrum needs all values. Select "
            "a part without gaps, or pass fill='mean' to replace them by each plane's mean."
        )
    field = np.asarray(field, float)
    axes = (-1,) if kind == "zonal" else (-2, -1)
    field = field - field.mean(axis=axes, keepdims=True)
    if edges == "taper":
        for axis in axes:
            if axis == -2 or not plane.wrap:
                field = _taper(field, axis)
        field = field - field.mean(axis=axes, keepdims=True)
    if kind != "zonal" and edges == "dct":
        field = fft.dct(field, axis=-2, norm="ortho")
    if edges == "dct" and not plane.wrap:
        waves = fft.dct(field, axis=-1, norm="ortho")
    else:
        waves = fft.rfft(field, axis=-1, norm="ortho")
    if kind != "zonal" and edges != "dct":
        waves = fft.fft(waves, axis=-2, norm="ortho")
    return np.asarray(waves / np.sqrt(np.prod([field.shape[axis] for axis in axes])))


def _taper(field: np.ndarray, axis: int) -> np.ndarray:
    size = field.shape[axis]
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    window /= np.sqrt(np.mean(window**2))
    return np.asarray(field * (window[:, None] if axis == -2 else window))
