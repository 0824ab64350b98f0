"""Copies what a job left to a folder of its user. Control plane."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sparkscore.control.jobs.job import Job, refuse_pruned, require_ended
from sparkscore.control.jobs.mirror import reading_job_folder
from sparkscore.control.jobs.output import reading_output
from sparkscore.errors import (
    AlreadyExistsError,
    NotFoundError,
    OutputNotWritableError,
    StateError,
)
from sparkscore.listing.location import find_local_path
from sparkscore.messages.live_ledger import LIVE_LEDGER
from sparkscore.spec.nearest import find_closest

NOT_ARTIFACTS = frozenset({"model", "scratch", "staging"})
"""What a job folder holds for the job's own use."""


def download_job(job: Job, *, output_name: str, folder: Path, with_artifacts: bool) -> Path:
    """Copy to ``folder/named-outputs/<output>`` and ``folder/artifacts``; see Jobs.download."""
    require_ended(job, doing="download")
    target = Path(os.path.abspath(folder))
    output = find_output(job, output_name)
    if output is None and not with_artifacts:
        raise _no_output(job, output_name)
    if with_artifacts:
        refuse_pruned(job)
    places = {target / "named-outputs" / output_name: output is not None}
    places[target / "artifacts"] = with_artifacts
    for place in (place for place, is_wanted in places.items() if is_wanted):
        _refuse_existing(place)
    if output is not None:
        with _making(target / "named-outputs" / output_name) as partial:
            _copy_output(job, output, partial)
    if with_artifacts:
        with _making(target / "artifacts") as partial:
            _copy_artifacts(job, partial)
    return target


def find_output(job: Job, name: str) -> dict[str, Any] | None:
    """Path and options of a published output, None if the job published nothing."""
    known = job.record.outputs
    if name not in known:
        raise _unknown_output(job, name, sorted(known))
    published = (job.record.summary or {}).get("output")
    if published is None:
        return None
    if published.get("table") is not None:
        raise StateError(
            f"output {name} of job {job.name} is table {published['table']} of a catalog: read it "
            "in a Spark session with job.results(spark), or query it where it is",
            condition="OUTPUT_IS_TABLE",
            job=job.name,
            table=published["table"],
        )
    return {"path": published["path"], "options": known[name].get("options") or {}}


def _unknown_output(job: Job, name: str, known: list[str]) -> NotFoundError:
    closest = find_closest(name, known)
    advice = f"did you mean {closest}?" if closest else f"it has {', '.join(known) or 'none'}"
    return NotFoundError(
        f"job {job.name} has no output {name!r}: {advice}",
        condition="OUTPUT_NOT_FOUND",
        job=job.name,
        name=name,
        closest=closest,
    )


def _no_output(job: Job, name: str) -> NotFoundError:
    return NotFoundError(
        f"job {job.name} is {job.status} and published no output {name}: its logs come with --all",
        condition="OUTPUT_NOT_FOUND",
        job=job.name,
        name=name,
        status=job.status,
    )


def _copy_output(job: Job, output: dict[str, Any], folder: Path) -> None:
    """A file below its name; what a folder holds, as it lies there."""
    local = find_local_path(output["path"])
    if local is None:
        with reading_output(output["path"], job_name=job.name):
            _fetch(output, folder)
    elif os.path.isdir(local):
        shutil.copytree(local, folder, dirs_exist_ok=True, ignore=_find_links)
    elif os.path.exists(local):
        shutil.copy2(local, folder / os.path.basename(local))
    else:
        with reading_output(local, job_name=job.name):
            raise FileNotFoundError(local)


def _fetch(output: dict[str, Any], folder: Path) -> None:
    from sparkscore.storage import open_store

    filesystem, path = open_store(output["path"], output["options"])
    if filesystem.isfile(path):
        filesystem.get_file(path, str(folder / path.rpartition("/")[2]))
        return
    for file in filesystem.find(path):
        relative = str(file).removeprefix(path).lstrip("/")
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        filesystem.get_file(file, str(folder / relative))


def _copy_artifacts(job: Job, folder: Path) -> None:
    output = ((job.record.summary or {}).get("output") or {}).get("path")
    results = None if output is None else find_local_path(str(output))
    with reading_job_folder(job, is_wanted=is_artifact) as source:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=_ignoring(source, results))


def is_artifact(path: str) -> bool:
    """Whether a path in a job folder is for others too."""
    return path.partition("/")[0] not in NOT_ARTIFACTS and path != LIVE_LEDGER


def _ignoring(source: Path, results: str | None) -> Callable[[str, list[str]], set[str]]:
    def ignored(parent: str, names: list[str]) -> set[str]:
        own = NOT_ARTIFACTS.intersection(names) if Path(parent) == source else frozenset()
        others = (results, str(source / LIVE_LEDGER))
        found = {name for name in names if os.path.join(parent, name) in others}
        return set(own) | found | _find_links(parent, names)

    return ignored


def _find_links(parent: str, names: list[str]) -> set[str]:
    """What is no file or folder itself: scripts may leave links to anything."""
    with os.scandir(parent) as entries:
        real = {
            entry.name
            for entry in entries
            if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
        }
    return set(names) - real


def _refuse_existing(folder: Path) -> None:
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise _exists(folder)


def _exists(folder: Path) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"{folder} already exists: give another --download-path, or move it away",
        condition="DOWNLOAD_EXISTS",
        path=str(folder),
    )


@contextlib.contextmanager
def _making(folder: Path) -> Iterator[Path]:
    """A folder to fill that appears whole, or not at all."""
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    missing = [parent for parent in partial.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        yield partial
        try:
            os.rename(partial, folder)
        except OSError as error:
            raise _exists(folder) from error
    except OSError as error:
        raise OutputNotWritableError(
            f"{folder} cannot be written: {error.strerror or error}",
            condition="DOWNLOAD_FAILED",
            path=str(folder),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
