"""Members in time: whether their steps and time spectra look like the truth's.

    python -m benchmarks.coherence [--model NAME_OR_FOLDER] [--members N] [--animation FILE.gif]

GFS u10 of 15 and 16 October 2018, the validation days, 3-hourly, from 60 N to 4 S as cells: block
means of 4 x 4 cells downscaled with each kind of noise. "Unresolved" is what bicubic interpolation
of the block means misses. The time scale is the card's, else that of the training days.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.collections import QuadMesh
from rich.console import Console
from rich.table import Table

import flexclim
from flexclim import verify
from flexclim.verify.metrics.persistence import correlation_time

FACTOR, SPACING_KM = 4, 111.2
DAYS, TRAINING = slice("2018-10-15", "2018-10-16"), slice("2018-10-01", "2018-10-13")
BAND = slice(60, -3)
NOISES = "independent", "ar1", "frozen"
WINDOW = {"latitude": slice(60, 29), "longitude": slice(300, 359)}
LAGS = 3, 6, 12, 24


def main() -> None:
    options = parse()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    wind = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc")["u10"].sel(latitude=BAND)
    truth = wind.sel(time=DAYS).load()
    coarse = flexclim.coarsen(truth, FACTOR, grid="cell")
    base = flexclim.interpolate(coarse, FACTOR, grid="cell").assign_coords(truth.coords)
    model = flexclim.load_model(options.model)
    hours, origin = timescale(model, wind)
    fields = {"truth": truth}
    for noise in NOISES:
        began = time.perf_counter()
        fine = flexclim.downscale(
            coarse,
            FACTOR,
            model=model,
            members=options.members,
            grid="cell",
            noise=noise,
            noise_timescale=f"{hours * 60:.0f}min" if noise == "ar1" else None,
        )
        fields[noise] = fine.assign_coords({name: truth[name] for name in truth.dims})
        print(f"{noise}: {time.perf_counter() - began:.0f} s", flush=True)
    shown = table(fields, base)
    shown.title = f"GFS u10, 15 and 16 October, x{FACTOR}, {model.name}, {options.members} members"
    shown.caption = f"AR(1) noise of {hours:.2f} h, {origin}."
    Console(width=130).print(shown)
    if options.animation:
        animate(fields, options.animation)
        print(options.animation)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--animation", type=Path)
    return parser.parse_args()


def timescale(model: flexclim.models.model.Model, wind: xr.DataArray) -> tuple[float, str]:
    """Return the correlation time of the residual in hours, and where it is from."""
    if hours := model.card.correlation_hours("u10", FACTOR, SPACING_KM):
        return hours, "from the model's card"
    days = wind.sel(time=TRAINING).load()
    coarse = flexclim.coarsen(days, FACTOR, grid="cell")
    base = flexclim.interpolate(coarse, FACTOR, grid="cell")
    return correlation_time(days - base.assign_coords(days.coords)), "measured on the training days"


def table(fields: dict[str, xr.DataArray], base: xr.DataArray) -> Table:
    """Compare the truth and each ensemble."""
    rows: dict[str, list[str]] = {}
    truth = fields["truth"]
    for field in fields.values():
        small = field - base
        change, true_change = field.diff("time"), truth.diff("time")
        ratio = [structure(small, lag) / structure(truth - base, lag) for lag in LAGS]
        ensemble = "realization" in field.dims
        column = {
            "3 h difference, RMS, m/s": f"{float(np.sqrt((change**2).mean())):.3f}",
            "3 h difference, 99.9 %, m/s": f"{float(abs(change).quantile(0.999)):.2f}",
            "3 h difference over the truth's, RMS": f"{rms(change) / rms(true_change):.3f}",
            **{
                f"unresolved, squared {lag} h difference over the truth's": f"{part:.2f}"
                for lag, part in zip(LAGS, ratio, strict=True)
            },
            "unresolved, correlation time, h": f"{hours(small):.1f}",
            "unresolved, time spectrum off by, dB": decibels(small, truth - base),
            "field, time spectrum off by, dB": decibels(field, truth),
            "fair CRPS, m/s": f"{float(verify.crps(field, truth)):.4f}" if ensemble else "",
        }
        for row, value in column.items():
            rows.setdefault(row, []).append(value)
    shown = Table("", *fields)
    for row, values in rows.items():
        shown.add_row(row, *values)
    return shown


def rms(field: xr.DataArray) -> float:
    return float(np.sqrt(np.square(field).mean()))


def structure(field: xr.DataArray, lag: int) -> float:
    """Return the mean squared difference over ``lag`` hours."""
    steps = lag // 3
    later = field.isel(time=slice(steps, None)).values
    axis = field.get_axis_num("time")
    earlier = np.take(field.values, range(later.shape[axis]), axis)
    return float(np.square(later - earlier).mean())


def hours(small: xr.DataArray) -> float:
    members = [small] if "realization" not in small.dims else list(small)
    return float(np.mean([correlation_time(member) for member in members]))


def spectrum(field: xr.DataArray) -> np.ndarray:
    """Return the power of each frequency but 0, of series through a Hann window."""
    series = field.transpose("time", ...).values
    series = series - series.mean(0)
    window = np.hanning(len(series) + 2)[1:-1].reshape(-1, *(1,) * (series.ndim - 1))
    power = np.abs(np.fft.rfft(series * window, axis=0)) ** 2
    return power.reshape(len(power), -1).mean(1)[1:]


def decibels(field: xr.DataArray, truth: xr.DataArray) -> str:
    """Return the root mean square distance of two time spectra over periods of 6 h to 2 days."""
    if field.sizes == truth.sizes:
        return ""
    level = 10 * np.log10(spectrum(field) / spectrum(truth))
    return f"{float(np.sqrt(np.square(level).mean())):.2f}"


def animate(fields: dict[str, xr.DataArray], path: Path) -> None:
    """Draw the truth beside one member of each of two ensembles, as a film of 16 steps."""
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.figure import Figure

    from flexclim.plotting.maps import draw_map, map_axes

    names = {
        "truth": "GFS, 1 degree",
        "independent": 'a member, noise="independent"',
        "ar1": 'the same, noise="ar1"',
    }
    films = {name: fields[name].sel(WINDOW) for name in names}
    films = {n: f.isel(realization=0) if "realization" in f.dims else f for n, f in films.items()}
    figure = Figure(figsize=(8, 1.9), dpi=90, layout="constrained")
    meshes = []
    for place, (name, title) in enumerate(names.items(), 1):
        axes = map_axes(figure, 1, 3, place, films[name][0])
        style = {"cmap": "RdBu_r", "vmin": -22, "vmax": 22}
        meshes.append(draw_map(axes, films[name][0], title=title, **style))
        axes.title.set_fontsize(8)
    bar = figure.colorbar(meshes[0], ax=figure.axes, shrink=0.8)
    bar.set_label("u10, m s⁻¹", fontsize=7)
    bar.ax.tick_params(labelsize=6)

    def draw(step: int) -> list[QuadMesh]:
        for mesh, film in zip(meshes, films.values(), strict=True):
            mesh.set_array(film[step].values)
        stamp = str(films["truth"].time.values[step])[:13].replace("T", " ")
        figure.suptitle(f"{stamp} UTC", fontsize=8)
        return meshes

    film = FuncAnimation(figure, draw, frames=films["truth"].sizes["time"])
    film.save(path, writer=PillowWriter(fps=3))


if __name__ == "__main__":
    main()
