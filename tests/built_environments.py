"""Environments with another Python and another pandas than the tests', built once for a user."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from sparkscore.control.environments.build import Environment, build_environment
from sparkscore.control.environments.interpreter import find_interpreter
from sparkscore.control.environments.request import EnvironmentRequest, read_request
from sparkscore.errors import MissingDependencyError

OTHER_PYTHONS = ("3.9", "3.10", "3.13", "3.12", "3.11")
REQUIREMENTS = ("pandas==1.5.3", "numpy==1.24.4", "six==1.15.0")
NEWER = ("pandas==2.2.3", "numpy==2.2.6", "six==1.17.0")


@functools.cache
def find_other_python() -> str | None:
    """The first Python of another minor version on this machine, None if there is none."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in OTHER_PYTHONS:
        if version != own:
            try:
                find_interpreter(version, environment=os.environ)
                return version
            except MissingDependencyError:
                continue
    return None


def get_other_request() -> EnvironmentRequest:
    """Another Python where there is one, and in any case another pandas and another six."""
    version = find_other_python() or f"{sys.version_info[0]}.{sys.version_info[1]}"
    is_old = version in ("3.9", "3.10", "3.11")
    request = read_request(
        {"python_version": version, "requirements": REQUIREMENTS if is_old else NEWER}
    )
    assert request is not None
    return request


@functools.cache
def get_other_environment() -> Environment:
    """The environment of ``get_other_request``, kept in the user's cache from run to run."""
    request = get_other_request()
    folder = get_kept_folder() / "sparkscore" / "environments" / request.digest
    return build_environment(request, folder, log_file=folder.with_suffix(".log"))


def get_kept_folder() -> Path:
    """Where tests keep what takes long to build."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home, "sparkscore-tests")
