"""The files of the CORDEX ML-Bench: predictors to read, predictions to write.

Layout of https://github.com/WCRP-CORDEX/ml-benchmark (data/README.md and submission/README.md):
predictors in ``NZ_domain/test/PERIOD/predictors/CONDITION/GCM_YEARS.nc``, predictions in
``NZ_Domain/EXPERIMENT/PERIOD/CONDITION/Predictions_pr_tasmax_GCM_YEARS.nc``, with ``pr`` and
``tasmax`` and, of generative models, ten members along ``member``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from flexclim.cf.ensembles import REALIZATION
from flexclim.errors import FlexclimError, StoreError
from flexclim.models.card import ModelCard

LAYOUT = "cordex-ml-bench"
VARIABLES = "pr", "tasmax"
MEMBERS = 10
EXPERIMENTS = "ESD_pseudo_reality", "Emulator_hist_future"
# Fixed for all submissions (.github/ISSUE_TEMPLATE/ml_benchmark_submission.yaml).
ATTRIBUTES = {
    "project_id": "CORDEX",
    "activity_id": "ML-Benchmark",
    "product": "emulator-output",
    "benchmark_id": "v1.0.0",
    "stochastic_output": "yes",
}


@dataclass(frozen=True, kw_only=True)
class BenchmarkFile:
    """A file of predictors, and what its path tells.

    Parameters
    ----------
    path
        Of the predictors.
    domain, period, condition
        Such as ``"NZ"``, ``"end_century"`` and ``"perfect"``.
    """

    path: Path
    domain: str
    period: str
    condition: str

    @property
    def folder(self) -> Path:
        """Folder of the domain, which holds ``train`` and ``test``."""
        return self.path.parents[4]

    def prediction(self, submission: Path, experiment: str) -> Path:
        """Return the path of the predictions."""
        place = submission / f"{self.domain}_Domain" / experiment / self.period / self.condition
        return place / f"Predictions_{'_'.join(VARIABLES)}_{self.path.name}"


def predictor_files(source: Path) -> list[BenchmarkFile]:
    """Return the files of predictors for tests in a folder, or the one of a path.

    Raises
    ------
    FlexclimError
        If there is none.
    """
    paths = [source] if source.is_file() else sorted(source.rglob("*.nc"))
    files = [found for path in paths if (found := _read_path(path)) is not None]
    if not files:
        raise FlexclimError(
            f"{source} holds no predictors in the layout of {LAYOUT}. Give a domain's folder with "
            "files such as NZ_domain/test/historical/predictors/perfect/ACCESS-CM2_1981-2000.nc, "
            "or one of these."
        )
    return files


def experiment_of(card: ModelCard) -> str:
    """Return the experiment that a model was trained for: its recipe names the folder.

    Raises
    ------
    FlexclimError
        If it names none, or both.
    """
    told = json.dumps(card.recipe.get("data", {}))
    named = [one for one in EXPERIMENTS if one in told or one.replace("pseudo_", "pseudo-") in told]
    if len(named) != 1:
        raise FlexclimError(
            f"the recipe of {card.name!r} has {' and '.join(named) or 'none of the experiments'} "
            f"in its paths; {LAYOUT} asks for a model of {' or '.join(EXPERIMENTS)}. Train it on "
            "files in train/ of one of them."
        )
    return named[0]


def target_file(file: BenchmarkFile, experiment: str) -> Path:
    """Return the file of the domain that has the grid of its predictions.

    Raises
    ------
    FlexclimError
        If there is none.
    """
    folder = file.folder / "train"
    names = experiment, experiment.replace("pseudo_", "pseudo-")
    found = [path for name in names for path in sorted((folder / name / "target").glob("*.nc"))]
    if not found:
        raise FlexclimError(
            f"{folder / experiment / 'target'} has no file with the grid of the predictions. Give "
            "one with --to, such as format_predictions/templates/pr_NZ.nc of the benchmark."
        )
    return found[0]


def as_predictions(fine: xr.Dataset, template: xr.Dataset) -> xr.Dataset:
    """Return an ensemble as the benchmark asks for it.

    Parameters
    ----------
    fine
        ``pr`` and ``tasmax`` (realization, time, y, x) on the grid of the template.
    template
        Dataset whose positions, and attributes of the variables it has, are taken over.

    Raises
    ------
    StoreError
        If a variable is missing, or has other units than in the template.
    """
    if lacking := [name for name in VARIABLES if name not in fine]:
        raise StoreError(
            f"{LAYOUT} asks for {' and '.join(VARIABLES)}, and the model makes no {lacking[0]}. "
            "Train one model for both."
        )
    if fine.sizes.get(REALIZATION) != MEMBERS:
        raise StoreError(
            f"{LAYOUT} asks for {MEMBERS} members, not {fine.sizes.get(REALIZATION, 1)}."
        )
    fields = fine[[*VARIABLES]].rename({REALIZATION: "member"})
    fields["member"] = ("member", np.arange(MEMBERS, dtype=np.int32))
    for name in VARIABLES:
        attrs = template[name].attrs if name in template else fields[name].attrs
        here, there = (str(one.get("units", "")) for one in (fields[name].attrs, attrs))
        if here != there:
            raise StoreError(
                f"{name} is in {here!r}, and in {there!r} in the template. Train on the same units."
            )
        plain = {key: value for key, value in attrs.items() if not key.startswith("flexclim_")}
        fields[name] = fields[name].astype(np.float32).assign_attrs(plain)
        fields[name].attrs = dict(plain)
    return fields.assign_attrs(ATTRIBUTES)


def _read_path(path: Path) -> BenchmarkFile | None:
    """Return what the path of a file of predictors tells; None: it is none."""
    parts = path.resolve().parts
    if len(parts) < 6 or path.suffix != ".nc":
        return None
    domain, test, period, predictors, condition, _ = parts[-6:]
    if (test, predictors) != ("test", "predictors") or not domain.lower().endswith("_domain"):
        return None
    return BenchmarkFile(
        path=path.resolve(), domain=domain[: -len("_domain")], period=period, condition=condition
    )
