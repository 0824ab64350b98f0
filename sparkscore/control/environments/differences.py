"""How sparkscore's own Python differs from what an environment asks for. Control plane."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sparkscore.control.environments.request import EnvironmentRequest, get_name


def find_differences(request: EnvironmentRequest) -> list[str]:
    """What this process's Python does not have as asked for, one short text each."""
    return list(_iter_differences(request))


def _iter_differences(request: EnvironmentRequest) -> Iterator[str]:
    if request.archive is not None:
        yield f"the packages of {request.archive}"
        return
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if request.python != own:
        yield f"Python {request.python} was asked for, this is {own}"
    for line in request.requirements:
        if not line.startswith("-"):
            yield from _compare(line)
    for package in request.conda_packages:
        yield f"conda package {package} is not looked for"


def _compare(line: str) -> Iterator[str]:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import InvalidRequirement, Requirement

    text = line.partition(" #")[0].partition(" --")[0].strip()
    try:
        asked = Requirement(text)
    except InvalidRequirement:
        yield f"{text} is not looked for"
        return
    if asked.marker is not None and not asked.marker.evaluate():
        return
    try:
        installed = version(asked.name)
    except PackageNotFoundError:
        yield f"{get_name(asked.name)} is not installed"
        return
    if not asked.specifier.contains(installed, prereleases=True):
        yield f"{asked.name}{asked.specifier} was asked for, {installed} is installed"
