"""Predictions for a benchmark: one file for each file of predictors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xarray as xr

from flexclim.errors import FlexclimError, StoreError


def write_ml_bench(source: str, target: str, *, overwrite: bool, **options: Any) -> Iterator[Path]:
    """Downscale the predictors of the CORDEX ML-Bench and yield the files of its submission.

    Files that exist are kept, so that an interrupted run continues.

    Parameters
    ----------
    source
        A domain's folder, or one file of predictors in it.
    target
        Folder of the submission.
    overwrite
        Whether to write files again.
    options
        Of :func:`flexclim.downscale`. The default of ``to`` is the domain's target for training,
        that of ``static`` the static fields beside its predictors.
    """
    from flexclim.downscaling import downscale
    from flexclim.models.model import load_model
    from flexclim.stores import ml_bench
    from flexclim.stores.datasets import open_input, write_netcdf_files

    if options["model"] is None:
        raise FlexclimError(f"layout {ml_bench.LAYOUT} needs a model of its data. Give --model.")
    if options["members"] not in (None, ml_bench.MEMBERS):
        raise StoreError(
            f"{ml_bench.LAYOUT} asks for {ml_bench.MEMBERS} members, not {options['members']}. "
            "Leave --members out."
        )
    model = load_model(options["model"])
    experiment = ml_bench.experiment_of(model.card)
    for file in ml_bench.predictor_files(Path(source)):
        path = file.prediction(Path(target), experiment)
        if path.exists() and not overwrite:
            continue
        template = options["to"]
        if template is None:
            template = open_input(ml_bench.target_file(file, experiment))
        static = options["static"]
        if static is None and model.card.statics:
            static = _static_fields(file.folder / "train")
        own = {"model": model, "members": ml_bench.MEMBERS, "to": template, "static": static}
        fine = downscale(open_input(file.path), **(options | own))
        write_netcdf_files(ml_bench.as_predictions(fine, template), path, overwrite=overwrite)
        yield path


def _static_fields(folder: Path) -> xr.Dataset | None:
    """Return the static fields beside predictors for training; None if there are none."""
    from flexclim.stores.datasets import open_input

    found = sorted(folder.glob("*/predictors/Static_fields.nc"))
    return open_input(found[0]) if found else None
