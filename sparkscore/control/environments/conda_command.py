"""The command that installs what only conda has. Control plane."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from sparkscore.control.environments.request import EnvironmentRequest
from sparkscore.errors import MissingDependencyError

_PROGRAMS = ("micromamba", "mamba", "conda")


def get_conda_command(
    request: EnvironmentRequest, *, folder: Path, environment: Mapping[str, str]
) -> list[str]:
    """Makes ``folder`` with the request's Python and conda packages.

    Raises MissingDependencyError (CONDA_PACKAGES_NEED_MICROMAMBA), which names them.
    """
    named = (environment.get("MAMBA_EXE"), environment.get("CONDA_EXE"))
    path = environment.get("PATH", "")
    programs = (*named, *(shutil.which(name, path=path) for name in _PROGRAMS))
    program = next((one for one in programs if one and shutil.which(one)), None)
    if program is None:
        raise MissingDependencyError(
            f"the environment needs conda for {', '.join(request.conda_packages)}: install "
            "micromamba, or ask for packages of PyPI under `pip:`, or set environments = "
            '"host" in [jobs] to run scripts in sparkscore\'s own Python',
            condition="CONDA_PACKAGES_NEED_MICROMAMBA",
            packages=list(request.conda_packages),
        )
    channels = request.channels or ("conda-forge",)
    return [
        *(program, "create", "--yes", "--prefix", str(folder), "--override-channels"),
        *(argument for channel in channels for argument in ("--channel", channel)),
        *(f"python={request.python}", "pip", *request.conda_packages),
    ]
