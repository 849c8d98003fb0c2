"""Train a model by recipe."""

from flexclim.train.recipe import Recipe, load_recipe
from flexclim.train.trainer import fit

__all__ = ["Recipe", "fit", "load_recipe"]
