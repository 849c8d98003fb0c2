"""Members in time: whether they move like the truth.

    python -m benchmarks.coherence [CASE ...] [--members N] [--animation FILE.gif]

Block means of 4 x 4 cells of 10 m wind are downscaled with each kind of noise: independent, AR(1)
with the correlation time of the interpolation error, and AR(1) as calibrated
(``flexclim calibrate --persistence``). "Unresolved" is what bicubic interpolation of the block
means misses. Cases are GFS, 6-hourly, in a year of training and in another one, and AROME, hourly.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.collections import Collection
from rich.console import Console

import flexclim
from benchmarks.skill.tables import Table
from flexclim import verify
from flexclim.models.model import Model
from flexclim.train.noise_persistence import lag_correlations

FACTOR = 4
GFS = {"latitude": slice(60, -3), "longitude": slice(248, 359)}
AROME = {"y": slice(40, 104), "x": slice(8, 72), "time": slice(0, 28)}
LABELS = {"ar1": "AR(1)", "calibrated": "AR(1), calibrated"}
FILM = {"latitude": slice(60, 29), "longitude": slice(300, 359)}


@dataclass(frozen=True)
class Case:
    """Fields of one file, the model that downscales them, and lags in steps."""

    title: str
    file: str
    model: str
    variables: tuple[str, ...]
    lags: tuple[int, ...]
    labels: Mapping[str, Any] | None = None
    places: Mapping[str, slice] | None = None

    def truth(self, folder: Path) -> xr.Dataset:
        """Return the fields."""
        fields = xr.open_dataset(folder / self.file)[list(self.variables)]
        return fields.sel(self.labels or {}).isel(self.places or {}).load()


CASES = {
    "gfs-2018": Case(
        title="GFS 10 m wind, September 2018, 6-hourly",
        file="gfs_wind_1deg_2018.nc",
        model="flex-wind",
        variables=("u10", "v10"),
        lags=(1, 2, 3, 4, 8),
        labels=GFS | {"time": slice("2018-09-14", "2018-09-19")},
    ),
    "gfs-2026": Case(
        title="GFS 10 m wind, August 2026, 6-hourly",
        file="gfs_wind_1deg_2014_2026.nc",
        model="flex-wind",
        variables=("u10", "v10"),
        lags=(1, 2, 3, 4, 8),
        labels=GFS | {"time": slice("2026-08-07", "2026-08-11")},
    ),
    "arome-2015": Case(
        title="AROME 10 m wind, x component, November 2015, hourly",
        file="arome_wind_2p5km_201511.nc",
        model="flex-nano",
        variables=("x_wind_10m", "projection_lambert"),
        lags=(1, 2, 3, 6, 12),
        places=AROME,
    ),
}


def main() -> None:
    options = parse()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    for name in options.cases or CASES:
        case = CASES[name]
        truth = case.truth(folder)
        coarse = flexclim.coarsen(truth, FACTOR, grid="cell")
        base = flexclim.interpolate(coarse, FACTOR, grid="cell").assign_coords(truth.coords)
        fields = {"truth": truth}
        for noise, asked in noises(flexclim.load_model(case.model), coarse).items():
            began = time.perf_counter()
            fine = flexclim.downscale(
                coarse, FACTOR, model=case.model, members=options.members, grid="cell", **asked
            )
            fields[noise] = fine.assign_coords({n: truth[n] for n in truth.dims})
            print(f"{name}, {noise}: {time.perf_counter() - began:.0f} s", flush=True)
        shown = table(case, fields, base)
        Console(width=130).print(shown.markdown())
        if options.animation and name == "gfs-2026":
            films = {n: one["u10"].sel(FILM) for n, one in fields.items()}
            animate(films, options.animation)
            print(options.animation)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--animation", type=Path)
    return parser.parse_args()


def noises(model: Model, coarse: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return the options of each kind of noise."""
    name = str(next(iter(coarse.data_vars)))
    spacing = flexclim.find_grid(coarse[name], "cell").spacing_km / FACTOR
    entries = [part for part in model.card.coverage if part.variable == name and part.hours]
    nearest = min(entries, key=lambda part: abs(np.log((part.spacing_km or 1) / spacing)))
    return {
        "independent": {},
        "ar1": {"noise": "ar1", "noise_timescale": f"{nearest.hours[FACTOR] * 60:.0f}min"},
        "calibrated": {"noise": "ar1"},
    }


def table(case: Case, fields: Mapping[str, xr.Dataset], base: xr.Dataset) -> Table:
    """Compare the truth and each ensemble; numbers are means over variables."""
    names = [name for name in base.data_vars if "time" in base[name].dims]
    truth = fields["truth"]
    step = float(np.diff(truth.time.values[:2])[0] / np.timedelta64(1, "h"))
    heads = [*(f"{step * lag:g} h" for lag in case.lags), "differences", "fair CRPS, m/s"]
    rows = []
    for noise, members in fields.items():
        small = [members[name] - base[name] for name in names]
        found = np.mean([lag_correlations(one, "time", max(case.lags)) for one in small], 0)
        changes = [variance_of_steps(members[n]) / variance_of_steps(truth[n]) for n in names]
        several = members.sizes.get("realization", 1) > 1
        scores = [float(verify.crps(members[n], truth[n])) for n in names if several]
        rows.append(
            [
                LABELS.get(noise, noise),
                *(f"{found[lag - 1]:.2f}" for lag in case.lags),
                f"{np.mean(changes):.2f}",
                f"{np.mean(scores):.4f}" if scores else "",
            ]
        )
    note = (
        "Lag correlations of the unresolved part, variance of differences over one step over the "
        f"truth's. x{FACTOR} by {case.model}."
    )
    return Table(case.title, heads, rows, note)


def variance_of_steps(field: xr.DataArray) -> float:
    """Return the mean squared difference between successive times."""
    return float(np.square(field.diff("time")).mean())


def animate(films: Mapping[str, xr.DataArray], path: Path) -> None:
    """Draw the truth beside one member of each of two ensembles, step by step."""
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.figure import Figure

    from flexclim.plotting.maps import draw_map, map_axes

    names = {
        "truth": "GFS, 1 degree",
        "independent": 'a member, noise="independent"',
        "calibrated": 'the same, noise="ar1"',
    }
    shown = {name: films[name] for name in names}
    shown = {n: f.isel(realization=0) if "realization" in f.dims else f for n, f in shown.items()}
    figure = Figure(figsize=(8, 1.9), dpi=90, layout="constrained")
    meshes: list[Collection] = []
    for place, (name, title) in enumerate(names.items(), 1):
        axes = map_axes(figure, 1, 3, place, shown[name][0])
        style = {"cmap": "RdBu_r", "vmin": -18, "vmax": 18}
        meshes.append(draw_map(axes, shown[name][0], title=title, **style))
        axes.title.set_fontsize(8)
    bar = figure.colorbar(meshes[0], ax=figure.axes, shrink=0.8)
    bar.set_label("u10, m s⁻¹", fontsize=7)
    bar.ax.tick_params(labelsize=6)

    def draw(step: int) -> list[Collection]:
        for mesh, film in zip(meshes, shown.values(), strict=True):
            mesh.set_array(film[step].values)
        stamp = str(shown["truth"].time.values[step])[:13].replace("T", " ")
        figure.suptitle(f"{stamp} UTC", fontsize=8)
        return meshes

    film = FuncAnimation(figure, draw, frames=shown["truth"].sizes["time"])
    film.save(path, writer=PillowWriter(fps=3))


if __name__ == "__main__":
    main()
