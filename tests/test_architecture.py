"""The layout, and the names in docs/explanation/architecture.md, are those of the code."""

import ast
import importlib
import re
from collections import Counter
from functools import reduce
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
FILES = sorted(set(re.findall(r"`((?:flexclim|tests)/[\w/]+\.py)`", PAGE)))
MODULES = [path for path in (ROOT / "flexclim").rglob("*.py") if path.stem != "__init__"]
NAMES = sorted(set(re.findall(r"`([\w.]+)` \(`([\w/]+)\.py`\)", PAGE)))


def test_the_page_names_functions():
    assert len(NAMES) > 25


@pytest.mark.parametrize(("name", "file"), NAMES)
def test_a_named_function_exists(name, file):
    module = importlib.import_module("flexclim." + file.replace("/", "."))
    found = reduce(getattr, name.split("."), module)
    assert found.__module__ == module.__name__


@pytest.mark.parametrize("file", FILES)
def test_a_named_file_exists(file):
    assert (ROOT / file).is_file()


def test_rows_are_those_of_the_import_linter():
    configured = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rows = re.search(r"^layers = \[\n(.*?)^\]", configured, re.S | re.M)
    assert rows
    wanted = re.findall(r'"(.+)"', rows[1])
    shown = re.search(r"```text\n(.*?)```", PAGE, re.S)
    assert shown
    assert shown[1].splitlines() == wanted


def test_few_modules_lie_at_the_root_and_no_two_share_a_name():
    assert len([path for path in MODULES if path.parent.name == "flexclim"]) <= 10
    names = Counter(path.stem for path in MODULES)
    assert [name for name, count in names.items() if count > 1] == []


def test_modules_fit_on_a_few_screens():
    assert [path.name for path in MODULES if len(path.read_text().splitlines()) > 400] == []


@pytest.mark.slow
def test_environment_variables_are_in_one_list():
    page = (ROOT / "docs" / "reference" / "environment-variables.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.M)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert variables_read() == listed


def variables_read():
    """Return the environment variables that the package reads, also through constants."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    pairs = [
        pair
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        for pair in zip(
            getattr(target, "elts", [target]),
            getattr(node.value, "elts", [node.value]),
            strict=False,
        )
    ]
    constants = {
        target.id: value.value
        for target, value in pairs
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant)
    }
    keys = []
    for node in nodes:
        if isinstance(node, ast.Call) and re.search(
            r"(environ|environment)\.get$|getenv$", ast.unparse(node.func)
        ):
            keys.append(node.args[0])
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            keys.append(node.slice)
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]).endswith("environ"):
            keys.append(node.left)
        elif isinstance(node, ast.comprehension) and "environ" in "".join(
            map(ast.unparse, node.ifs)
        ):
            keys += node.iter.elts
    return {
        constants[key.id] if isinstance(key, ast.Name) else key.value
        for key in keys
        if isinstance(key, ast.Constant) or key.id != "name"  # of a comprehension
    }
