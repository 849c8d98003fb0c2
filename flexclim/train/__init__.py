"""Train a model by recipe. Names load on first use: reading a recipe needs no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flexclim.errors import without_torch

if TYPE_CHECKING:
    from flexclim.train.data.turbulence import simulate
    from flexclim.train.examination import examine_recipe
    from flexclim.train.loop.trainer import fit
    from flexclim.train.recipes.explain import explain_recipe
    from flexclim.train.recipes.reading import list_recipes, load_recipe
    from flexclim.train.recipes.recipe import Recipe
    from flexclim.train.recipes.source_settings import Turbulence

__all__ = [
    "Recipe",
    "Turbulence",
    "examine_recipe",
    "explain_recipe",
    "fit",
    "list_recipes",
    "load_recipe",
    "simulate",
]

_HOMES = {
    "Recipe": "recipes.recipe",
    "Turbulence": "recipes.source_settings",
    "examine_recipe": "examination",
    "explain_recipe": "recipes.explain",
    "fit": "loop.trainer",
    "list_recipes": "recipes.reading",
    "load_recipe": "recipes.reading",
    "simulate": "data.turbulence",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        try:
            return getattr(import_module(f"flexclim.train.{_HOMES[name]}"), name)
        except ModuleNotFoundError as error:
            raise without_torch(error, f"{name}()") from None
    raise AttributeError(f"module 'flexclim.train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
