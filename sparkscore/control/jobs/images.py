"""Images among a job's inputs, to be shown beside its results. Control plane; pyarrow in functions.

Only files that the job's plan lists are read, and only what begins as an image does is given out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.jobs.job import Job, refuse_pruned
from sparkscore.control.jobs.tables import FirstRows
from sparkscore.control.resume import read_job_launch
from sparkscore.errors import NotFoundError, SparkscoreError
from sparkscore.listing.location import find_local_path, not_readable
from sparkscore.storage import child_path, open_store

if TYPE_CHECKING:
    import pyarrow as pa

MOST_IMAGE_BYTES = 10 * 1024**2

_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
_SEARCHED_COUNT = 20_000
"""How many of the first inputs are looked through for the names in a column of results."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True)
class InputImages:
    """The input image of each shown row, as the plan names it; ``column`` held the names."""

    column: str
    paths: tuple[str | None, ...]


def find_image_type(head: bytes) -> str | None:
    """The media type of an image by its first bytes; None for what browsers do not show."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    # Texts begin with BM too, but hold no NUL.
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    return next((kind for start, kind in _SIGNATURES if head.startswith(start)), None)


def find_input_images(job: Job, rows: FirstRows) -> InputImages | None:
    """Which input image each row belongs to; None unless a column names inputs that are images.

    A value is the path of an input, its end, or its file name.
    """
    columns = [
        (column, [row[index] for row in rows.rows]) for index, column in enumerate(rows.columns)
    ]
    named = [(column, values) for column, values in columns if any(map(_is_image_name, values))]
    plan = _find_plan(job) if named else None
    if plan is None:
        return None
    for column, values in named:
        paths = _match(plan.first_paths, values, root=plan.root)
        if any(path is not None for path in paths):
            return InputImages(column, tuple(paths))
    return None


def read_input_image(job: Job, path: str) -> tuple[bytes, str]:
    """An input image and its media type; ``path`` as the plan of the job has it.

    Raises NotFoundError (INPUT_NOT_FOUND) for what is no input of the job, is gone, is no image or
    is larger than MOST_IMAGE_BYTES, StateError (JOB_PRUNED), PlanError (INPUT_NOT_READABLE).
    """
    refuse_pruned(job)
    plan = _find_plan(job)
    if plan is None or not plan.lists(path):
        raise _no_image(job, path)
    content = _read(job, plan.root, path)
    kind = find_image_type(content[:16])
    if kind is None or len(content) > MOST_IMAGE_BYTES:
        raise _no_image(job, path)
    return content, kind


def _read(job: Job, root: str, path: str) -> bytes:
    options = read_job_launch(Path(job.record.folder)).input.options
    uri = f"{root.rstrip('/')}/{path}"
    try:
        local = find_local_path(root)
        if local is not None:
            with open(os.path.join(local, path), "rb") as stream:
                return stream.read(MOST_IMAGE_BYTES + 1)
        filesystem, folder = open_store(root, options)
        with filesystem.open(child_path(filesystem, folder, path), "rb") as stream:
            return bytes(stream.read(MOST_IMAGE_BYTES + 1))
    except FileNotFoundError as error:
        raise _no_image(job, path) from error
    except SparkscoreError:
        raise
    except Exception as error:
        raise not_readable(uri, error, path=path) from error


def _no_image(job: Job, path: str) -> NotFoundError:
    return NotFoundError(
        f"job {job.name} has no input {path!r} that can be shown as an image",
        condition="INPUT_NOT_FOUND",
        job=job.name,
        path=path,
    )


@dataclass(frozen=True)
class _Plan:
    """The root of a job's inputs, the first paths below it, and the file with all of them."""

    root: str
    first_paths: tuple[str, ...]
    file: str

    def lists(self, path: str) -> bool:
        """Whether it is a path of an input; only one that is not among the first takes long."""
        import pyarrow.compute as pc

        return path in self.first_paths or any(
            pc.any(pc.equal(paths, path)).as_py() for paths in _iter_paths(self.file)
        )


def _find_plan(job: Job) -> _Plan | None:
    """The plan of the job's inputs; None without one on this machine."""
    from sparkscore.plan.scoring_plan import FILES_NAME, read_plan_header

    try:
        refuse_pruned(job)
        root = read_plan_header(job.record.folder).root
        file = Path(job.record.folder, FILES_NAME)
        return _Plan(root, _read_first_paths(str(file), file.stat().st_mtime_ns), str(file))
    except (SparkscoreError, OSError, ValueError):
        return None


@lru_cache(maxsize=2)
def _read_first_paths(file: str, written_at: int) -> tuple[str, ...]:  # noqa: ARG001 - for the cache
    """The first paths of a plan; a page asks for many images of one job."""
    found: list[str] = []
    for paths in _iter_paths(file):
        found.extend(paths.to_pylist())
        if len(found) >= _SEARCHED_COUNT:
            break
    return tuple(found[:_SEARCHED_COUNT])


def _iter_paths(file: str) -> Iterator[pa.Array]:
    """The column of paths piece by piece: a plan may list more than memory holds."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as plan:
        for batch in plan.iter_batches(_SEARCHED_COUNT, columns=["path"], use_threads=False):
            yield batch.column("path")


def _is_image_name(value: str | None) -> bool:
    return value is not None and value.lower().endswith(_SUFFIXES)


def _match(first: Sequence[str], values: Sequence[str | None], *, root: str) -> list[str | None]:
    """The planned path of each value; a file name that several inputs have is none."""
    images = [path for path in first if _is_image_name(path)]
    names: dict[str, str | None] = {}
    for path in images:
        name = path.rpartition("/")[2]
        names[name] = None if name in names else path
    known = {**names, **{path: path for path in images}}
    start = f"{root.rstrip('/')}/"
    return [None if value is None else known.get(value.removeprefix(start)) for value in values]
