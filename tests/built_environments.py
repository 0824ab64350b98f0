"""Environments with another Python and another pandas than the tests', built once for a user.

``python -m tests.built_environments`` makes sure that there is such a Python, which uv fetches if
this machine has none.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sparkscore.control.environments.build import Environment, build_environment, find_uv
from sparkscore.control.environments.cache import CACHE_VARIABLE
from sparkscore.control.environments.interpreter import find_interpreter
from sparkscore.control.environments.request import EnvironmentRequest, read_request
from sparkscore.errors import MissingDependencyError

OWN_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHER_PYTHONS = ("3.9", "3.10", "3.13", "3.12", "3.11")
REQUIREMENTS = ("pandas==1.5.3", "numpy==1.24.4", "six==1.15.0")
NEWER = ("pandas==2.2.3", "numpy==2.2.6", "six==1.17.0")


@functools.cache
def get_other_python(*, may_fetch: bool = False) -> str:
    """The first version of OTHER_PYTHONS that this machine has and that is not the tests' own.

    Raises MissingDependencyError (PYTHON_NOT_FOUND) if there is none: tests that say "another
    Python" never run in the same one.
    """
    others = [version for version in OTHER_PYTHONS if version != OWN_PYTHON]
    variables = {**os.environ, "UV_PYTHON_DOWNLOADS": "manual" if may_fetch else "never"}
    found = _find_first(others, variables) or _find_first(others, variables, uv=find_uv())
    if found is None:
        raise MissingDependencyError(
            f"tests need a Python that is not their own ({OWN_PYTHON}), one of "
            f"{', '.join(others)}: install it with pyenv, uv python install, or the system's "
            "packages",
            condition="PYTHON_NOT_FOUND",
            python=others[0],
        )
    return found


def _find_first(
    versions: list[str], variables: Mapping[str, str], uv: str | None = None
) -> str | None:
    for version in versions:
        try:
            find_interpreter(version, environment=variables, uv=uv)
            return version
        except MissingDependencyError:
            continue
    return None


@functools.cache
def get_other_request(*more: str) -> EnvironmentRequest:
    """Another Python, another pandas and another six; then ``more`` requirements."""
    version = get_other_python()
    lines = REQUIREMENTS if version in ("3.9", "3.10", "3.11") else NEWER
    request = read_request({"python_version": version, "requirements": [*lines, *more]})
    assert request is not None
    return request


@functools.cache
def get_other_environment(*more: str) -> Environment:
    """The environment of ``get_other_request``, kept in the user's cache from run to run."""
    request = get_other_request(*more)
    folder = get_kept_folder() / "sparkscore" / "environments" / request.digest
    return build_environment(request, folder, log_file=folder.with_suffix(".log"))


def get_cache_variables() -> dict[str, str]:
    """The variables by which jobs use what tests have built."""
    return {CACHE_VARIABLE: str(get_kept_folder() / "sparkscore")}


def get_kept_folder() -> Path:
    """Where tests keep what takes long to build."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home, "sparkscore-tests")


if __name__ == "__main__":
    try:
        print(get_other_python(may_fetch=True))
    except MissingDependencyError as error:
        sys.exit(f"{error.condition}: {error.message}")
