"""Checks, before a job is made, that its output and its folder can be written. Control plane.

Nothing is left behind, also where a check fails.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from sparkscore.errors import (
    AlreadyExistsError,
    OutputNotWritableError,
    PlanError,
)
from sparkscore.listing.filters import NameFilter, split_glob
from sparkscore.listing.location import find_local_path
from sparkscore.messages.launch import InputMessage, OutputMessage
from sparkscore.storage import check_writable_store, join_uri

RESERVED_NAMES = frozenset(
    {"code", "files", "ledger", "logs", "model", "plan", "scratch", "staging"}
)
"""Names in a job folder that an output inside of it may not take."""


def check_job_folder(job_folder: Path) -> None:
    """Raise AlreadyExistsError if it exists, OutputNotWritableError if it cannot be made."""
    if os.path.lexists(job_folder):
        raise AlreadyExistsError(
            f"job folder {job_folder} already exists: a job needs a folder of its own, give "
            "another --job-folder",
            condition="JOB_EXISTS",
            path=str(job_folder),
        )
    check_writable(job_folder, what="job folder", condition="JOB_FOLDER_NOT_WRITABLE")


def check_output(output: OutputMessage, *, job_folder: Path) -> None:
    """Check that results do not exist yet and can be written; for tables the driver does.

    Raises AlreadyExistsError, OutputNotWritableError, or PlanError if output and job folder are
    in each other's way.
    """
    if output.table is not None:
        return
    path = find_local_path(output.path)
    if path is None:
        check_store_output(output)
        return
    check_output_folder(output, path=Path(path), job_folder=job_folder)


def check_store_output(output: OutputMessage) -> None:
    """The same for an output in a store; looks only, so nothing is left behind there.

    Raises what ``storage.check_writable_store`` raises.
    """
    if output.action == "append_row" and output.format != "delta":
        check_writable_store(output.path, output.options, name=output.file_name)
    else:
        uri = (
            output.path
            if output.action == "summary_only"
            else join_uri(output.path, output.file_name)
        )
        check_writable_store(uri, output.options)


def check_output_folder(output: OutputMessage, *, path: Path, job_folder: Path) -> None:
    """The same for a local output: its file, or its folder's content, must not exist."""
    target = path / output.file_name if output.file_name else path
    if os.path.isdir(path):
        present = os.path.lexists(target) if output.file_name else any(path.iterdir())
        if present:
            raise output_exists(str(target))
    elif os.path.lexists(path):
        raise OutputNotWritableError(
            f"output path {path} is a file: --output-path names the folder for the results",
            condition="OUTPUT_NOT_A_FOLDER",
            path=str(path),
        )
    check_writable(path, what="output path", condition="OUTPUT_NOT_WRITABLE")
    _check_apart(path, job_folder=job_folder)


def output_exists(target: str) -> AlreadyExistsError:
    """The error for results that are already there."""
    return AlreadyExistsError(
        f"output {target} already exists: results are never overwritten, give another "
        "--output-path or output_file_name, or move it away",
        condition="OUTPUT_EXISTS",
        path=target,
    )


def _check_apart(path: Path, *, job_folder: Path) -> None:
    if job_folder.resolve().is_relative_to(path.resolve()):
        raise PlanError(
            f"job folder {job_folder} lies in the output path {path}, which holds results only: "
            "give another --job-folder or --output-path",
            condition="JOB_FOLDER_IN_OUTPUT",
            path=str(job_folder),
        )
    inside = path.resolve().relative_to(job_folder.resolve()) if _is_in(path, job_folder) else None
    if inside is not None and inside.parts[0] in RESERVED_NAMES:
        raise PlanError(
            f"output path {path} is a place of the job's own files: give another --output-path",
            condition="OUTPUT_IN_JOB_FILES",
            path=str(path),
        )


def check_job_folder_outside_input(job_folder: Path, *, input_path: Path) -> None:
    """Raise PlanError if the job's files would be listed as its input."""
    if os.path.isdir(input_path) and _is_in(job_folder, input_path):
        raise PlanError(
            f"job folder {job_folder} lies in the input {input_path} and would be scored too: "
            "give a --job-folder elsewhere",
            condition="JOB_FOLDER_IN_INPUT",
            path=str(job_folder),
        )


def check_output_outside_input(output: OutputMessage, given: InputMessage) -> None:
    """Raise PlanError (OUTPUT_IN_INPUT) if a later job on this input would score the results.

    Hidden names below the input (``_scored``) are never listed, nor what its patterns leave out.
    """
    if output.table is not None:
        return
    below = _find_below(join_uri(output.path, output.file_name), given.uri)
    if below is None:
        return
    folder, glob, name = below
    if output.format == "delta" and output.action == "append_row":
        name = f"{name}/part-00000.snappy.parquet"
    elif output.action == "summary_only":
        name = f"{name}/results"
    names = NameFilter(glob=glob, include=given.include, exclude=given.exclude)
    if names.find_hidden(name) is None and names.takes(name):
        raise PlanError(
            f"output path {output.path} lies in the input {folder}: the next job would score the "
            "results too; give an --output-path elsewhere, or below a name that starts with '_'",
            condition="OUTPUT_IN_INPUT",
            path=output.path,
        )


def _find_below(target: str, uri: str) -> tuple[str, str, str] | None:
    """The input's folder, its glob, and the path of ``target`` below; None if it is elsewhere."""
    local, source = find_local_path(target), find_local_path(uri)
    if (local is None) != (source is None):
        return None
    if local is not None and source is not None:
        folder, glob = (source, "") if os.path.lexists(source) else _split(source)
        folder, local = os.path.realpath(folder), os.path.realpath(local)
    else:
        (folder, glob), local = _split(uri), target
    inside = local.removeprefix(f"{folder.rstrip('/')}/")
    return None if inside == local else (folder, glob, inside)


def _split(uri: str) -> tuple[str, str]:
    folder, glob = split_glob(uri) or (uri, "")
    return folder, glob


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def check_writable(path: Path, *, what: str, condition: str) -> None:
    """Raise OutputNotWritableError unless ``path`` is, or can become, a folder with files."""
    try:
        _check_name(path)
        ancestor = _nearest_ancestor(path)
        # A nameless file where the system has such: it is gone whatever happens.
        with tempfile.TemporaryFile(dir=ancestor):
            return
    except OSError as error:
        raise OutputNotWritableError(
            f"{what} {path} cannot be written: {error.strerror}",
            condition=condition,
            path=str(path),
        ) from error


def _check_name(path: Path) -> None:
    """Raise OSError for a path that can never exist, such as one that is too long."""
    with contextlib.suppress(FileNotFoundError):
        path.lstat()


def _nearest_ancestor(path: Path) -> Path:
    for ancestor in (path, *path.parents):
        if os.path.lexists(ancestor):
            return ancestor
    return Path(path.anchor)
