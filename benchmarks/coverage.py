"""Measure what the training data of saved models cover, and write it into their cards.

    python -m benchmarks.coverage MODEL [--recipe NAME_OR_FILE] [--data FOLDER]

Training does this at its end; here it is done anew, by the recipe that the card holds, or by
another one where that is of an older version. MODEL is a folder, or the name of one that ships.
"""

from __future__ import annotations

import argparse
import os

from flexclim.models.model import read_model
from flexclim.train.data.coverage import coverage
from flexclim.train.data.sources import open_sources
from flexclim.train.recipes.reading import load_recipe
from flexclim.train.recipes.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default="flex-nano")
    parser.add_argument("--recipe")
    parser.add_argument("--data", default=os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    given = parser.parse_args()
    model = read_model(given.model)
    if given.recipe:
        recipe = load_recipe(given.recipe)
    else:
        recipe = Recipe.model_validate(dict(model.card.recipe))
    data = recipe.data.model_copy(update={"folder": given.data})
    found = coverage(open_sources(data, "train"), data, model.settings, recipe.trainer.seed)
    assert model.folder is not None
    model.replace(card={"coverage": found}).save(model.folder)
    print("\n".join(map(str, found)))


if __name__ == "__main__":
    main()
