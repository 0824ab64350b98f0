"""Which Python the script hosts of a job run in, and how that gets there. Control plane.

``settle_environment`` decides while nothing is made yet, ``make_environment`` builds before the
driver starts: what was built once is there at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.environments.build import (
    build_environment,
    check_buildable,
    get_python_name,
)
from sparkscore.control.environments.cache import get_environments_folder
from sparkscore.control.environments.differences import find_differences
from sparkscore.control.environments.model import read_mlflow_version
from sparkscore.control.environments.pack import check_packed, pack_environment
from sparkscore.control.environments.request import (
    EnvironmentRequest,
    read_request,
    with_mlflow,
)
from sparkscore.errors import InvalidFieldError
from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.launch import ARCHIVE_PREFIX, EnvironmentMessage, LaunchMessage

if TYPE_CHECKING:
    from sparkscore.control.deployment import PreparedDeployment

MODES = ("auto", "build", "host")
"""Where scripts run: ``build`` in the environment, ``host`` in sparkscore's own Python, ``auto`` in
the environment, but for local jobs of which sparkscore's own Python has all that it asks for."""

MODE_VARIABLE = "SPARKSCORE_ENVIRONMENTS"
REQUEST_FILE = "environment.json"
"""What is to be built for a job, in its folder."""

_ARCHIVES = (".tar.gz", ".tgz", ".tar.zst", ".zip")
_SHOWN = 6


@dataclass(frozen=True)
class JobEnvironment:
    """The environment of a job; ``request`` is None for a Python that is there already."""

    message: EnvironmentMessage
    request: EnvironmentRequest | None

    def place(self, files: Path) -> EnvironmentMessage:
        """The message for a job whose files lie in ``files``, an empty path if beside itself."""
        archive = self.message.archive
        return replace(self.message, archive=archive and str(files / archive))


def choose_mode(*given: str | None, environment: Mapping[str, str] | None = None) -> str:
    """The variable SPARKSCORE_ENVIRONMENTS, else the first that is ``given``, else auto.

    Raises InvalidFieldError (INVALID_ENVIRONMENTS_MODE).
    """
    variables = os.environ if environment is None else environment
    variable = variables.get(MODE_VARIABLE)
    chosen = next((one for one in (variable, *given) if one), MODES[0])
    if chosen not in MODES:
        source = (
            f"the variable {MODE_VARIABLE}"
            if variable
            else "environments of the compute or of [jobs] in sparkscore.toml"
        )
        raise InvalidFieldError(
            f"{source} is {chosen!r}: it must be one of {', '.join(MODES)}",
            condition="INVALID_ENVIRONMENTS_MODE",
            value=chosen,
            source=source,
        )
    return chosen


def is_local_master(master: str | None) -> bool:
    """Whether script hosts run on the driver's machine, which is this one."""
    return master is None or re.fullmatch(r"local(\[.*\])?", master) is not None


def settle_environment(
    deployment: PreparedDeployment, *, mode: str, is_local: bool
) -> PreparedDeployment:
    """The deployment with the environment of its jobs, and what its user should know of that.

    ``is_local``: driver and script hosts run on this machine. Raises InvalidFieldError
    (PYTHON_TOO_OLD, ENVIRONMENT_NOT_SELF_CONTAINED...) or MissingDependencyError
    (CONDA_PACKAGES_NEED_MICROMAMBA) for what cannot be built.
    """
    document = deployment.environment
    if document is None:
        return deployment
    found, notes = _settle(deployment, document, mode=mode, is_local=is_local)
    if document.get("image"):
        where = "" if found else ": scripts run in the workers' Python"
        notes = (*notes, f"warning: image {document['image']} starts no container{where}")
    return replace(deployment, job_environment=found, warnings=(*deployment.warnings, *notes))


def _settle(
    deployment: PreparedDeployment, document: Mapping[str, Any], *, mode: str, is_local: bool
) -> tuple[JobEnvironment | None, tuple[str, ...]]:
    if document.get("python"):
        python = str(document["python"])
        return _in_own_python(deployment, python, mode=mode, is_local=is_local)
    request = read_request(document)
    if request is None:
        return None, ()
    if deployment.spec.settings.isolation == "inline":
        return None, (_render_host(request, "isolation is inline"),)
    if mode == "auto" and is_local and not find_differences(request):
        return None, ()
    if mode == "host":
        text = _render_host(request, 'environments is "host"')
        return None, (text,) if find_differences(request) else ()
    if deployment.code_folder is None:
        request = with_mlflow(request, read_mlflow_version(deployment.model))
    check_buildable(request)
    notes: tuple[str, ...] = ()
    if request.added:
        notes = (f"note: added to the environment: {', '.join(request.added)}",)
    return _plan(request, is_local=is_local), notes


