"""Simulated two-dimensional turbulence: unlimited training fields, free of licences.

The vorticity equation on a doubly periodic square of side 2 pi,

    dw/dt + J(psi, w) = f - drag w - nu (-lap)^p w,        lap psi = w,

is solved by a pseudo-spectral method: derivatives in spectral space, products in physical space,
the upper third of wavenumbers removed against aliasing (Orszag 1971). Time stepping is fourth-order
Runge-Kutta with exact integration of the linear terms (Cox and Matthews 2002); the largest velocity
sets the time step.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import xarray as xr
from scipy import fft

from flexclim.train.recipes.source_settings import Turbulence

COURANT = 0.5  # Courant number of a time step
RING = 1.0  # half width of the forced ring of wavenumbers
START = np.datetime64("2000-01-01", "s")
DAY = 86400  # seconds that represent one time unit of the flow
APART = 1000 * DAY  # from the end of a flow to the start of the next


class Vorticity:
    """Several independent flows, and their time stepping.

    Parameters
    ----------
    settings
        Size and number of the flows, forcing, dissipation.
    """

    def __init__(self, settings: Turbulence) -> None:
        self.settings = settings
        self.random = np.random.default_rng(settings.seed)
        size = settings.size
        self.kx = fft.rfftfreq(size, 1 / size)[None, :]
        self.ky = fft.fftfreq(size, 1 / size)[:, None]
        self.squared = self.kx**2 + self.ky**2
        self.inverse = np.divide(1.0, self.squared, where=self.squared > 0, out=0 * self.squared)
        self.kept = (np.abs(self.kx) < size / 3) & (np.abs(self.ky) < size / 3)
        self.damping = settings.drag + settings.viscosity * self.squared**settings.order
        self.ring = np.abs(np.sqrt(self.squared) - settings.forced_at) < RING
        self.vorticity = self._first()

    def run(self, duration: float) -> None:
        """Advance all flows by ``duration`` (time units of the flow)."""
        left = duration
        while left > 1e-12 * duration:
            step = min(left, self._longest_step())
            self._step(step)
            left -= step

    def velocity(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the two components of velocity, each (flow, y, x)."""
        psi = -self.inverse * self.vorticity
        return self._space(-1j * self.ky * psi), self._space(1j * self.kx * psi)

    def field(self) -> np.ndarray:
        """Return the vorticity, (flow, y, x)."""
        return self._space(self.vorticity)

    def energy(self) -> np.ndarray:
        """Return the mean kinetic energy of each flow, (flow,)."""
        u, v = self.velocity()
        return np.asarray((u**2 + v**2).mean((1, 2)) / 2)

    def _first(self) -> np.ndarray:
        """Return random vorticity with the energy spectrum k^3 / (1 + (k / peak)^(3 - slope))."""
        settings = self.settings
        noise = self._noise()
        k = np.sqrt(self.squared)
        energy = k**3 / (1 + (k / settings.peak) ** (3 - settings.slope))
        # E(k) is a sum over a ring of modes, and vorticity is k times velocity.
        vorticity = noise * k * np.sqrt(energy / np.maximum(k, 1)) * self.kept
        self.vorticity = vorticity
        unit = np.sqrt(0.5 / self.energy())[:, None, None]  # speeds of about 1
        return np.asarray(vorticity * unit)

    def _noise(self) -> np.ndarray:
        size = self.settings.size
        white = self.random.standard_normal((self.settings.runs, size, size))
        return np.asarray(fft.rfft2(white, workers=1))

    def _space(self, spectrum: np.ndarray) -> np.ndarray:
        size = self.settings.size
        return np.asarray(fft.irfft2(spectrum, (size, size), workers=1))

    def _longest_step(self) -> float:
        u, v = self.velocity()
        fastest = math.sqrt(float((u**2 + v**2).max()))
        return COURANT * 2 * math.pi / self.settings.size / max(fastest, 1e-3)

    def _advection(self, vorticity: np.ndarray) -> np.ndarray:
        psi = -self.inverse * vorticity
        u, v = self._space(-1j * self.ky * psi), self._space(1j * self.kx * psi)
        along = u * self._space(1j * self.kx * vorticity)
        along += v * self._space(1j * self.ky * vorticity)
        return np.asarray(-fft.rfft2(along, workers=1) * self.kept)

    def _step(self, dt: float) -> None:
        half = np.exp(-self.damping * dt / 2)
        w = self.vorticity
        one = self._advection(w)
        two = self._advection(half * (w + dt / 2 * one))
        three = self._advection(half * w + dt / 2 * two)
        four = self._advection(half**2 * w + dt * half * three)
        whole = half**2 * (w + dt / 6 * one) + half * dt / 3 * (two + three) + dt / 6 * four
        if self.settings.forced_at:
            whole = whole + math.sqrt(dt) * self._forcing()
        self.vorticity = whole

    def _forcing(self) -> np.ndarray:
        """Return forcing in a ring of wavenumbers, white in time, with ``power`` of energy."""
        noise = self._noise() * self.ring
        cells = self.settings.size**2
        # Half the mean square of the velocity that the forcing adds per unit of time.
        twice = np.where((self.kx == 0) | (self.kx == self.settings.size / 2), 1.0, 2.0)
        energy = (twice * np.abs(noise) ** 2 * self.inverse).sum((1, 2)) / 2 / cells**2
        return np.asarray(noise * np.sqrt(self.settings.power / energy)[:, None, None])


