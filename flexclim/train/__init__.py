"""Train a model by recipe."""

from flexclim.train.data.turbulence import simulate
from flexclim.train.loop.trainer import fit
from flexclim.train.recipes.data_settings import Turbulence
from flexclim.train.recipes.explain import explain_recipe
from flexclim.train.recipes.reading import list_recipes, load_recipe
from flexclim.train.recipes.recipe import Recipe

__all__ = [
    "Recipe",
    "Turbulence",
    "explain_recipe",
    "fit",
    "list_recipes",
    "load_recipe",
    "simulate",
]
