"""The immutable plan of a job: which file belongs to which mini-batch. Any process.

Written once into the job folder (``plan/files.parquet``, then ``plan/plan.json``, which commits
it); a resumed job reads it and never lists again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sparkscore.errors import (
    AlreadyExistsError,
    EmptyInputError,
    InvalidFieldError,
    MessageError,
    NotFoundError,
    StorageError,
)
from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.mini_batch import DIRECT, FETCH, MiniBatch

FILES_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
    ]
)

FILES_NAME = "plan/files.parquet"
HEADER_NAME = "plan/plan.json"

_MIN_FIRST_WAVE_COUNT = 8
_ROW_GROUP_FILE_COUNT = 65_536
_BLOCK_FILE_COUNT = 65_536


@dataclass(frozen=True)
class ScoringPlan:
    """All mini-batches of a job; mini-batch ``k`` is ``files[k * size : (k + 1) * size]``.

    ``files`` has the columns path (relative to ``root``), size and etag. ``transport`` is direct
    (workers open files below ``root``) or fetch (they copy them first). The first
    ``first_wave_count`` mini-batches are the first wave: the output schema is pinned from them.
    ``digest`` identifies files and mini-batches.
    """

    files: pa.Table = field(repr=False)
    mini_batch_size: int
    root: str
    transport: str
    first_wave_count: int
    digest: str
    skipped_hidden_count: int = 0
    skipped_filtered_count: int = 0

    @property
    def input_count(self) -> int:
        """How many files there are."""
        return int(self.files.num_rows)

    @property
    def mini_batch_count(self) -> int:
        """How many mini-batches there are; ids count from 0."""
        return -(-self.input_count // self.mini_batch_size)

    @cached_property
    def input_bytes(self) -> int:
        """The size of all files together."""
        return int(self._sizes.sum())

    @cached_property
    def cumulative_weights(self) -> npt.NDArray[np.float64]:
        """Weight of all mini-batches before each id; one entry more than there are mini-batches.

        A mini-batch weighs 0.5 for being one and 0.5 for its bytes relative to the mean, so the
        mean weight is 1.
        """
        count = self.mini_batch_count
        weights = np.ones(count)
        if self.input_bytes > 0:
            starts = np.arange(0, self.input_count, self.mini_batch_size)
            mini_batch_bytes = np.add.reduceat(self._sizes, starts)
            weights = 0.5 + 0.5 * mini_batch_bytes * (count / self.input_bytes)
        return np.concatenate(([0.0], np.cumsum(weights)))

    def get_files(self, mini_batch_ids: range) -> pa.Table:
        """The rows of ``files`` that these consecutive mini-batches hold, without a copy."""
        if not 0 <= mini_batch_ids.start <= mini_batch_ids.stop <= self.mini_batch_count:
            raise IndexError(f"{mini_batch_ids} is not within {self.mini_batch_count} mini-batches")
        start = mini_batch_ids.start * self.mini_batch_size
        stop = mini_batch_ids.stop * self.mini_batch_size
        return self.files.slice(start, stop - start)

    def get_mini_batch(self, mini_batch_id: int) -> MiniBatch:
        """The mini-batch with this id."""
        return next(self.iter_mini_batches(range(mini_batch_id, mini_batch_id + 1)))

    def iter_mini_batches(self, mini_batch_ids: range | None = None) -> Iterator[MiniBatch]:
        """Mini-batches of consecutive ids (all of them by default), in order of their ids."""
        ids = range(self.mini_batch_count) if mini_batch_ids is None else mini_batch_ids
        size = self.mini_batch_size
        step = max(1, _BLOCK_FILE_COUNT // size)
        for block_start in range(ids.start, ids.stop, step):
            block = range(block_start, min(block_start + step, ids.stop))
            files = self.get_files(block)
            paths, etags = files["path"].to_pylist(), files["etag"].to_pylist()
            for index, mini_batch_id in enumerate(block):
                rows = slice(index * size, (index + 1) * size)
                yield MiniBatch(mini_batch_id, tuple(paths[rows]), tuple(etags[rows]))

    @cached_property
    def _sizes(self) -> npt.NDArray[np.int64]:
        sizes: npt.NDArray[np.int64] = self.files["size"].to_numpy()
        return sizes


def plan_scoring(
    files: pa.Table,
    *,
    mini_batch_size: int,
    root: str,
    transport: str,
    slots: int,
    skipped_hidden_count: int = 0,
    skipped_filtered_count: int = 0,
) -> ScoringPlan:
    """The plan for ``files`` (columns path, size, etag), which must be in path order.

    ``slots`` is how many mini-batches can be scored at the same time when the job starts; the
    plan keeps nothing of it but the size of the first wave.
    """
    if mini_batch_size < 1:
        raise InvalidFieldError(
            f"mini_batch_size is {mini_batch_size}: it must be at least 1", field="mini_batch_size"
        )
    if files.num_rows == 0:
        raise EmptyInputError(f"input {root} holds no files: nothing to score", uri=root)
    files = files.select(FILES_SCHEMA.names).cast(FILES_SCHEMA)
    mini_batch_count = -(-files.num_rows // mini_batch_size)
    return ScoringPlan(
        files=files,
        mini_batch_size=mini_batch_size,
        root=root,
        transport=transport,
        first_wave_count=min(mini_batch_count, max(_MIN_FIRST_WAVE_COUNT, slots)),
        digest=compute_digest(files, mini_batch_size=mini_batch_size),
        skipped_hidden_count=skipped_hidden_count,
        skipped_filtered_count=skipped_filtered_count,
    )


def compute_digest(files: pa.Table, *, mini_batch_size: int) -> str:
    """SHA-256 over paths, sizes, etags and mini-batch size, however ``files`` is chunked."""
    parts: list[str | int] = [mini_batch_size, files.num_rows]
    for name in ("path", "etag"):
        lengths, text = hashlib.sha256(), hashlib.sha256()
        for chunk in _iter_chunks(files[name]):
            lengths.update(pc.binary_length(chunk).to_numpy().astype("<i4").tobytes())
            text.update("".join(chunk.to_pylist()).encode())
        parts += [lengths.hexdigest(), text.hexdigest()]
    sizes = hashlib.sha256()
    for chunk in _iter_chunks(files["size"]):
        sizes.update(chunk.to_numpy().astype("<i8").tobytes())
    return hashlib.sha256(json.dumps([*parts, sizes.hexdigest()]).encode()).hexdigest()


def _iter_chunks(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    for chunk in column.chunks:
        for start in range(0, len(chunk), _BLOCK_FILE_COUNT):
            yield chunk.slice(start, _BLOCK_FILE_COUNT)


@dataclass(frozen=True)
class PlanHeader:
    """``plan.json``: all of a plan but its files. It is written last and so commits the plan."""

    root: str
    transport: str
    mini_batch_size: int
    mini_batch_count: int
    first_wave_count: int
    input_count: int
    input_bytes: int
    skipped_hidden_count: int
    digest: str
    skipped_filtered_count: int = 0

    def find_problem(self) -> str | None:
        """What no planner writes; sizes and files are covered by the digest."""
        if self.transport not in (DIRECT, FETCH):
            return f"has transport {self.transport!r}, which there is not"
        is_within = 1 <= self.first_wave_count <= self.mini_batch_count
        return None if is_within else "has a first wave that is no part of the plan"


def write_plan(plan: ScoringPlan, job_folder: str) -> None:
    """Writes ``plan`` into ``job_folder`` (a local path or fsspec URI), where none may be yet.

    Raises AlreadyExistsError (PLAN_EXISTS) or StorageError.
    """
    header = PlanHeader(
        root=plan.root,
        transport=plan.transport,
        mini_batch_size=plan.mini_batch_size,
        mini_batch_count=plan.mini_batch_count,
        first_wave_count=plan.first_wave_count,
        input_count=plan.input_count,
        input_bytes=plan.input_bytes,
        skipped_hidden_count=plan.skipped_hidden_count,
        skipped_filtered_count=plan.skipped_filtered_count,
        digest=plan.digest,
    )
    if _find_content(job_folder, HEADER_NAME) is not None:
        raise AlreadyExistsError(
            f"{job_folder} holds a plan already: a job needs a folder of its own, choose another",
            condition="PLAN_EXISTS",
            job_folder=job_folder,
        )
    files = io.BytesIO()
    pq.write_table(
        plan.files,
        files,
        compression="zstd",
        use_dictionary=False,
        row_group_size=_ROW_GROUP_FILE_COUNT,
    )
    _write_content(job_folder, FILES_NAME, files.getbuffer())
    _write_content(job_folder, HEADER_NAME, to_json(header, indent=2).encode())


def read_plan(job_folder: str) -> ScoringPlan:
    """The plan in ``job_folder``.

    Raises NotFoundError (PLAN_NOT_FOUND) if none was committed there, MessageError if what is
    there is not as it was written.
    """
    header = read_plan_header(job_folder)
    return ScoringPlan(
        files=_read_files(job_folder, header),
        mini_batch_size=header.mini_batch_size,
        root=header.root,
        transport=header.transport,
        first_wave_count=header.first_wave_count,
        digest=header.digest,
        skipped_hidden_count=header.skipped_hidden_count,
        skipped_filtered_count=header.skipped_filtered_count,
    )


def read_plan_header(job_folder: str) -> PlanHeader:
    """All of the plan in ``job_folder`` but its files; raises what ``read_plan`` raises."""
    content = _find_content(job_folder, HEADER_NAME)
    if content is None:
        raise NotFoundError(
            f"{job_folder} holds no plan: the job ended before it was planned; run it again",
            condition="PLAN_NOT_FOUND",
            job_folder=job_folder,
        )
    return from_json(PlanHeader, content, where=f"{job_folder}/{HEADER_NAME}")


def _read_files(job_folder: str, header: PlanHeader) -> pa.Table:
    where = f"{job_folder}/{FILES_NAME}"
    content = _find_content(job_folder, FILES_NAME)
    if content is None:
        raise MessageError(f"{where} is gone: the plan is damaged; run the job anew", where=where)
    try:
        files = pq.read_table(pa.BufferReader(content)).cast(FILES_SCHEMA)
        digest = compute_digest(files, mini_batch_size=header.mini_batch_size)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise MessageError(
            f"{where} is damaged ({error}); run the job anew", where=where
        ) from error
    if digest != header.digest:
        raise MessageError(
            f"{where} does not belong to {HEADER_NAME} beside it: one of them was changed; run "
            "the job anew",
            where=where,
        )
    return files


def _find_content(folder: str, name: str) -> bytes | None:
    path = f"{folder.rstrip('/')}/{name}"
    try:
        if _is_local(folder):
            return Path(path).read_bytes()
        with fsspec.open(path, "rb") as file:
            return bytes(file.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}", path=path) from error


def _write_content(folder: str, name: str, content: bytes | memoryview) -> None:
    """All or nothing: stores show whole objects only, a local file is renamed into place."""
    path = f"{folder.rstrip('/')}/{name}"
    try:
        if _is_local(folder):
            _write_local(Path(path), content)
        else:
            with fsspec.open(path, "wb", auto_mkdir=True) as file:
                file.write(content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}", path=path) from error


def _write_local(path: Path, content: bytes | memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _is_local(folder: str) -> bool:
    return "://" not in folder