@cache
def simulate(settings: Turbulence) -> xr.Dataset:
    """Simulate flows as a dataset for training.

    Parameters
    ----------
    settings
        Size, number of flows and snapshots, forcing, viscosity.

    Returns
    -------
    Dataset
        ``u``, ``v`` and ``vorticity`` on (time, y, x), float32, dimensionless: the snapshots of one
        flow after those of another. One time unit of the flow is written as a day, to the second;
        flows are 1000 days apart, so that no time step leads from one to the next. ``y`` decreases
        and ``x`` increases by 1 per cell. With ordinary viscosity (``order: 1``) the Reynolds
        number is the coordinate ``reynolds``.

    >>> from flexclim.train import Turbulence
    >>> flow = simulate(Turbulence(runs=1, snapshots=4))  # doctest: +SKIP
    >>> list(flow.data_vars)  # doctest: +SKIP
    ['u', 'v', 'vorticity']
    """
    flows = Vorticity(settings)
    fields: dict[str, list[np.ndarray]] = {"u": [], "v": [], "vorticity": []}
    flows.run(settings.first)
    for snapshot in range(settings.snapshots):
        if snapshot:
            flows.run(settings.every)
        for name, values in zip(fields, (*flows.velocity(), flows.field()), strict=True):
            fields[name].append(values.astype(np.float32))
    side = np.arange(float(settings.size))
    dataset = xr.Dataset(
        # Rows are stored from the top down: y is largest first.
        {
            name: (("time", "y", "x"), np.stack(parts, 1).reshape(-1, *parts[0].shape[1:])[:, ::-1])
            for name, parts in fields.items()
        },
        {"time": _times(settings), "y": -side, "x": side},
    )
    dataset["time"].attrs.update(standard_name="time", comment="a day is a unit of the flow's time")
    if settings.order == 1 and settings.viscosity:
        reynolds = xr.Variable((), 1 / settings.viscosity, {"long_name": "Reynolds number"})
        dataset = dataset.assign_coords(reynolds=reynolds)
    return dataset


def _times(settings: Turbulence) -> np.ndarray:
    """Return the times of all snapshots, flow by flow."""
    first, every = round(settings.first * DAY), round(settings.every * DAY)
    one = first + every * np.arange(settings.snapshots)
    flows = (int(one[-1]) + APART) * np.arange(settings.runs)
    seconds = (flows[:, None] + one).ravel()
    return np.asarray(START + seconds.astype("timedelta64[s]"))
