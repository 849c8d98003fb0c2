"""Scores of models of kinetic energy, the task of the FLEX paper, beside simpler methods.

    python -m benchmarks.kinetic_energy MODEL ... [--factor 4] [--steps 2 3] [--fields 8]
        [--markdown FILE]

MODEL is the folder of a model that `kinetic_energy_x4` or `kinetic_energy_x8` trained; `--factor`
is its factor. Fields are (u10 ** 2 + v10 ** 2) / 2 of GFS, September 2018, 60 N to 59 S at 1
degree, 8 times or the first of them, 8 members. RFNE is that of the ensemble mean, as in the paper;
pull is over that of a calibrated ensemble; the log-spectral distance is of waves of 2 to 8 grid
lengths.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from benchmarks.skill import wind_fields
from benchmarks.skill.cases import Case
from benchmarks.skill.fields import Fields, Split
from benchmarks.skill.records import Record, score, scores
from benchmarks.skill.rivals import ANYWHERE, BICUBIC, SAME, Study, make
from benchmarks.skill.sampling import sample
from flexclim import verify

NAME = "ke10"
HEADS = ("", "RFNE", "fair CRPS", "over bicubic's MAE", "spread/skill", "pull", "spectrum, dB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", help="folders of models")
    parser.add_argument("--factor", type=int, choices=(4, 8), default=4)
    parser.add_argument("--steps", type=int, nargs="+", default=[2, 3])
    parser.add_argument(
        "--fields", type=int, choices=range(1, 9), default=8, help="number of times"
    )
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    lines = [HEADS, ["---"] * len(HEADS)]
    for row in rows(options.models, options.factor, options.steps, options.fields):
        print(*row, sep="  ", flush=True)
        lines.append(row)
    if options.markdown:
        options.markdown.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))


def energy(folder: Path) -> Split:
    """Return the fields of the wind, as kinetic energy."""
    wind = wind_fields.gfs_2018(folder)

    def converted(fields: Fields) -> Fields:
        return [
            (0.5 * (one["u10"] ** 2 + one["v10"] ** 2))
            .assign_attrs(units="m2 s-2", long_name="specific kinetic energy of wind")
            .to_dataset(name=NAME)
            for one in fields
        ]

    return Split(converted(wind.test), converted(wind.train), fixed=True)


def rows(models: list[str], factor: int, steps: list[int], fields: int) -> Iterator[list[str]]:
    """Yield the scores of each method and model, as text."""
    case = Case(
        name=f"kinetic-energy-x{factor}",
        title="kinetic energy of 10 m wind",
        file="gfs_wind_1deg_2018.nc",
        variables=(NAME,),
        factor=factor,
        load=energy,
        steps=dict.fromkeys(steps),
        wet=0.0,  # never negative
    )
    study = Study(case, Path(os.environ.get("FLEXCLIM_DATA", "../shared/data")))
    indices = range(min(fields, len(study.split.test)))
    plain = 0.0
    for rival in (BICUBIC, SAME, ANYWHERE):
        made = [_like(study.truth(n)[NAME], make(study, rival, n, NAME)) for n in indices]
        plain = plain or _mean([float(verify.mae(*pair)) for pair in _pairs(study, made)])
        yield row(rival, study, made, plain)
    for path in models:
        model = flexclim.load_model(path)
        for number in steps:
            made = [
                sample(model, case, study.coarse(n), number, study.folder)[NAME] for n in indices
            ]
            yield row(f"{Path(path).resolve().parent.name}, {number} steps", study, made, plain)


def row(name: str, study: Study, fields: list[xr.DataArray], plain: float) -> list[str]:
    """Return the scores of one method."""
    found = scores([_record(study, number, field) for number, field in enumerate(fields)])
    rfne = _mean([float(verify.rfne(*pair)) for pair in _pairs(study, fields)])
    cells = [f"{rfne:.4f}", f"{found['crps']:.3f}", f"{found['crps'] / plain:.3f}"]
    if "realization" in fields[0].dims:
        pulls = [verify.pull(*pair)["ratio"] for pair in _pairs(study, fields)]
        cells += [f"{found['spread_skill']:.2f}", f"{_mean([float(p) for p in pulls]):.2f}"]
    else:
        cells += ["", ""]
    return [name, *cells, f"{found['decibels']:.2f}"]


def _record(study: Study, number: int, field: xr.DataArray) -> Record:
    return score(
        field,
        study.truth(number)[NAME],
        study.coarse(number)[NAME],
        factor=study.case.factor,
        spectrum="zonal",
        extreme=study.extremes[NAME],
        wet=None,
    )


def _pairs(study: Study, fields: list[xr.DataArray]) -> Iterator[tuple[xr.DataArray, xr.DataArray]]:
    return ((field, study.truth(number)[NAME]) for number, field in enumerate(fields))


def _like(truth: xr.DataArray, values: np.ndarray | None) -> xr.DataArray:
    """Return (y, x) or (realization, y, x) with the coordinates of the truth (time, y, x)."""
    assert values is not None
    values = values.astype(np.float32)
    if values.ndim == 2:
        return truth.copy(data=values[None])
    return truth.expand_dims(realization=len(values)).copy(data=values[:, None])


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


if __name__ == "__main__":
    main()
