"""Makes a folder with a job's code, model and launch message, all at once. Control plane."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from sparkscore.control.deployment import PreparedDeployment
from sparkscore.control.environments.job import write_request
from sparkscore.control.launch import JobPlace, build_launch
from sparkscore.control.snapshot import copy_code
from sparkscore.errors import AlreadyExistsError, OutputNotWritableError, UnresolvedReferenceError
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import LAUNCH_FILE, LaunchMessage


def write_job_files(
    folder: Path, *, deployment: PreparedDeployment, place: JobPlace, linked_model: bool
) -> LaunchMessage:
    """Write ``code/``, ``model/`` and the launch message into ``folder``, which ``place`` names.

    Raises UnresolvedReferenceError if code or model cannot be read or fetched.
    """
    code = None
    if deployment.code_folder is not None:
        code = folder / "code"
        with _reading(deployment.code_folder, what="code folder"):
            copy_code(deployment.code_folder, code, excluded=(folder, place.job_folder))
    (folder / "model").mkdir()
    with _reading(folder / "model", what="model"):
        model = deployment.model.put_below(folder / "model", linked=linked_model)
        launch = build_launch(deployment, place, model=model, code=code)
    write_request(deployment.job_environment, folder)
    text = to_json(launch, indent=2) + "\n"
    (folder / LAUNCH_FILE).write_text(text, encoding="utf-8")
    return launch


@contextlib.contextmanager
def _reading(path: Path, *, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error) as error:
        raise UnresolvedReferenceError(
            f"{what} {path} cannot be copied: {_first_reason(error)}",
            condition="COPY_FAILED",
            path=str(path),
        ) from error


def _first_reason(error: OSError) -> str:
    """``shutil.Error`` carries a list of (source, destination, reason)."""
    reasons = error.args[0] if error.args else ""
    if isinstance(reasons, list) and reasons:
        return str(reasons[0][-1])
    return str(error)


@contextlib.contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill that becomes ``folder`` in the end, or vanishes with an error.

    ``folder`` may exist if it is empty. Raises AlreadyExistsError if it appeared meanwhile,
    OutputNotWritableError if it cannot be made.
    """
    made: list[Path] = []
    partial = folder.parent / f".{folder.name[:64]}.{secrets.token_hex(4)}.partial"
    try:
        with _writing(folder):
            _make_parents(partial, made=made)
            yield partial
            _rename(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in reversed(made):
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _make_parents(folder: Path, *, made: list[Path]) -> None:
    """Make ``folder``, noting in ``made`` each parent that did not exist."""
    missing = [parent for parent in reversed(folder.parents) if not parent.exists()]
    for parent in missing:
        parent.mkdir(exist_ok=True)
        made.append(parent)
    folder.mkdir()


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputNotWritableError(
            f"{folder} cannot be written: {error.strerror or error}",
            condition="JOB_FOLDER_NOT_WRITABLE",
            path=str(folder),
        ) from error


def _rename(partial: Path, folder: Path) -> None:
    try:
        os.rename(partial, folder)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise AlreadyExistsError(
            f"{folder} was made by somebody else meanwhile: give another folder",
            condition="JOB_EXISTS",
            path=str(folder),
        ) from error
