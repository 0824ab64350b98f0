"""The files that a job left: its output and its artefacts, one by one. Control plane.

Paths are those of a download: ``named-outputs/score/...`` and ``artifacts/...``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkscore.control.jobs.download import NOT_ARTIFACTS, find_output, is_artifact
from sparkscore.control.jobs.job import Job, refuse_pruned
from sparkscore.control.jobs.mirror import MirrorFiles
from sparkscore.control.jobs.output import reading_output
from sparkscore.control.listing_table import Table
from sparkscore.errors import NotFoundError, StateError
from sparkscore.listing.location import find_local_path
from sparkscore.storage import open_store

ARTIFACTS, OUTPUTS = "artifacts", "named-outputs"
_CHUNK_BYTES = 1024**2


@dataclass(frozen=True)
class JobFile:
    """One file of a job; ``place`` is where it lies, a path or a URI with its options."""

    path: str
    byte_count: int
    job: str
    place: str = field(repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rpartition("/")[2]

    def to_dict(self) -> dict[str, Any]:
        """Its path below a download, and its size."""
        return {"name": self.name, "path": self.path, "byte_count": self.byte_count}

    def iter_bytes(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` on, up to but not ``end``, in pieces."""
        left = (self.byte_count if end is None else end) - start
        with reading_output(self.place, job_name=self.job):
            filesystem, path = open_store(self.place, self.options)
            with filesystem.open(path, "rb") as stream:
                stream.seek(start)
                while left > 0 and (chunk := stream.read(min(_CHUNK_BYTES, left))):
                    left -= len(chunk)
                    yield chunk


def list_files(job: Job) -> Table[JobFile]:
    """All files by path; none of a table, nor of what was pruned.

    Of a job whose folder is gone those of its copy. Raises StorageError (MIRROR_NOT_READABLE,
    OUTPUT_NOT_READABLE).
    """
    found = [*_iter_artifacts(job), *_iter_outputs(job)]
    return Table(sorted(found, key=lambda file: file.path))


def find_file(job: Job, path: str) -> JobFile:
    """One file; raises NotFoundError (FILE_NOT_FOUND), StateError (JOB_PRUNED, OUTPUT_IS_TABLE)."""
    kind, _, below = path.partition("/")
    parts = below.split("/")
    found = None
    if not {"", ".", ".."} & set(parts) and "\0" not in below and "\\" not in below:
        if kind == ARTIFACTS:
            refuse_pruned(job)
            is_here = os.path.isdir(job.record.folder)
            found = _find_artifact(job, below) if is_here else _find_copied(job, below)
        elif kind == OUTPUTS and len(parts) > 1:
            found = _find_output_file(job, parts[0], below.partition("/")[2])
    if found is None:
        raise NotFoundError(
            f"job {job.name} has no file {path!r}: see the list of its files",
            condition="FILE_NOT_FOUND",
            job=job.name,
            path=path,
        )
    return found


def _iter_artifacts(job: Job) -> Iterator[JobFile]:
    root = Path(job.record.folder)
    if not root.is_dir():
        copied = MirrorFiles(job.workspace, job.record)
        for name, size in copied.list_names().items():
            if is_artifact(name):
                yield _make_copied(job, copied, name, size)
        return
    results = _find_results(job)
    for folder, folders, names in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in NOT_ARTIFACTS]
        folders[:] = [name for name in folders if os.path.join(folder, name) != results]
        for name in names:
            below = os.path.relpath(os.path.join(folder, name), root)
            found = _find_artifact(job, below)
            if found is not None:
                yield found


def _find_artifact(job: Job, below: str) -> JobFile | None:
    """A file in the job's folder, not behind a link and not for the job's own use."""
    root = os.path.realpath(job.record.folder)
    path = os.path.join(root, below)
    results = _find_results(job)
    is_own = not is_artifact(below)
    is_result = results is not None and f"{path}/".startswith(f"{results}/")
    if is_own or is_result or os.path.realpath(path) != path or not os.path.isfile(path):
        return None
    size = os.path.getsize(path)
    return JobFile(path=f"{ARTIFACTS}/{below}", byte_count=size, job=job.name, place=path)


def _find_copied(job: Job, below: str) -> JobFile | None:
    """A file in the copy of the job's folder, where that is gone."""
    copied = MirrorFiles(job.workspace, job.record)
    size = copied.find_size(below) if is_artifact(below) else None
    return None if size is None else _make_copied(job, copied, below, size)


def _make_copied(job: Job, copied: MirrorFiles, below: str, size: int) -> JobFile:
    place, options = copied.get_place(below)
    path = f"{ARTIFACTS}/{below}"
    return JobFile(path=path, byte_count=size, job=job.name, place=place, options=options)


def _find_results(job: Job) -> str | None:
    output = ((job.record.summary or {}).get("output") or {}).get("path")
    local = None if output is None else find_local_path(str(output))
    return None if local is None else os.path.realpath(local)


def _iter_outputs(job: Job) -> Iterator[JobFile]:
    for name in job.record.outputs:
        try:
            output = find_output(job, name)
        except StateError:
            continue
        if output is None:
            continue
        with reading_output(output["path"], job_name=job.name):
            filesystem, root = open_store(output["path"], output["options"])
            info = filesystem.info(root) if filesystem.exists(root) else {}
            # Not every store's find takes a file.
            is_file = info.get("type") == "file"
            found = {root: info} if is_file else filesystem.find(root, detail=True) if info else {}
        for path, info in found.items():
            below = str(path).removeprefix(root).strip("/")
            size = int(info.get("size") or 0)
            yield _make_output_file(job, name, output, below, size)


def _find_output_file(job: Job, name: str, below: str) -> JobFile | None:
    """A file of an output; one behind a link that leads out of a local folder is none."""
    output = find_output(job, name)
    if output is None:
        return None
    local = find_local_path(output["path"])
    with reading_output(output["path"], job_name=job.name):
        filesystem, root = open_store(output["path"], output["options"])
        if filesystem.isfile(root):
            is_it = root.rpartition("/")[2] == below
            size = int(filesystem.info(root).get("size") or 0)
            return _make_output_file(job, name, output, "", size) if is_it else None
        path = f"{root}/{below}"
        is_outside = local is not None and os.path.realpath(path) != os.path.join(
            os.path.realpath(root), below
        )
        if is_outside or not filesystem.isfile(path):
            return None
        size = int(filesystem.info(path).get("size") or 0)
    return _make_output_file(job, name, output, below, size)


def _make_output_file(
    job: Job, name: str, output: dict[str, Any], below: str, size: int
) -> JobFile:
    """``below`` is empty for an output that is one file."""
    root = str(output["path"]).rstrip("/")
    shown = below or root.rpartition("/")[2]
    return JobFile(
        path=f"{OUTPUTS}/{name}/{shown}",
        byte_count=size,
        job=job.name,
        place=f"{root}/{below}" if below else root,
        options=dict(output["options"]),
    )
