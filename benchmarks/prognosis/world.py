"""A synthetic climate whose conditional mean is known: predictors at levels, a fine target.

The target is a known function of two predictors and of the orography, plus texture that no
predictor tells::

    tas = t@850 + 8 K - 6.5 K/km orog + 1.5 K tanh(q@700 / 1 g/kg - 3) + texture

so its expectation given the predictors is the sum without the texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

LAPSE = 6.5e-3  # K/m
FIRST = 42.0, 4.0  # southern and western edge of the target in degrees
STEP = 0.1  # of the target in degrees
LEVELS = [85000.0, 70000.0, 50000.0]  # Pa
DIMS = ("time", "lat", "lon")


@dataclass(frozen=True, kw_only=True)
class World:
    """Predictors on 2 x 2 degrees, the target on 0.1 degree, its conditional mean, and heights.

    Parameters
    ----------
    predictors
        ``t`` and ``q`` (time, plev, lat, lon) and ``msl`` (time, lat, lon).
    target
        ``tas`` (time, lat, lon).
    mean
        Its expectation given the predictors.
    static
        ``orog`` (lat, lon).
    """

    predictors: xr.Dataset
    target: xr.Dataset
    mean: xr.DataArray
    static: xr.Dataset


def make_world(
    years: int = 8, days: int = 30, side: int = 64, warming: float = 0.5, seed: int = 0
) -> World:
    """Make a climate of ``days`` days in each of ``years`` years.

    Parameters
    ----------
    side
        Rows and columns of the target.
    warming
        Of the temperature at all levels, in K per year; humidity follows by 7 % per K.
    """
    random = np.random.default_rng(seed)
    times = _times(years, days)
    trend = warming * (times.year.to_numpy() - times.year[0])
    trend = trend + 1.5 * np.sin(np.arange(times.size) / 3)  # weather of the whole domain
    weather = _Weather(times.size, random)
    lat, lon = np.arange(34.0, 58.1, 2), np.arange(-6.0, 22.1, 2)
    rows, columns = (first + STEP * (np.arange(side) + 0.5) for first in FIRST)
    orog = _orography(side, random)
    height = {"units": "m", "standard_name": "surface_altitude"}
    static = xr.Dataset({"orog": (DIMS[1:], orog, height)}, _positions(rows, columns))
    mean = (
        weather.temperature(trend, rows, columns)
        + 8
        - LAPSE * orog
        + 1.5 * np.tanh(weather.humidity(trend, rows, columns) - 3)
    )
    texture = smooth_noise(times.size, side, random)
    attrs = {"standard_name": "air_temperature", "units": "K", "cell_methods": "time: mean"}
    places = {"time": times} | _positions(rows, columns)
    return World(
        predictors=_predictors(weather, trend, times, lat, lon),
        target=xr.Dataset({"tas": (DIMS, np.float32(mean + texture), attrs)}, places),
        mean=xr.DataArray(np.float32(mean), places, DIMS, "tas", attrs),
        static=static,
    )


class _Weather:
    """Waves of a few thousand km that move; smooth, so that they are known between grid points."""

    def __init__(self, times: int, random: np.random.Generator) -> None:
        self.phase = random.uniform(0, 2 * np.pi, (2, times, 1, 1))
        self.size = 1 + 0.4 * random.standard_normal((2, times, 1, 1))

    def _wave(self, number: int, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * (lon / 28 + (-1) ** number * lat[:, None] / 40)
        return np.asarray(self.size[number] * np.sin(angle + self.phase[number]))

    def temperature(
        self, trend: np.ndarray, lat: np.ndarray, lon: np.ndarray, cooler: float = 0.0
    ) -> np.ndarray:
        """Return the temperature in K; ``cooler`` than at 850 hPa."""
        south = 280 - 0.6 * (lat[:, None] - 45) + 0 * lon
        return np.asarray(south + 3 * self._wave(0, lat, lon) + trend[:, None, None] - cooler)

    def humidity(self, trend: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        """Return the specific humidity at 700 hPa in g/kg."""
        return np.asarray((3 + self._wave(1, lat, lon)) * np.exp(0.07 * trend)[:, None, None])


def _predictors(
    weather: _Weather, trend: np.ndarray, times: pd.DatetimeIndex, lat: np.ndarray, lon: np.ndarray
) -> xr.Dataset:
    dims = "time", "plev", "lat", "lon"
    warm = [weather.temperature(trend, lat, lon, cooler) for cooler in (0.0, 8.0, 22.0)]
    moist = [share * weather.humidity(trend, lat, lon) * 1e-3 for share in (1.6, 1.0, 0.4)]
    level = {"standard_name": "air_pressure", "units": "Pa", "axis": "Z", "positive": "down"}
    temperature = {"standard_name": "air_temperature", "units": "K"}
    humidity = {"standard_name": "specific_humidity", "units": "1"}
    pressure = {"standard_name": "air_pressure_at_mean_sea_level", "units": "Pa"}
    return xr.Dataset(
        {
            "t": (dims, np.float32(np.stack(warm, 1)), temperature),
            "q": (dims, np.float32(np.stack(moist, 1)), humidity),
            "msl": (DIMS, np.float32(101300 + 100 * (warm[0] - 280)), pressure),
        },
        {"time": times, "plev": ("plev", LEVELS, level)} | _positions(lat, lon),
    )


def _times(years: int, days: int) -> pd.DatetimeIndex:
    """Return the first days of June and later of each year, at noon."""
    first = [pd.Timestamp(f"{2000 + year}-06-01 12:00") for year in range(years)]
    return pd.DatetimeIndex([day for one in first for day in pd.date_range(one, periods=days)])


def _positions(lat: np.ndarray, lon: np.ndarray) -> dict[str, xr.Variable]:
    return {
        "lat": xr.Variable("lat", lat, {"standard_name": "latitude", "units": "degrees_north"}),
        "lon": xr.Variable("lon", lon, {"standard_name": "longitude", "units": "degrees_east"}),
    }


def _orography(side: int, random: np.random.Generator) -> np.ndarray:
    """Return heights of 0 to about 1500 m with ridges of all sizes."""
    rough = smooth_noise(1, side, random)[0]
    return np.asarray(1500 / (1 + np.exp(-1.5 * rough / rough.std())))


def smooth_noise(count: int, side: int, random: np.random.Generator) -> np.ndarray:
    """Return (count, side, side) noise of 0.7 K with a spectrum of k^-3."""
    wave = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    shape = np.where(wave >= 2 / side, np.maximum(wave, 1 / side), np.inf) ** -2
    white = np.fft.rfft2(random.standard_normal((count, side, side)))
    noise = np.fft.irfft2(white * shape, (side, side))
    return np.asarray(0.7 * noise / noise.std())
