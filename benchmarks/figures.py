"""Pages of docs on the models that ship: each card with figures of the test splits.

    python -m benchmarks.figures [MODEL ...] [--fields N] [--docs FOLDER]

For each data set that a model serves, N test fields (2 by default) are downscaled with 8 members:
a usual place and the worst one on maps, the spectra, the rank histogram. Writes
``reference/models/NAME.md`` and ``images/models/NAME-*.png`` under FOLDER (``docs``).
"""

from __future__ import annotations

import argparse
import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import flexclim
from benchmarks.skill import sampling
from benchmarks.skill.cases import CASES, Case
from benchmarks.skill.fields import spread_out
from flexclim import verify
from flexclim.models.catalogue import list_bundled
from flexclim.models.model import Model
from flexclim.plotting.maps import draw_map, map_axes

# A model of any field is shown on one data set of each kind.
SHOWN = "gfs-wind-x4", "arome-wind-x4", "mrms-rain-x4", "era5-t2m-x4"
WINDOW = 48  # cells a side
COLOURS = {"truth": "#222222", "members": "#0b6fa4", "bicubic": "#b8b8b8"}


@dataclass(frozen=True)
class Shown:
    """One variable of a few test fields: (time, y, x), members with ``realization`` first."""

    truth: xr.DataArray
    coarse: xr.DataArray
    bicubic: xr.DataArray
    members: xr.DataArray
    case: Case

    def window(self, time: int, place: tuple[int, int], index: int | str) -> xr.DataArray:
        """Cut what one map shows: of ``coarse``, ``truth`` or the member of a number."""
        field = self.members[index] if isinstance(index, int) else getattr(self, index)
        step = self.case.factor if index == "coarse" else 1
        row, column = (start // step for start in place)
        side = WINDOW // step
        part = (slice(row, row + side), slice(column, column + side))
        return field.isel(dict(zip(field.dims[-2:], part, strict=True))).isel(time=time)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=list(list_bundled()))
    parser.add_argument("--fields", type=int, default=2)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    given = parser.parse_args()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    for name in given.models:
        model = flexclim.load_model(name)
        parts = [
            show(model, case, folder, given.fields, given.docs)
            for case in CASES
            if fits(model, case)
        ]
        page = given.docs / "reference" / "models" / f"{model.name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text(model, parts), encoding="utf-8")
        print(page, flush=True)


def fits(model: Model, case: Case) -> bool:
    if not sampling.made(model, case):
        return False
    return model.settings.inputs is not None or case.name in SHOWN


def show(model: Model, case: Case, folder: Path, count: int, docs: Path) -> str:
    """Draw one data set; return its part of the page."""
    shown = downscaled(model, case, folder, count)
    usual, worst = places(shown)
    path = docs / "images" / "models" / f"{model.name}-{case.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    save(draw(shown, usual, worst), path)
    print(path, flush=True)
    mae = float(verify.mae(shown.bicubic, shown.truth))
    numbers = {
        "RMSE of the ensemble mean relative to bicubic's": float(
            verify.rmse(shown.members, shown.truth) / verify.rmse(shown.bicubic, shown.truth)
        ),
        "fair CRPS relative to bicubic's MAE": float(verify.crps(shown.members, shown.truth)) / mae,
        "spread/skill": float(verify.spread_skill(shown.members, shown.truth)),
        "log-spectral distance, dB": float(
            verify.log_spectral_distance(shown.members, shown.truth, kind=case.spectrum)
        ),
    }
    rows = "\n".join(f"| {what} | {value:.3f} |" for what, value in numbers.items())
    steps = model.settings.steps
    counted_steps = f"{steps} step" + "s" * (steps > 1)
    name, times = shown.truth.name, shown.truth.sizes["time"]
    return (
        f"## {case.title}\n\n"
        f"![Maps, spectra and rank histogram](../../images/models/{path.name})\n\n"
        f"`{name}`, {times} test fields, {shown.members.sizes['realization']} members at "
        f"{counted_steps}. Above, the window of {WINDOW} x {WINDOW} cells whose CRPS "
        "is the median of all windows; below it the worst one, with the highest CRPS.\n\n"
        f"| | |\n|---|---|\n{rows}\n"
    )