def _in_own_python(
    deployment: PreparedDeployment, python: str, *, mode: str, is_local: bool
) -> tuple[JobEnvironment | None, tuple[str, ...]]:
    if mode == "host" or deployment.spec.settings.isolation == "inline":
        return None, (f"warning: scripts do not run in {python}, but in the workers' Python",)
    if is_local and not os.access(python, os.X_OK):
        raise InvalidFieldError(
            f"environment.python is {python}, which is no program on this machine",
            condition="PYTHON_NOT_FOUND",
            path=python,
        )
    return JobEnvironment(EnvironmentMessage(_hash(python), python), None), ()


def _plan(request: EnvironmentRequest, *, is_local: bool) -> JobEnvironment:
    name = get_python_name(request)
    if request.archive is not None:
        file = Path(request.archive)
        suffix = next((one for one in _ARCHIVES if file.name.endswith(one)), "")
        check_packed(file)
        digest = _hash_file(file)
        message = EnvironmentMessage(digest, name, archive=f"{ARCHIVE_PREFIX}{digest[:16]}{suffix}")
    elif is_local:
        folder = get_environments_folder() / request.digest
        message = EnvironmentMessage(request.digest, str(folder / name))
    else:
        archive = f"{ARCHIVE_PREFIX}{request.digest[:16]}.tar.zst"
        message = EnvironmentMessage(request.digest, name, archive=archive)
    return JobEnvironment(message, request)


def write_request(environment: JobEnvironment | None, folder: Path) -> None:
    """Note in a job's folder what ``make_environment`` has to build."""
    if environment is not None and environment.request is not None:
        text = to_json(environment.request, indent=2) + "\n"
        (folder / REQUEST_FILE).write_text(text, encoding="utf-8")


def make_environment(
    folder: Path,
    launch: LaunchMessage,
    *,
    log_file: Path | None = None,
    on_poll: Callable[[], None] = lambda: None,
) -> None:
    """Build the environment of the job in ``folder``, and put its archive there if it needs one.

    ``on_poll`` is called several times a second; what it raises ends the build. The output of the
    build goes to ``logs/environment.log``. Raises what ``build_environment`` and
    ``pack_environment`` do.
    """
    message, file = launch.scoring.environment, folder / REQUEST_FILE
    if message is None or not file.exists():
        return
    request = from_json(EnvironmentRequest, file.read_bytes(), where=str(file))
    log_file = log_file or folder / "logs" / "environment.log"
    if message.archive is None:
        built = Path(message.python).parents[1]
        build_environment(request, built, log_file=log_file, on_poll=on_poll)
        return
    archive = folder / os.path.basename(message.archive)
    if archive.exists():
        return
    if request.archive is not None:
        _put(Path(request.archive), archive, linked=False)  # its user may write it anew
        return
    built = get_environments_folder() / request.digest
    build_environment(request, built, log_file=log_file, on_poll=on_poll)
    packed = built.with_name(f"{built.name}.tar.zst")
    pack_environment(built, packed, on_poll=on_poll)
    _put(packed, archive, linked=True)


def _put(source: Path, destination: Path, *, linked: bool) -> None:
    partial = destination.with_name(f".{destination.name}.partial")
    partial.unlink(missing_ok=True)
    is_there = False
    if linked:
        with contextlib.suppress(OSError):
            os.link(source, partial)
            is_there = True
    if not is_there:
        shutil.copyfile(source, partial)
    os.replace(partial, destination)


def _render_host(request: EnvironmentRequest, why: str) -> str:
    differences = find_differences(request)
    shown = "; ".join(differences[:_SHOWN])
    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    differs = f"; it is not what was asked for: {shown}{more}" if differences else ""
    return f"warning: scripts run in sparkscore's own Python, as {why}{differs}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _hash_file(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:32]
