"""Train a model by recipe."""

from flexclim.train.explain import explain_recipe
from flexclim.train.reading import list_recipes, load_recipe
from flexclim.train.recipe import Recipe
from flexclim.train.trainer import fit

__all__ = ["Recipe", "explain_recipe", "fit", "list_recipes", "load_recipe"]
