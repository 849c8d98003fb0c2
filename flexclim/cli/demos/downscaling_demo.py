"""Demo: coarsen ERA5 fields, downscale them, score the ensemble against the truth, plot it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from flexclim import verify
from flexclim.cli.demos.sample import sample_file
from flexclim.downscaling import downscale_to_zarr
from flexclim.plotting.maps import draw_map, map_axes
from flexclim.resampling import coarsen, interpolate
from flexclim.stores.datasets import open_input

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

FACTOR = 4
WINDOW = {"latitude": slice(74, 34), "longitude": slice(-16, 32)}


def run(out: Path, *, members: int = 8, console: Console | None = None) -> dict[str, Path]:
    """Downscale the bundled ERA5 sample, print scores and draw figures.

    Parameters
    ----------
    out
        Folder for ``fine-MEMBERS.zarr``, ``maps.png`` and ``spectra.png``; created if missing.
        An existing store is continued, existing figures are replaced, other files are kept.
    members
        Ensemble size, at least 2.
    console
        Where to print; default: standard output.

    Returns
    -------
    dict
        Paths of the ``store`` and of the figures ``maps`` and ``spectra``.
    """
    from rich.console import Console

    console = console or Console()
    out.mkdir(parents=True, exist_ok=True)
    store = out / f"fine-{members}.zarr"
    begun = time.perf_counter()

    truth = xr.load_dataset(sample_file())
    coarse = coarsen(truth, FACTOR)
    downscale_to_zarr(coarse, store, FACTOR, members=members)
    fine = open_input(store).load()
    console.print(
        f"ERA5 wind and temperature, {_size(coarse)} to {_size(truth)} points, {members} members: "
        f"{time.perf_counter() - begun:.0f} s"
    )
    candidates = {
        "bilinear": interpolate(coarse, FACTOR, "bilinear"),
        "bicubic": interpolate(coarse, FACTOR, "bicubic"),
        "flexclim": fine,
    }
    _print_scores(console, truth, candidates)
    paths = {"store": store, "maps": out / "maps.png", "spectra": out / "spectra.png"}
    draw_maps(coarse, truth, fine, paths["maps"])
    draw_spectra(truth, candidates, paths["spectra"])
    for path in paths.values():
        console.print(str(path), soft_wrap=True, highlight=False)
    return paths


def score(forecast: xr.DataArray, truth: xr.DataArray) -> dict[str, float]:
    """Score one variable of an ensemble, or of a single field.

    Returns
    -------
    dict
        ``CRPS`` (fair; the mean absolute error of a single field), ``RMSE`` of the mean,
        ``spread/skill`` (NaN for a single field) and ``spectrum``, the log-spectral distance
        in dB.
    """
    ensemble = "realization" in forecast.dims
    crps = verify.crps(forecast, truth) if ensemble else verify.mae(forecast, truth)
    ratio = verify.spread_skill(forecast, truth) if ensemble else np.nan
    return {
        "CRPS": float(crps),
        "RMSE": float(verify.rmse(forecast, truth)),
        "spread/skill": float(ratio),
        "spectrum": float(verify.log_spectral_distance(forecast, truth)),
    }


def _print_scores(console: Console, truth: xr.Dataset, candidates: dict[str, xr.Dataset]) -> None:
    from rich.table import Table

    table = Table("variable", "method", "CRPS", "RMSE of the mean", "spread/skill", "spectrum, dB")
    for name, field in truth.data_vars.items():
        for method, forecast in candidates.items():
            scores = score(forecast[name], field)
            row = ["–" if np.isnan(value) else f"{value:.3f}" for value in scores.values()]
            model = forecast[name].attrs.get("flexclim_model", method)
            table.add_row(f"{name}, {field.attrs['units']}", model, *row)
        table.add_section()
    console.print(table)
    console.print(
        "CRPS: fair estimator, or mean absolute error of a single field; lower is better. "
        "Spread/skill is best at 1, the log-spectral distance at 0."
    )


def draw_maps(coarse: xr.Dataset, truth: xr.Dataset, fine: xr.Dataset, path: Path) -> None:
    """Draw wind speed and temperature over Europe, at the first time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 5.2), layout="constrained")
    for row, (quantity, cmap) in enumerate((("wind", "YlGnBu"), ("temperature", "RdYlBu_r"))):
        low, high, ensemble = (_view(field, quantity) for field in (coarse, truth, fine))
        panels = {
            "coarse input": low,
            "truth": high,
            "one member": ensemble.isel(realization=0),
            "mean": ensemble.mean("realization", keep_attrs=True),
        }
        limits = {"vmin": float(high.min()), "vmax": float(high.max()), "cmap": cmap}
        axes = []
        for column, (title, field) in enumerate(panels.items()):
            axes.append(map_axes(figure, 2, 5, 5 * row + column + 1, high))
            mesh = draw_map(axes[-1], field, title=title if row == 0 else "", **limits)
        label = f"{quantity}, {high.attrs['units']}"
        figure.colorbar(mesh, ax=axes, shrink=0.9, label=label)
        spread = ensemble.std("realization", ddof=1)
        ax = map_axes(figure, 2, 5, 5 * row + 5, high)
        mesh = draw_map(ax, spread, title="spread" if row == 0 else "", cmap="YlOrRd", vmin=0)
        figure.colorbar(mesh, ax=ax, shrink=0.9)
    figure.savefig(path, dpi=130)


def draw_spectra(truth: xr.Dataset, candidates: dict[str, xr.Dataset], path: Path) -> None:
    """Draw power spectra of the truth and of all candidates, one panel per variable."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(truth.data_vars), 3.6), layout="constrained")
    panels = figure.subplots(1, len(truth.data_vars), squeeze=False)[0]
    for ax, (name, field) in zip(panels, truth.data_vars.items(), strict=True):
        power = _draw_spectrum(ax, field, color="black", label="truth")
        for method, forecast in candidates.items():
            _draw_spectrum(ax, forecast[name], label=method)
        ax.set(title=name, xlabel="wavelength, km", xscale="log", yscale="log")
        # Interpolated fields have almost no power at some scales.
        ax.set_ylim(float(power.min()) / 1e4, float(power.max()) * 3)
        ax.invert_xaxis()
    panels[0].set_ylabel("power")
    panels[0].legend()
    figure.savefig(path, dpi=110)


def _draw_spectrum(ax: Axes, field: xr.DataArray, **style: Any) -> xr.DataArray:
    power = verify.spectrum(field).isel(wavenumber=slice(1, None))
    power = power.isel(wavenumber=power["wavenumber"].values <= power.attrs["nyquist"])
    ax.plot(power["wavelength"] / 1000, power, **style)
    return power


def _view(field: xr.Dataset, quantity: str) -> xr.DataArray:
    """Return wind speed or temperature at the first time over Europe."""
    first = field.isel(time=0)
    first = first.assign_coords(longitude=(first["longitude"] + 180) % 360 - 180)
    first = first.sortby("longitude").sel(WINDOW)
    if quantity == "temperature":
        return first["t2m"]
    speed: xr.DataArray = (first["u10"] ** 2 + first["v10"] ** 2) ** 0.5
    return speed.assign_attrs(units="m/s", long_name="wind speed")


def _size(field: xr.Dataset) -> str:
    return f"{field.sizes['latitude']} x {field.sizes['longitude']}"
