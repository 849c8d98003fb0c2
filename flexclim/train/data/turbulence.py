"""Two-dimensional turbulence, simulated: a source of training fields without end or licence.

The vorticity equation on a doubly periodic square of side 2 pi,

    dw/dt + J(psi, w) = f - drag w - nu (-lap)^p w,        lap psi = w,

is solved by the pseudo-spectral method: derivatives in wavenumbers, products in space, the upper
third of wavenumbers cut against aliasing (Orszag 1971), fourth-order Runge and Kutta steps whose
linear terms are integrated exactly (Cox and Matthews 2002) and whose length the fastest velocity
sets.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import xarray as xr
from scipy import fft

from flexclim.train.recipes.data_settings import Turbulence

COURANT = 0.5  # share of a cell that the fastest fluid crosses in a step
RING = 1.0  # half width of the ring of wavenumbers that is forced
START = np.datetime64("2000-01-01", "s")
DAY = 86400  # seconds that stand for a unit of the flow's time
APART = 1000 * DAY  # from the end of a flow to the beginning of the next


class Vorticity:
    """State and stepping of several independent flows.

    Parameters
    ----------
    settings
        The flows.
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
        mean: np.ndarray = (u**2 + v**2).mean((1, 2)) / 2
        return mean

    def _first(self) -> np.ndarray:
        """Return random phases with an energy spectrum k^3 / (1 + (k / peak)^(3 - slope))."""
        settings = self.settings
        noise = self._noise()
        k = np.sqrt(self.squared)
        energy = k**3 / (1 + (k / settings.peak) ** (3 - settings.slope))
        # E(k) is a ring's sum, and vorticity is k times velocity.
        vorticity = noise * k * np.sqrt(energy / np.maximum(k, 1)) * self.kept
        self.vorticity = vorticity
        return vorticity * np.sqrt(0.5 / self.energy())[:, None, None]  # speeds of about 1

    def _noise(self) -> np.ndarray:
        size = self.settings.size
        white = self.random.standard_normal((self.settings.runs, size, size))
        return fft.rfft2(white, workers=1)

    def _space(self, spectrum: np.ndarray) -> np.ndarray:
        size = self.settings.size
        return fft.irfft2(spectrum, (size, size), workers=1)

    def _longest_step(self) -> float:
        u, v = self.velocity()
        fastest = math.sqrt(float((u**2 + v**2).max()))
        return COURANT * 2 * math.pi / self.settings.size / max(fastest, 1e-3)

    def _advection(self, vorticity: np.ndarray) -> np.ndarray:
        psi = -self.inverse * vorticity
        u, v = self._space(-1j * self.ky * psi), self._space(1j * self.kx * psi)
        along = u * self._space(1j * self.kx * vorticity)
        along += v * self._space(1j * self.ky * vorticity)
        return -fft.rfft2(along, workers=1) * self.kept

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
        """Return a ring of noise, white in time, that brings in ``power`` of energy."""
        noise = self._noise() * self.ring
        cells = self.settings.size**2
        # Half of the mean square of the velocity that the noise makes in a unit of time.
        twice = np.where((self.kx == 0) | (self.kx == self.settings.size / 2), 1.0, 2.0)
        energy = (twice * np.abs(noise) ** 2 * self.inverse).sum((1, 2)) / 2 / cells**2
        return noise * np.sqrt(self.settings.power / energy)[:, None, None]


@cache
def simulate(settings: Turbulence) -> xr.Dataset:
    """Simulate flows and return what training reads.

    Parameters
    ----------
    settings
        Size, number of flows and snapshots, forcing, viscosity.

    Returns
    -------
    Dataset
        ``u``, ``v`` and ``vorticity`` on (time, y, x), float32, without units: the snapshots of one
        flow after those of another. A unit of the flow's time is written as a day, to the second;
        1000 days lie between two flows, so that no step in time leads from one into another. ``y``
        falls and ``x`` rises by 1 a cell. With plain viscosity the Reynolds number is the
        coordinate ``reynolds``.
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
        # Stored rows go from the top, where y is largest.
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
    """Return the times of all snapshots, one flow after another."""
    first, every = round(settings.first * DAY), round(settings.every * DAY)
    one = first + every * np.arange(settings.snapshots)
    flows = (int(one[-1]) + APART) * np.arange(settings.runs)
    seconds: np.ndarray = (flows[:, None] + one).ravel()
    return START + seconds.astype("timedelta64[s]")
