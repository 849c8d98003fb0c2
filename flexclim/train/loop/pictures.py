"""Pictures of a run: curves of its log, and at each score maps and spectra of some patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flexclim import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES, FOLDER = "curves.png", "samples"
ROWS = 4  # rows of maps
# Panels of curves, and the columns of the log that they show.
PANELS = {
    "loss": ("loss", "validation"),
    "error over that of the baseline": ("crps", "rmse"),
    "spread / skill": ("spread_skill",),
    "log-spectral distance, dB": ("log_spectral_distance",),
}


@dataclass(frozen=True)
class Sampled:
    """Normalised fields of some validation patches, and the mean power of all.

    Parameters
    ----------
    names
        T targets; "any" where they are not named.
    baseline
        Name of the forecast that ``base`` is.
    base, truth
        (T, B, H, W).
    members
        (T, B, M, H, W).
    powers
        (3, T, R) of truth, members and baseline, in rings of wavenumbers up to two cells.
    """

    names: tuple[str, ...]
    baseline: str
    base: np.ndarray
    truth: np.ndarray
    members: np.ndarray
    powers: np.ndarray


def draw_samples(folder: Path, step: int, sampled: Mapping[str, Sampled]) -> dict[str, Path]:
    """Draw maps and spectra of each task into ``samples/TASK-STEP.png``; return files by name."""
    (folder / FOLDER).mkdir(exist_ok=True)
    drawn = {}
    for task, one in sampled.items():
        path = folder / FOLDER / f"{task}-{step:08d}.png"
        _save(_maps(one), path)
        drawn[f"samples/{task}"] = path
    return drawn


def draw_curves(
    folder: Path, rows: Sequence[Mapping[str, str]], first_stage: int = 0
) -> dict[str, Path]:
    """Draw the columns of a log over its steps into ``curves.png``.

    Parameters
    ----------
    first_stage
        Steps of the first stage. The second has another loss, so its curve is another one.
    """
    both = 0 < first_stage < max((int(row["step"]) for row in rows), default=0)
    figure = _figure(10, 5.5)
    for index, (title, columns) in enumerate(PANELS.items(), 1):
        axes = figure.add_subplot(2, 2, index, title=title, xlabel="step")
        for name in columns:
            known = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
            if not known:
                continue
            steps, values = np.array(known).T
            sparse = len(known) < len(rows)
            if name == "loss" and both:
                end = int(np.searchsorted(steps, first_stage, side="right"))
                steps, values = (np.insert(one, end, np.nan) for one in (steps, values))
            axes.plot(steps, values, marker="." if sparse else "", lw=1.2 if sparse else 0.4)
            axes.lines[-1].set_label(name)
        if axes.lines:
            if both:
                axes.axvline(first_stage, color="0.6", lw=0.8, ls=":", label="few-step fine-tuning")
            axes.legend(frameon=False)
    _save(figure, folder / CURVES)
    return {"curves": folder / CURVES}


def _maps(sampled: Sampled) -> Figure:
    """Draw a row for each patch and target: baseline, truth, two members; spectra at the right."""
    targets, patches = sampled.truth.shape[:2]
    shown = list(product(range(patches), range(targets)))[:ROWS]
    figure = _figure(12, 2.4 * len(shown) + 0.4)
    for row, (patch, target) in enumerate(shown):
        fields = {
            sampled.baseline: sampled.base[target, patch],
            "truth": sampled.truth[target, patch],
            "member 1": sampled.members[target, patch, 0],
            "member 2": sampled.members[target, patch, 1],
        }
        low, high = np.nanquantile(fields["truth"], (0.002, 0.998))
        for column, (title, field) in enumerate(fields.items(), 1):
            axes = figure.add_subplot(len(shown), 5, 5 * row + column, xticks=[], yticks=[])
            axes.imshow(field, vmin=low, vmax=high, interpolation="nearest")
            axes.set_title(title if row == 0 else "")
            if column == 1:
                axes.set_ylabel(sampled.names[target])
        if patch == 0:
            _spectrum(figure.add_subplot(len(shown), 5, 5 * row + 5), sampled, target)
    return figure


def _spectrum(axes: Axes, sampled: Sampled, target: int) -> None:
    """Draw the mean power of a target against the wavelength in cells."""
    truth, members, base = sampled.powers[:, target]
    rings = truth.size
    wavelength = 2 * rings / np.arange(1, rings + 1)
    for label, power, style in (
        ("truth", truth, "k"),
        ("members", members, "C0"),
        (sampled.baseline, base, "C1:"),
    ):
        axes.loglog(wavelength, np.maximum(power, 1e-30), style, label=label)
    positive = truth[truth > 0]
    if positive.size:
        axes.set_ylim(positive.min() / 10, positive.max() * 3)
    ticks = [2**n for n in range(1, 12) if 2**n <= wavelength[0]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.invert_xaxis()
    axes.set_xlabel("wavelength, cells")
    axes.legend(frameon=False, fontsize=7)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    partial = path.with_suffix(files.PARTIAL)
    figure.savefig(partial, dpi=90, format="png")
    partial.replace(path)
