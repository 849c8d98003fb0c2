"""Train a model by recipe."""

from flexclim.train.data import Turbulence
from flexclim.train.explain import explain_recipe
from flexclim.train.reading import list_recipes, load_recipe
from flexclim.train.recipe import Recipe
from flexclim.train.trainer import fit
from flexclim.train.turbulence import simulate

__all__ = [
    "Recipe",
    "Turbulence",
    "explain_recipe",
    "fit",
    "list_recipes",
    "load_recipe",
    "simulate",
]
