"""Fit a network by recipe. Read this first.

    recipe -> patches -> [ advance -> (validate) -> (score) -> record -> (save) ] x steps -> model

Two stages: denoising, then (where the recipe asks for it) the few-step sampler end to end on the
fair CRPS of its members. Everything random is a function of the seed, the step and the position
in the batch (dropout: of the first position of a part), so a run that was killed goes on as it
would have, and ranks times parts of one number train alike.
"""

from __future__ import annotations

from pathlib import Path

import torch

from flexclim.train.loop.dist import join_ranks
from flexclim.train.loop.interrupts import Interrupts
from flexclim.train.loop.run import Run
from flexclim.train.recipes.recipe import Recipe


def fit(recipe: Recipe, resume: bool = True) -> Path:
    """Train a model and write its folder.

    Under ``torchrun`` all processes call this, and share the work.

    Parameters
    ----------
    recipe
        From :func:`flexclim.train.load_recipe`.
    resume
        Go on from the newest checkpoint in the run's folder; False: refuse a folder that has one.

    Returns
    -------
    Path
        The model folder, ``RUN/model``: the averaged weights with the best CRPS on validation
        data.

    Raises
    ------
    RecipeError
        If data can't be read, the folder holds a run of another recipe, or gradients are not
        finite for many steps.
    KeyboardInterrupt, SystemExit
        After Ctrl-C, SIGTERM or SIGUSR1, when the state is saved; call again to go on.
    """
    settings = recipe.trainer
    with join_ranks() as ranks, Interrupts() as interrupts, Run(recipe, ranks) as run:
        threads = torch.get_num_threads()
        run.start(resume)
        torch.set_num_threads(threads)  # numba, which xarray may use to read, sets it to all cores
        for batch in run.batches():
            run.advance(batch)
            scoring = run.is_due(settings.score_every)
            if scoring or run.is_due(settings.validate_every):
                run.validate()
            if scoring:
                run.score()
            run.record()
            stop = run.agree(interrupts.number)
            if stop or scoring or run.is_due(settings.save_every):
                run.save()
            if stop:
                interrupts.end(stop, f"stopped at step {run.done}; call again to go on.")
        return run.finish()
