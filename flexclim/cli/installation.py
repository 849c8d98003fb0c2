"""The installation: versions, devices, threads and bundled files, and what is missing."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from flexclim.cli.demos.sample import sample_file
from flexclim.models.catalogue import bundled_names
from flexclim.plotting.maps import coastlines_file
from flexclim.train.recipes.reading import recipes_folder

Findings = dict[str, dict[str, str]]


def examine() -> Findings:
    """Examine the installation.

    Returns
    -------
    dict
        Sections ``Versions``, ``Device`` and ``Files``, each a dict from a name to a description.
        For a missing part it starts with ``missing:`` and says how to install it.

    >>> list(examine())
    ['Versions', 'Device', 'Files']
    """
    return {"Versions": _versions(), "Device": _device(), "Files": _files()}


def missing(findings: Findings) -> list[str]:
    """Return the names of missing parts among the findings of :func:`examine`.

    >>> missing({"Files": {"sample": "missing: install flexclim again", "recipes": "era5_x4"}})
    ['sample']
    """
    return [
        name
        for section in findings.values()
        for name, found in section.items()
        if found.startswith("missing")
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    try:
        found["flexclim"] = version("flexclim")
        requirements = [Requirement(line) for line in requires("flexclim") or ()]
    except PackageNotFoundError:
        return found | {"flexclim": "missing: not installed, only on the path; pip install -e ."}
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found[requirement.name] = _found(requirement)
    return found


def _found(requirement: Requirement) -> str:
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return f"missing: {remedy}"
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"missing: version {installed} is not supported; {remedy}"
    return installed


def _device() -> dict[str, str]:
    try:
        import torch
    except ImportError as error:
        return {"torch": f"missing: {error}"}
    found = {
        "device": "cpu",
        "torch threads": str(torch.get_num_threads()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    if torch.cuda.is_available():
        found |= {"device": "cuda", "cuda": str(torch.version.cuda)}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return found


def _files() -> dict[str, str]:
    repair = "missing: install flexclim again"
    models = bundled_names()
    recipes = sorted(file.stem for file in recipes_folder().glob("*.yaml"))
    return {
        "sample": str(sample_file()) if sample_file().is_file() else repair,
        "coastlines": str(coastlines_file()) if coastlines_file().is_file() else repair,
        "models": ", ".join(models) or repair,
        "recipes": ", ".join(recipes) or repair,
    }
