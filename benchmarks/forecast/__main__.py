"""Forecasts by lead time on test splits, which training did not use, and simpler methods.

    python -m benchmarks.forecast [--model NAME_OR_FOLDER] [--case CASE ...] [--members 8]
                                  [--leads N] [--starts N] [--markdown FILE]

- gfs-wind: 10 m wind of September 2018 at 1 degree, 6-hourly; gfs-wind-2026: of 7 to 11 August
  2026; gfs-wind-3h: the validation days, 15 and 16 October 2018, 3-hourly (else 6-hourly);
- mrms: hourly precipitation at 4 km (means of 4 x 4 cells), hours 60 to 71, in the box of 256 x 256
  cells without gaps where it rains most at the start of the forecast; false rain is a gap;
- turbulence: flows simulated from seeds that training never had, at a Reynolds number that it had;
  turbulence-unseen: at one that it had not.

Scores are means over starts, variables and area (roots are taken last). Persistence is the last
snapshot; "and past changes" adds changes of training days over the same time; extrapolation moves
the last snapshot with dense optical flow (pysteps, where it is installed: pip install
'flexclim[nowcast]'); the mean network is the mean of 8 one-step estimates, fed back: the same
network as a deterministic forecast.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console

import flexclim
from benchmarks.forecast.cases import CASES, Case
from benchmarks.forecast.rivals import PERSISTENCE, RIVALS, statics
from benchmarks.skill.fields import spread_out
from benchmarks.skill.tables import Table, below
from flexclim import verify
from flexclim.errors import ModelError
from flexclim.models.model import Model
from flexclim.verify.core.alignment import Pair
from flexclim.verify.metrics.spectra import powers
from flexclim.verify.metrics.spectral_scores import decibels, distance_of


def main() -> None:
    options = parse()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    console = Console(width=None if sys.stdout.isatty() else 160)
    pages = []
    for case in (case for case in CASES if case.name in options.case):
        began = time.perf_counter()
        try:
            model = served(options.model or case.model, case)
        except ModelError as error:
            console.print(f"{case.name}: {error}", soft_wrap=True)
            continue
        leads = options.leads or case.leads
        found = scores(case, model, folder, options.members, leads, options.starts)
        pages.append(table(case, model, found))
        console.print(pages[-1].rich())
        console.print(f"{time.perf_counter() - began:.0f} s")
    if options.markdown:
        options.markdown.write_text("\n".join(page.markdown() for page in pages))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [case.name for case in CASES]
    parser.add_argument("--model", help="a name or folder; else the one that ships for each case")
    parser.add_argument("--case", nargs="+", choices=names, default=names, metavar="CASE")
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--leads", type=int, help="steps; else 4, and 20 of turbulence")
    parser.add_argument("--starts", type=int, default=8, help="at most so many, spread evenly")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file as well")
    return parser.parse_args()


def served(name: str, case: Case) -> Model:
    """Return the model if it forecasts the case."""
    model = flexclim.load_model(name)
    forecast, targets = model.settings.forecast, model.settings.targets or ()
    same = {target.name for target in targets} == set(case.variables)
    if forecast is None or not same or case.hours not in forecast.leads:
        made = ", ".join(case.variables)
        raise ModelError(f"{model.name} does not forecast {made} by steps of {case.hours:g} h.")
    return model


def scores(
    case: Case, model: Model, folder: Path, members: int, leads: int, starts: int | None
) -> dict[str, xr.Dataset]:
    """Return the scores of each method, means over starts.

    Returns
    -------
    dict
        Datasets of ``square``, ``crps`` and ``variance`` (variable, lead) and of the powers
        ``forecast`` and ``truth`` (variable, lead, wavenumber).
    """
    assert model.settings.forecast is not None
    past = model.settings.forecast.past
    every = list(case.load(folder, case, past, leads))
    found: dict[str, list[xr.Dataset]] = {}
    chosen = spread_out(len(every), starts)
    for number, index in enumerate(chosen, 1):
        print(f"{case.name}: start {number} of {len(chosen)}", file=sys.stderr, flush=True)
        known, truth = (every[index].isel(time=part) for part in (slice(past), slice(past, None)))
        truth = truth[list(case.scored or case.variables)]
        for name in (PERSISTENCE, *case.rivals):
            if name == "extrapolation" and not importlib.util.find_spec("pysteps"):
                continue
            made = RIVALS[name](known, truth, model, folder, case)
            found.setdefault(name, []).append(measured(made, truth))
        made = flexclim.forecast(
            known, leads, model=model, members=members, static=statics(model, folder)
        )
        found.setdefault(model.name, []).append(measured(made.load(), truth))
    return {
        name: xr.concat(parts, "start").mean("start", keep_attrs=True)
        for name, parts in found.items()
    }


def measured(made: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Return what :func:`scores` averages, of one start."""
    parts = []
    for name in truth.data_vars:
        one, other = made[name], truth[name].reset_coords(drop=True)
        one, rows = one.reset_coords(drop=True), other.dims[1:]
        ensemble = "realization" in one.dims
        both = powers(Pair.align(one, other), dim=(), fill="mean")
        error = verify.rmse(one, other, dim=rows) ** 2
        told = {
            "square": error,
            "crps": (verify.crps if ensemble else verify.mae)(one, other, dim=rows),
            "variance": verify.spread(one, other, dim=rows) ** 2 if ensemble else error * np.nan,
            "members": xr.DataArray(one.sizes.get("realization", 1)),
        }
        parts.append(both[["forecast", "truth"]].assign(told))
    variable = xr.DataArray(list(map(str, truth.data_vars)), dims="variable")
    joined = xr.concat(parts, variable).rename(time="lead")
    return joined.assign_coords(lead=np.arange(1, truth.sizes["time"] + 1))


def table(case: Case, model: Model, found: dict[str, xr.Dataset]) -> Table:
    """Return a row for each method and lead."""
    rows = []
    last = found[PERSISTENCE].sizes["lead"]
    shown = [lead for lead in range(1, last + 1) if last <= 6 or lead in (1, 2, 5, 10, last)]
    for lead, (name, parts) in itertools.product(shown, found.items()):
        one, base = (part.sel(lead=lead) for part in (parts, found[PERSISTENCE]))
        crps, members = float(one.crps.mean()), float(one.members.mean())
        ratio = float((one.variance.mean() * (members + 1) / members / one.square.mean()) ** 0.5)
        rows.append(
            [
                f"{lead * case.hours:g} h, {name}",
                f"{float(one.square.mean()) ** 0.5:.4g}",
                f"{crps:.4g}",
                "" if name == PERSISTENCE else below(crps, float(base.crps.mean())),
                "" if np.isnan(ratio) else f"{ratio:.2f}",
                f"{float(distance_of(one).mean()):.2f}",
                f"{off(one):.2f}",
            ]
        )
    heads = [
        "RMSE of the mean",
        "fair CRPS (MAE)",
        "below persistence",
        "spread/skill",
        "spectrum, dB",
        "most, to half Nyquist, dB",
    ]
    title = f"{case.title}, {model.name}"
    return Table(title, heads, rows)


def off(one: xr.Dataset) -> float:
    """Return by how many dB the power of a wave up to half Nyquist is off at most."""
    level = abs(decibels(one))
    half = level.wavenumber <= one["forecast"].attrs["nyquist"] / 2 * (1 + 1e-9)
    return float(level.where(half).max())


if __name__ == "__main__":
    main()
