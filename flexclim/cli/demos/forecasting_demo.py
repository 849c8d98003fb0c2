"""Demo: forecast an ensemble of a simulated turbulent flow, score it against the simulation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from flexclim import verify
from flexclim.forecasting import forecast_to_zarr
from flexclim.models.model import Model, load_model
from flexclim.models.settings import FORECAST
from flexclim.planning.variable_groups import check_task
from flexclim.stores.datasets import open_input
from flexclim.train import Turbulence, simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from rich.console import Console

MODEL, LEADS, FIELD = "flex-turbulence", 16, "vorticity"
# The flow of the model's recipe, with another seed and Reynolds number.
FLOW = Turbulence(
    size=128,
    runs=1,
    first=4.0,
    every=0.0625,
    forced_at=6.0,
    power=0.02,
    drag=0.01,
    viscosity=1 / 1200,
    seed=2000,
)
CMAP = "RdBu_r"


def run(
    out: Path,
    *,
    members: int = 8,
    model: str | Model = MODEL,
    flow: Turbulence = FLOW,
    leads: int = LEADS,
    console: Console | None = None,
) -> dict[str, Path]:
    """Simulate a flow, forecast it, print scores by lead time and draw figures.

    Parameters
    ----------
    out
        Folder for ``forecast-MEMBERS.zarr``, ``forecast.png`` and ``forecast.gif``; created if
        missing. An existing store is continued, existing figures are replaced, other files are
        kept.
    members
        Ensemble size, at least 2.
    model
        Name of a model that forecasts vorticity, or a loaded one.
    flow
        Settings of the simulation.
    leads
        Number of time steps to forecast.
    console
        Where to print; default: standard output.

    Returns
    -------
    dict
        Paths of the ``store`` and of the figures ``picture`` and ``film``.

    Raises
    ------
    ModelError
        If the model does not forecast.
    """
    from rich.console import Console

    console = console or Console()
    model = model if isinstance(model, Model) else load_model(model)
    check_task(model, FORECAST)
    assert model.settings.forecast is not None
    out.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    past, truth = simulated(flow, model.settings.forecast.past, leads)
    reynolds = "" if "reynolds" not in past else f", Reynolds number {float(past.reynolds):.0f}"
    seconds = time.perf_counter() - begun
    console.print(f"A flow of {flow.size} x {flow.size} cells{reynolds}: {seconds:.0f} s")
    store, begun = out / f"forecast-{members}.zarr", time.perf_counter()
    forecast_to_zarr(past, store, leads, model=model, members=members)
    ahead = open_input(store)[FIELD].load()
    seconds = time.perf_counter() - begun
    console.print(f"{leads} steps, {members} members: {seconds:.0f} s")
    last = past[FIELD].isel(time=-1, drop=True)
    _print_scores(console, ahead, truth, last)
    paths = {"store": store, "picture": out / "forecast.png", "film": out / "forecast.gif"}
    draw_forecast(ahead, truth, paths["picture"])
    panels = {
        "truth": truth,
        "one member": ahead.isel(realization=0),
        "another": ahead.isel(realization=1),
        "mean": ahead.mean("realization", skipna=False),
    }
    draw_film(panels, paths["film"])
    for path in paths.values():
        console.print(str(path), soft_wrap=True, highlight=False)
    return paths


def simulated(flow: Turbulence, past: int, leads: int) -> tuple[xr.Dataset, xr.DataArray]:
    """Simulate a flow; return ``past`` snapshots and the vorticity of the ``leads`` after them."""
    fields = simulate(flow.model_copy(update={"snapshots": past + leads}))
    return fields.isel(time=slice(past)), fields[FIELD].isel(time=slice(past, None))


def score(ahead: xr.DataArray, truth: xr.DataArray) -> dict[str, float]:
    """Score a forecast at one time.

    Returns
    -------
    dict
        ``CRPS`` (fair; the mean absolute error of a single field), ``RMSE`` of the mean,
        ``spread/skill`` (NaN for a single field) and ``spectrum``, the log-spectral distance in
        dB up to half the Nyquist wavenumber; dealiasing empties the upper third of the spectrum.
    """
    ratio = verify.amplitude_ratio(ahead, truth)
    level = 20 * np.log10(ratio[ratio["wavenumber"] <= ratio.attrs["nyquist"] / 2])
    ensemble = "realization" in ahead.dims
    crps = verify.crps(ahead, truth) if ensemble else verify.mae(ahead, truth)
    return {
        "CRPS": float(crps),
        "RMSE": float(verify.rmse(ahead, truth)),
        "spread/skill": float(verify.spread_skill(ahead, truth)) if ensemble else np.nan,
        "spectrum": float((level**2).mean() ** 0.5),
    }


def _print_scores(
    console: Console, ahead: xr.DataArray, truth: xr.DataArray, last: xr.DataArray
) -> None:
    from rich.table import Table

    table = Table("lead", "forecast", "CRPS", "RMSE of the mean", "spread/skill", "spectrum, dB")
    for step in shown(truth.sizes["time"]):
        now = truth.isel(time=step, drop=True)
        for name, field in (("persistence", last), ("ensemble", ahead.isel(time=step, drop=True))):
            found = score(field.reset_coords(drop=True), now.reset_coords(drop=True))
            row = ["–" if np.isnan(value) else f"{value:.3f}" for value in found.values()]
            table.add_row(f"{float(ahead.lead_time[step]):g} h", name, *row)
        table.add_section()
    console.print(table)
    console.print(
        "CRPS: fair estimator, or mean absolute error of a single field; lower is better. "
        "Spread/skill is best at 1, the log-spectral distance (up to half the Nyquist "
        "wavenumber) at 0. One day is one time unit of the flow."
    )


def shown(count: int) -> list[int]:
    """Return the indices of up to four evenly spaced leads out of ``count``.

    >>> shown(12)
    [0, 4, 7, 11]
    """
    return sorted({0, round((count - 1) / 3), round(2 * (count - 1) / 3), count - 1})


def draw_forecast(ahead: xr.DataArray, truth: xr.DataArray, path: Path) -> None:
    """Draw the truth, two members, mean and spread at some leads, with spectra below."""
    from matplotlib.figure import Figure

    leads = shown(truth.sizes["time"])
    rows = len(leads)
    figure = Figure(figsize=(10, 2.1 * rows + 2.8))
    grid = figure.add_gridspec(rows + 1, 1, height_ratios=[2.1] * rows + [2.4], hspace=0.14)
    fields = {
        "truth": truth,
        "one member": ahead.isel(realization=0),
        "another": ahead.isel(realization=1),
        "mean": ahead.mean("realization", skipna=False),
        "spread": ahead.std("realization", ddof=1, skipna=False),
    }
    limit, most = _limit(truth), float(fields["spread"].max())
    for row, step in enumerate(leads):
        panels = grid[row].subgridspec(1, len(fields), wspace=0.04).subplots(squeeze=False)[0]
        for ax, (name, field) in zip(panels, fields.items(), strict=True):
            low, high, cmap = (0.0, most, "YlOrRd") if name == "spread" else (-limit, limit, CMAP)
            ax.imshow(field[step], vmin=low, vmax=high, cmap=cmap, interpolation="nearest")
            ax.set(xticks=[], yticks=[], title=name if row == 0 else "")
        panels[0].set_ylabel(f"{float(ahead.lead_time[step]):g} h")
    panels = grid[rows].subgridspec(1, rows, wspace=0.08).subplots(sharey=True, squeeze=False)[0]
    spectra = {"truth": truth, "members": ahead, "mean": fields["mean"]}
    for ax, step in zip(panels, leads, strict=True):
        _draw_spectra(ax, {name: field.isel(time=step) for name, field in spectra.items()})
        ax.set_title(f"power, {float(ahead.lead_time[step]):g} h", fontsize=9)
    top = float(verify.spectrum(truth).max())
    panels[0].set_ylim(top / 1e7, 5 * top)
    panels[0].legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=80, bbox_inches="tight")


def _draw_spectra(ax: Axes, fields: Mapping[str, xr.DataArray]) -> None:
    from matplotlib.ticker import NullFormatter

    for name, field in fields.items():
        power = verify.spectrum(field).isel(wavenumber=slice(1, None))
        power = power[power.wavenumber.values <= power.attrs["nyquist"]]
        ax.plot(power.wavenumber, power, label=name, color="k" if name == "truth" else None)
    ax.set(xscale="log", yscale="log", xlabel="wavenumber, 1 / cell")
    ax.xaxis.set_minor_formatter(NullFormatter())


def draw_film(panels: Mapping[str, xr.DataArray], path: Path, title: str = "") -> None:
    """Animate fields side by side in a GIF.

    Parameters
    ----------
    panels
        Fields (time, y, x) at the same times, by title; the first one sets the colour range.
    path
        Output file.
    title
        Text before the lead time of each frame.
    """
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.figure import Figure

    fields = list(panels.values())
    figure: Figure = Figure(figsize=(2 * len(fields), 2.3), dpi=80)
    axes = figure.subplots(1, len(fields), squeeze=False)[0]
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.82, wspace=0.04)
    limit = _limit(fields[0])
    images: list[AxesImage] = []
    for ax, (name, field) in zip(axes, panels.items(), strict=True):
        image = ax.imshow(field[0], vmin=-limit, vmax=limit, cmap=CMAP, interpolation="nearest")
        images.append(image)
        ax.set_title(name, fontsize=9)
        ax.set(xticks=[], yticks=[])

    def draw(step: int) -> list[AxesImage]:
        for image, field in zip(images, fields, strict=True):
            image.set_data(field[step])
        hours = (fields[0].time[step] - fields[0].time[0]) / np.timedelta64(1, "h")
        figure.suptitle(f"{title} + {float(hours):g} h".strip(), fontsize=9)
        return images

    film = FuncAnimation(figure, draw, frames=fields[0].sizes["time"])
    film.save(path, writer=PillowWriter(fps=3))


def _limit(truth: xr.DataArray) -> float:
    return float(np.quantile(np.abs(truth.values), 0.995))
