"""The Python that a job's script hosts run in. Python worker process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sparkscore.executor.archives import unpack_once
from sparkscore.messages.launch import EnvironmentMessage

_OF_OTHER_PYTHONS = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH")


@dataclass(frozen=True)
class HostPython:
    """An interpreter (absolute path), and the folder that holds it, None for the worker's own."""

    path: str = sys.executable
    folder: str | None = None

    def adapt(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The variables of a host with those that name a Python changed to this one.

        The shared libraries that came with it are found before the system's, and packages that
        were installed for a user only are not found: they belong to other Pythons.
        """
        if self.folder is None:
            return dict(variables)
        kept = {name: text for name, text in variables.items() if name not in _OF_OTHER_PYTHONS}
        kept["PATH"] = _join(os.path.dirname(self.path), variables.get("PATH"))
        kept["PYTHONNOUSERSITE"] = "1"
        if os.path.isdir(os.path.join(self.folder, "conda-meta")):
            kept["CONDA_PREFIX"] = self.folder
        libraries = os.path.join(self.folder, "lib", "bundled")
        if os.path.isdir(libraries):
            kept["LD_LIBRARY_PATH"] = _join(libraries, variables.get("LD_LIBRARY_PATH"))
        return kept


def open_environment(message: EnvironmentMessage | None, *, job_folder: str) -> HostPython:
    """The interpreter of an environment, unpacked by the first worker of the host that asks.

    ``job_folder`` holds the archive where it is visible; else Spark has shipped it. Raises
    StorageError if the archive is not there, is refused or cannot be unpacked.
    """
    if message is None:
        return HostPython()
    if message.archive is None:
        return HostPython(message.python, os.path.dirname(os.path.dirname(message.python)))
    archive = os.path.join(job_folder, message.archive)
    if not os.path.exists(archive):
        from sparkscore.executor.shipped import find_shipped

        archive = find_shipped(os.path.basename(message.archive))
    folder = unpack_once(archive, digest=message.digest)
    return HostPython(os.path.join(folder, *message.python.split("/")), folder)


def _join(first: str, others: str | None) -> str:
    return f"{first}{os.pathsep}{others}" if others else first