def downscaled(model: Model, case: Case, folder: Path, count: int) -> Shown:
    if model.settings.inputs is None:
        case = replace(case, variables=case.variables[:1])
    fields = case.split(folder).test
    chosen = [fields[index] for index in spread_out(len(fields), count)]
    name = sampling.made(model, case)[0]
    kept: dict[str, list[xr.DataArray]] = {"truth": [], "coarse": [], "bicubic": [], "members": []}
    # Boxes of rain lie in different places; their maps show cells, so the first one's place does.
    here = {dim: chosen[0][dim] for dim in chosen[0][name].dims[-2:]}
    for number, field in enumerate(chosen):
        field = field.assign_coords(here)
        if number and (field.time.values == chosen[0].time.values).all():
            field = field.assign_coords(time=field.time + np.timedelta64(number, "h"))
        coarse = flexclim.coarsen(field, case.factor, grid="cell")
        fine = sampling.sample(model, case, coarse, model.settings.steps, folder)
        bicubic = flexclim.interpolate(coarse, case.factor, grid="cell")
        kept["truth"].append(field[name])
        kept["coarse"].append(coarse[name])
        kept["bicubic"].append(bicubic[name].assign_coords(field[name].coords))
        kept["members"].append(fine[name].assign_coords({d: field[d] for d in field[name].dims}))
    joined = {part: xr.concat(arrays, "time") for part, arrays in kept.items()}
    joined["members"] = joined["members"].transpose("realization", "time", ...)
    return Shown(**joined, case=case)


def places(shown: Shown) -> tuple[tuple[int, tuple[int, int]], tuple[int, tuple[int, int]]]:
    """Return time and corner of the window of median CRPS, and of the worst."""
    crps = verify.crps(shown.members, shown.truth, dim=()).transpose("time", ...).values
    found = []
    for time, plane in enumerate(crps):
        for row in range(0, plane.shape[0] - WINDOW + 1, WINDOW):
            for column in range(0, plane.shape[1] - WINDOW + 1, WINDOW):
                part = plane[row : row + WINDOW, column : column + WINDOW]
                found.append((float(np.nanmean(part)), time, (row, column)))
    found.sort()
    return found[len(found) // 2][1:], found[-1][1:]


def draw(
    shown: Shown, usual: tuple[int, tuple[int, int]], worst: tuple[int, tuple[int, int]]
) -> Figure:
    figure = Figure(figsize=(13, 8.5), layout="constrained")
    maps, plots = figure.subfigures(2, 1, squeeze=False, height_ratios=(2, 1))[:, 0]
    titles: dict[int | str, str] = {
        "coarse": "coarse",
        "truth": "truth",
        0: "member 1",
        1: "member 2",
        2: "member 3",
    }
    for row, (what, (time, place)) in enumerate((("usual", usual), ("worst", worst))):
        truth = shown.window(time, place, "truth")
        style, row_axes = colours(truth, shown.case), []
        for column, (index, title) in enumerate(titles.items()):
            field = shown.window(time, place, index)
            axes = map_axes(maps, 2, len(titles), len(titles) * row + column + 1, field)
            mesh = draw_map(axes, field, title=f"{what}: {title}", **style)
            row_axes.append(axes)
        bar = maps.colorbar(mesh, ax=row_axes)
        bar.set_label(f"{shown.truth.name}, {shown.truth.attrs.get('units', '')}")
    left, right = plots.subplots(1, 2)
    spectra(shown, left)
    ranks(shown, right)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of 256 colours, a third as large as one of all."""
    content = io.BytesIO()
    figure.savefig(content, dpi=200)
    Image.open(content).convert("RGB").quantize(256).save(path, optimize=True)


def colours(truth: xr.DataArray, case: Case) -> dict[str, Any]:
    if case.wet is not None:
        return {"cmap": "YlGnBu", "vmin": 0, "vmax": float(truth.quantile(0.998))}
    low, high = float(truth.min()), float(truth.max())
    if low < 0 < high:
        return {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    return {"cmap": "RdYlBu_r", "vmin": low, "vmax": high}


def spectra(shown: Shown, axes: Axes) -> None:
    for name, colour in COLOURS.items():
        power = verify.spectrum(getattr(shown, name), kind=shown.case.spectrum)
        power = power.isel(wavenumber=power["wavenumber"].values <= power.attrs["nyquist"])
        axes.loglog(power["wavelength"] / 1000, power, color=colour, label=name)
        if name == "truth":
            axes.set_ylim(float(power.min()) / 30, float(power.max()) * 3)
    axes.invert_xaxis()
    axes.set(xlabel="wavelength, km", ylabel="power", title="Power spectra")
    axes.legend(frameon=False)


def ranks(shown: Shown, axes: Axes) -> None:
    share = verify.rank_histogram(shown.members, shown.truth)
    axes.bar(share["rank"], share / share.sum(), color=COLOURS["members"])
    axes.axhline(1 / share.sizes["rank"], color=COLOURS["truth"], ls="--", lw=1)
    axes.set(xlabel="members below the truth", ylabel="share", title="Rank histogram")


def text(model: Model, parts: list[str]) -> str:
    """Return the page: the card, then what was drawn."""
    return (
        f"# {model.name}\n\n{model.card.description}.\n\n"
        f"Generated by `python -m benchmarks.figures {model.name}` from a few test fields; the "
        f"[report](../../reports/{model.name}.md) has the scores of all test fields.\n\n"
        f"```text\n{model.card.text(96)}\nsha256       {model.sha256}\n```\n\n" + "\n".join(parts)
    )


if __name__ == "__main__":
    main()
