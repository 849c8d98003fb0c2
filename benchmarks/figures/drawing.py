"""The picture of one data set: maps, spectra and ranks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.figures.shown import Shown
from flexclim import verify
from flexclim.plotting.maps import draw_field, map_or_plain_axes

COLOURS = {"truth": "#222222", "members": "#0b6fa4", "simple": "#b8b8b8"}


def draw(shown: Shown) -> Figure:
    """Draw the window of median CRPS above the worst one, and what holds for all cells below."""
    figure = Figure(figsize=(13, 8.5), layout="constrained")
    maps, plots = figure.subfigures(2, 1, squeeze=False, height_ratios=(2, 1))[:, 0]
    titles: dict[int | str, str] = {"given": shown.given_title, "truth": "truth"}
    titles |= {number: f"member {number + 1}" for number in range(3)}
    for row, (what, (time, place)) in enumerate(
        zip(("usual", "worst"), shown.places(), strict=True)
    ):
        style, row_axes = colours(shown, shown.window(time, place, "truth")), []
        for column, (index, title) in enumerate(titles.items()):
            field = shown.window(time, place, index)
            axes = map_or_plain_axes(maps, 2, len(titles), len(titles) * row + column + 1, field)
            mesh = draw_field(axes, field, title=f"{what}: {title}", **style)
            row_axes.append(axes)
        bar = maps.colorbar(mesh, ax=row_axes)
        units = shown.truth.attrs.get("units", "")
        bar.set_label(f"{shown.truth.name}, {units}".removesuffix(", "))
    left, right = plots.subplots(1, 2)
    spectra(shown, left)
    ranks(shown, right)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of 256 colours, a third as large as one of all."""
    content = io.BytesIO()
    figure.savefig(content, dpi=200)
    Image.open(content).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
        path, optimize=True
    )


def colours(shown: Shown, truth: xr.DataArray) -> dict[str, Any]:
    """Return the colour scale of all maps of a window; of amounts, it begins with 0."""
    if float(shown.truth.min()) == 0:
        return {"cmap": "YlGnBu", "vmin": 0, "vmax": float(truth.quantile(0.998))}
    low, high = float(truth.min()), float(truth.max())
    if low < 0 < high:
        return {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    return {"cmap": "RdYlBu_r", "vmin": low, "vmax": high}


def spectra(shown: Shown, axes: Axes) -> None:
    for part, colour in COLOURS.items():
        field = getattr(shown, part).where(shown.truth.notnull())
        power = verify.spectrum(field, kind=shown.spectrum, fill=shown.fill)
        power = power.isel(wavenumber=power["wavenumber"].values <= power.attrs["nyquist"])
        label = shown.rival if part == "simple" else part
        unit = power["wavelength"].attrs["units"]
        wavelength = power["wavelength"] / (1000 if unit == "m" else 1)
        axes.loglog(wavelength, power, color=colour, label=label)
        axes.set_xlabel("wavelength, km" if unit == "m" else f"wavelength, {unit}")
        if part == "truth":
            axes.set_ylim(float(power.min()) / 30, float(power.max()) * 3)
    axes.invert_xaxis()
    axes.set(ylabel="power", title="Power spectra")
    axes.legend(frameon=False)


def ranks(shown: Shown, axes: Axes) -> None:
    share = verify.rank_histogram(shown.members, shown.truth)
    axes.bar(share["rank"], share / share.sum(), color=COLOURS["members"])
    axes.axhline(1 / share.sizes["rank"], color=COLOURS["truth"], ls="--", lw=1)
    axes.set(xlabel="members below the truth", ylabel="share", title="Rank histogram")
