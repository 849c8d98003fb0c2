"""Read recipes from YAML strictly: an error for an unknown setting names the nearest known one."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from yaml.constructor import ConstructorError

from flexclim.errors import RecipeError, suggest_options
from flexclim.nn.configuration import Settings
from flexclim.train.recipes.recipe import Recipe

INTEGER = "tag:yaml.org,2002:int"
DATED = "tag:yaml.org,2002:timestamp"
# New names of settings that earlier versions called otherwise.
RENAMED = {"trainer.patience": "trainer.max_nonfinite_steps"}


class Loader(yaml.SafeLoader):
    """YAML in which dates and numbers like 0100 are text, and no setting is given twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as PyYAML declares it)
        first: [(tag, form) for tag, form in known if tag not in (INTEGER, DATED)]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the node of a mapping; a repeated name is an error."""
        node = super().compose_mapping_node(anchor)
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise ConstructorError(None, None, f"{name!r} is given twice", node.start_mark)
        return node


Loader.add_implicit_resolver(INTEGER, re.compile("[-+]?(0|[1-9][0-9_]*)$"), [*"-+0123456789"])


def recipes_folder() -> Path:
    """Return the folder of the shipped recipes, in an installed package or in a checkout.

    >>> (recipes_folder() / "flex_nano.yaml").is_file()
    True
    """
    here = Path(__file__).resolve()
    packed = here.parent / "yaml"
    return packed if packed.is_dir() else here.parents[3] / "recipes"


@suggest_options
def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by file or by name.

    Parameters
    ----------
    path
        A YAML file, or the name of a shipped recipe (``flexclim recipes`` lists them).
    overrides
        Settings of the form ``trainer.steps=200``; values are YAML. Numbers index lists, as in
        ``data.sources.0.path=...``.

    Raises
    ------
    RecipeError
        If the file can't be read, or a setting is unknown or invalid.

    >>> load_recipe("gfs_wind_x4", ["trainer.steps=2000"]).trainer.steps
    2000
    """
    values = _read(find_recipe(path))
    for override in overrides:
        _override(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_complaint(error)) from None


def find_recipe(path: str | Path) -> Path:
    """Find the file of a recipe by path or by name."""
    given = Path(path)
    if given.is_file():
        return given
    shipped = {file.stem: file for file in sorted(recipes_folder().glob("*.yaml"))}
    if str(path) in shipped:
        return shipped[str(path)]
    near = difflib.get_close_matches(str(path), shipped, n=1)
    hint = f"did you mean {near[0]}?" if near else f"or one of {', '.join(shipped)}."
    raise RecipeError(f"there is no recipe {str(path)!r}: give a YAML file, {hint}")


def list_recipes() -> dict[str, str]:
    """List the shipped recipes, each with the first line of its file, a comment.

    >>> "flex_nano" in list_recipes()
    True
    """
    found = {}
    for file in sorted(recipes_folder().glob("*.yaml")):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        found[file.stem] = first.lstrip("# ") if first.startswith("#") else ""
    return found


def copy_recipe(name: str, file: Path) -> Path:
    """Copy the file of a recipe, comments included.

    Raises
    ------
    RecipeError
        If there is no such recipe, or ``file`` exists or can't be written.
    """
    content = find_recipe(name).read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as copied:
            copied.write(content)
    except FileExistsError:
        raise RecipeError(f"{file} exists. Give the name of another file.") from None
    except OSError as error:
        raise RecipeError(f"{file} can't be written: {error.strerror}.") from None
    return file


def section_of(annotation: object) -> type[Settings] | None:
    """Return the settings class in a type, alone or in a container, or None."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    return next(filter(None, map(section_of, get_args(annotation))), None)


def rename_old_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a recipe of an earlier version, with the current names of settings."""
    renamed = copy.deepcopy(values)
    for old, new in RENAMED.items():
        section, _, name = old.partition(".")
        if isinstance(part := renamed.get(section), dict) and name in part:
            part[new.partition(".")[2]] = part.pop(name)
    return renamed


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{path} can't be read as YAML: {reason}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds no settings; a recipe starts with 'name: ...'.")
    return values


def _override(values: Any, override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise RecipeError(f"{override!r} is not of the form section.setting=value.")
    *sections, last = key.split(".")
    for section in sections:
        values = _enter(values, section, key)
    if not isinstance(values, dict):
        raise RecipeError(f"{key} can't be set: {sections[-1]} is not a section.")
    try:
        values[last] = yaml.load(text, Loader)
    except yaml.YAMLError:
        raise RecipeError(f"the value of {override!r} is not YAML. Put it in quotes.") from None


def _enter(values: Any, section: str, key: str) -> Any:
    if isinstance(values, list) and section.isdigit() and int(section) < len(values):
        return values[int(section)]
    if isinstance(values, dict):
        if values.get(section) is None:
            values[section] = {}
        return values[section]
    raise RecipeError(f"{key} can't be set: there is no {section}.")


def _complaint(error: ValidationError) -> str:
    """Describe the first error in one line that names the setting."""
    first = error.errors()[0]
    steps = list(_steps(first["loc"]))
    place = ".".join(str(part) for part, _ in steps)
    section = next((found for _, found in reversed(steps[:-1]) if found), Recipe)
    if first["type"] == "extra_forbidden":
        if place in RENAMED:
            return f"{place} is now {RENAMED[place]}."
        known = [field.alias or name for name, field in section.model_fields.items()]
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        parent = place.removesuffix(str(first["loc"][-1]))
        hint = f"did you mean {parent}{near[0]}?" if near else f"known are {', '.join(known)}."
        return f"{place} is not a setting; {hint}"
    if first["type"] == "missing":
        return f"{place} is missing from the recipe."
    if first["type"] == "value_error":
        return f"{place or 'recipe'}: {first['ctx']['error']}."
    return f"{place} = {first['input']!r} is invalid: {first['msg']}."


def _steps(location: tuple[int | str, ...]) -> Iterator[tuple[int | str, type[Settings] | None]]:
    """Yield the parts of a location that a recipe contains, each with the section it leads to.

    Parts that name an alternative of a union, which pydantic adds, are left out.
    """
    section: type[Settings] | None = Recipe
    entered: type[Settings] | None = None
    for number, part in enumerate(location):
        last = number == len(location) - 1
        if section is not None and isinstance(part, str):
            fields = {field.alias or name: field for name, field in section.model_fields.items()}
            if part in fields:
                annotation = fields[part].annotation
                entered = section_of(annotation)
                # The names in a dict of sections are the user's.
                section = None if str(annotation).startswith("dict") else entered
                yield part, entered
            elif last:
                yield part, None
        elif isinstance(part, int) or section is None:
            if isinstance(part, str) and part.startswith(("str", "tuple", "dict", "float", "lit")):
                continue
            section = section or entered
            yield part, section
