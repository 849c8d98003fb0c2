"""The installation and the machine: versions, devices, memory, disk, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from uuid import uuid4

import psutil
from packaging.requirements import Requirement

from flexclim.cli.demos.sample import sample_file
from flexclim.errors import FlexclimError
from flexclim.execution.devices import free_memory
from flexclim.models.catalogue import bundled_names
from flexclim.plotting.maps import coastlines_file
from flexclim.train.recipes.reading import recipes_folder

GIB = 2**30
Findings = dict[str, dict[str, str]]


def examine(place: str = ".") -> Findings:
    """Examine the installation and the machine.

    Parameters
    ----------
    place
        Folder or URL for output. A small file is written there and deleted.

    Returns
    -------
    dict
        Sections ``Versions``, ``Device``, ``Machine``, ``Storage`` and ``Files``, each a dict from
        a name to a description. For a missing part it starts with ``missing:`` and says what to do.

    >>> list(examine())
    ['Versions', 'Device', 'Machine', 'Storage', 'Files']
    """
    return {
        "Versions": _versions(),
        "Device": _device(),
        "Machine": _machine(),
        "Storage": _storage(place),
        "Files": _files(),
    }


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
    elif shutil.which("nvidia-smi"):
        build = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is CPU-only"
        found["GPU"] = f"there is a driver, but torch {torch.__version__} {build} and sees no GPU"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return found


def _machine() -> dict[str, str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free, total = free_memory("cpu") / GIB, psutil.virtual_memory().total / GIB
    return {"cores": f"{cores}", "memory": f"{free:.1f} of {total:.1f} GiB free for this process"}


def _storage(place: str) -> dict[str, str]:
    found = {"output": _writable(place)}
    if "://" not in place and Path(place).is_dir():
        disk = shutil.disk_usage(place)
        found["disk"] = f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free"
    found["S3"] = _s3(os.environ)
    return found


def _writable(place: str) -> str:
    """Say whether a small file can be written to a folder or URL; it is deleted again."""
    from flexclim.stores.place import Place

    if "://" not in place and not Path(place).is_dir():
        return f"missing: the folder {place} does not exist; make it first"
    key = f".flexclim-doctor-{uuid4().hex}"
    try:
        opened = Place(place)
        opened.write(key, b"x")
        opened.delete(key)
    except FlexclimError as error:
        return f"missing: {error}"
    except Exception as error:  # each library of object stores has types of its own
        return f"missing: {opened} can't be written: {' '.join(str(error).split())}"
    return f"{opened} can be written"


def _s3(environment: Mapping[str, str]) -> str:
    """Say whether s3:// can be opened, and where credentials are; no value is shown."""
    try:
        installed = f"s3fs {version('s3fs')}"
    except PackageNotFoundError:
        return "not installed; pip install 'flexclim[cloud]'"
    named = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE") if environment.get(name)]
    file = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    where = [*named, *([str(file)] if file.is_file() else [])]
    credentials = f"credentials in {' and '.join(where)}" if where else "no credentials"
    endpoint = environment.get("AWS_ENDPOINT_URL")
    return f"{installed}, {credentials}{f', endpoint {endpoint}' if endpoint else ''}"


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
