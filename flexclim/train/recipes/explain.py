"""A resolved recipe as text: every setting with its value and meaning."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from flexclim.errors import suggest_options
from flexclim.nn.configuration import Settings
from flexclim.train.recipes.recipe import Recipe

WIDTH = 100
COLUMN = 44  # where meanings begin


@suggest_options
def explain_recipe(recipe: Recipe, *, defaults: bool = True) -> str:
    """List the settings of a recipe with their values and meanings.

    A star marks settings that the recipe gives; the others are at their defaults.

    Parameters
    ----------
    recipe
        With overrides, if any.
    defaults
        Whether to list settings at their defaults, too.

    >>> from flexclim.train import load_recipe
    >>> text = explain_recipe(load_recipe("flex_nano"))
    >>> print(text.splitlines()[0])
    * name = flex-nano                          name of the model
    """
    return "\n".join(_lines(recipe, 0, set(), defaults))


def _lines(section: Settings, depth: int, explained: set[object], defaults: bool) -> Iterator[str]:
    """Yield the lines of a section; settings among ``explained`` get no meaning again."""
    for name, field in type(section).model_fields.items():
        if name not in section.model_fields_set and not defaults:
            continue
        value = getattr(section, name)
        meaning = "" if id(field) in explained else field.description or ""
        explained.add(id(field))
        star = "*" if name in section.model_fields_set else " "
        shown = field.alias or name
        inner = list(_sections(shown, value))
        if not inner:
            yield from _line(f"{star} {shown} = {_text(value)}", meaning, depth)
            continue
        if inner[0][0] != shown:
            yield from _line(f"{star} {shown}", meaning, depth)
        for title, part in inner:
            given = part.model_fields_set
            if len(inner) == 1 and title == shown:
                yield from _line(f"{star} {title}", meaning, depth)
            else:
                yield from _line(f"{star} {title}" if given else f"  {title}", "", depth)
            yield from _lines(part, depth + 1, explained, defaults)


def _sections(name: str, value: object) -> Iterator[tuple[str, Settings]]:
    """Yield the sections that a setting holds, each with its title."""
    if isinstance(value, Settings):
        yield name, value
    elif isinstance(value, tuple):
        yield from ((f"{name}.{i}", part) for i, part in enumerate(value) if _is_section(part))
    elif isinstance(value, Mapping):
        yield from ((f"{name}.{key}", part) for key, part in value.items() if _is_section(part))


def _is_section(value: object) -> TypeGuard[Settings]:
    return isinstance(value, Settings)


def _line(setting: str, meaning: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    head = f"{indent}{setting}"
    room = max(40, WIDTH - COLUMN)
    meanings = textwrap.wrap(meaning, room) or [""]
    if len(head) >= COLUMN:
        yield head
        head = ""
    for text in meanings:
        yield f"{head:<{COLUMN}}{text}".rstrip()
        head = ""


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(part)}" for key, part in value.items()) + "}"
    return "''" if value == "" else str(value)
