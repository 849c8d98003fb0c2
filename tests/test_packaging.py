"""Requirements are the same wherever they are listed, and pages say what an index holds."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIRED = [Requirement(line) for line in PROJECT["dependencies"]]
# Names on conda-forge, where they differ from those on PyPI.
CONDA = {
    "cf-xarray": "cf_xarray",
    "dask": "dask-core",
    "matplotlib": "matplotlib-base",
    "netCDF4": "netcdf4",
    "PyYAML": "pyyaml",
    "torch": "pytorch",
}
WANTED = {CONDA.get(one.name, one.name): str(one.specifier) for one in REQUIRED}


def listed(text):
    """Return names and bounds of lines such as ``- zarr >=3.1.3`` or ``zarr = ">=3.1.3"``."""
    pairs = re.findall(r'^(?:    - |  - )?([\w-]+)(?: = "| )(>=[\d.,<]+)"?$', text, re.M)
    return {name.removesuffix("-cpu"): bound for name, bound in pairs}


@pytest.mark.parametrize("file", ["conda/meta.yaml", "conda/environment.yaml", "pixi.toml"])
def test_requirements_are_those_of_the_project(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    found = listed(text.partition("run:")[2] or text.partition("[feature")[0])
    assert found.pop("python").startswith(PROJECT["requires-python"])
    assert found == WANTED


def test_every_import_is_required():
    """Modules that are imported with a module of the package belong to a requirement."""
    imported = set()
    for path in (ROOT / "flexclim").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    modules = {one.name.replace("-", "_").replace("PyYAML", "yaml") for one in REQUIRED}
    others = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - modules
    assert others == {"flexclim", "distributed"}  # the plug-in that workers of distributed load


def test_versions_of_python_are_tested():
    versions = re.findall(r":: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    workflow = ROOT / ".github" / "workflows" / "ci.yml"
    if not workflow.is_file():
        pytest.skip("the source distribution has no workflows")
    matrix = re.search(r"python: \[(.+)\]", workflow.read_text(encoding="utf-8"))
    assert re.findall(r"3\.\d+", matrix[1]) == versions == ["3.11", "3.12", "3.13", "3.14"]


def test_pages_name_extras_as_the_page_on_installation_explains():
    """flexclim is on no index: only the page that says so may show ``pip install flexclim``."""
    command = re.compile(r"(?:pip|uv|conda|mamba|pixi) (?:install|add) ['\"]?flexclim")
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = {page.name for page in pages if command.search(page.read_text(encoding="utf-8"))}
    assert found <= {"install.md"}
