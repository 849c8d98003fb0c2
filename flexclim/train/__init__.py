"""Train a model by recipe."""

from flexclim.train.reading import list_recipes, load_recipe
from flexclim.train.recipe import Recipe
from flexclim.train.trainer import fit

__all__ = ["Recipe", "fit", "list_recipes", "load_recipe"]
