"""A look at what a job left without reading all of it. Control plane; pyarrow in functions."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sparkscore.control.jobs.files import JobFile
from sparkscore.control.jobs.images import find_image_type
from sparkscore.control.jobs.job import Job
from sparkscore.control.jobs.output import reading_output
from sparkscore.control.jobs.tables import (
    FirstRows,
    read_csv_rows,
    read_json_rows,
    read_parquet_rows,
    read_text,
)
from sparkscore.errors import NotFoundError, StateError
from sparkscore.storage import open_store

ROW_COUNT = 20
LINE_COUNT = 200

_TEXT_BYTES = 256 * 1024
_FIRST_COMMIT = "_delta_log/00000000000000000000.json"
_TABLE_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
_HEAD_BYTES = 512


@dataclass(frozen=True)
class FilePreview:
    """What can be shown of a file. ``kind``: table, text, image, or none for anything else.

    ``rows`` is there for a table, ``text`` for a text, its first LINE_COUNT lines.
    """

    kind: str
    rows: FirstRows | None = None
    text: str = ""
    has_more: bool = False


def preview_file(file: JobFile, *, count: int = ROW_COUNT) -> FilePreview:
    """The first rows of a CSV, JSON lines or Parquet file, else the first lines of a text.

    Raises NotFoundError (OUTPUT_NOT_FOUND) or StorageError (OUTPUT_NOT_READABLE).
    """
    with reading_output(file.place, job_name=file.job):
        filesystem, path = open_store(file.place, file.options)

        def opener() -> Any:
            return filesystem.open(path, "rb")

        with opener() as stream:
            head = stream.read(_HEAD_BYTES)
        if find_image_type(head) is not None:
            return FilePreview("image")
        name = file.name.lower()
        for suffix, kind in _TABLE_SUFFIXES.items():
            rows = _find_rows(kind, opener, count) if name.endswith(suffix) else None
            if rows is not None:
                return FilePreview("table", rows=rows, has_more=rows.has_more)
        if b"\0" in head:
            return FilePreview("none")
        text, is_cut = read_text(opener, most_bytes=_TEXT_BYTES)
    lines = text.splitlines(keepends=True)
    shown = "".join(lines[:LINE_COUNT])
    return FilePreview("text", text=shown, has_more=is_cut or len(lines) > LINE_COUNT)


def _find_rows(kind: str, opener: Any, count: int) -> FirstRows | None:
    """None if the file is not what its name says."""
    import pyarrow as pa

    try:
        if kind == "parquet":
            return read_parquet_rows(opener, count=count)
        reader = read_csv_rows if kind == "csv" else read_json_rows
        return reader(opener, count=count)
    except (pa.ArrowException, csv.Error):
        return None


def read_first_rows(job: Job, *, count: int = ROW_COUNT) -> FirstRows | None:
    """The first rows of the job's output; None if it published none, or files of a script.

    Raises StateError (SESSION_NEEDED) for a table of a catalog and for a later version of a Delta
    table, NotFoundError (OUTPUT_NOT_FOUND) or StorageError (OUTPUT_NOT_READABLE).
    """
    output = (job.record.summary or {}).get("output") or {}
    kind = output.get("format")
    if kind not in ("csv", "jsonl", "parquet", "delta"):
        return None
    _refuse_versions(job, output)
    options = next(iter(job.record.outputs.values()), {}).get("options") or {}
    place = str(output["path"])
    with reading_output(place, job_name=job.name):
        filesystem, path = open_store(place, options)
        if kind == "delta":
            found = _find_delta_file(filesystem, path)
            return FirstRows((), ()) if found is None else _read_parquet(filesystem, found, count)
        if kind == "parquet":
            return _read_parquet(filesystem, path, count)

        def opener() -> Any:
            return filesystem.open(path, "rb")

        if kind == "jsonl":
            return read_json_rows(opener, count=count)
        settings = job.record.deployment.get("settings", {})
        return read_csv_rows(
            opener,
            count=count,
            separator=str(settings.get("output_separator", ",")),
            has_header=bool(settings.get("output_header", True)),
        )


def _refuse_versions(job: Job, output: dict[str, Any]) -> None:
    table, version = output.get("table"), output.get("version")
    if table is None and (output["format"] != "delta" or version == 0):
        return
    raise StateError(
        f"the results of job {job.name} are version {version} of the table "
        f"{table or output['path']}: reading that needs a Spark session with Delta, "
        "job.results(spark)",
        condition="SESSION_NEEDED",
        job=job.name,
    )


def _read_parquet(filesystem: Any, path: str, count: int) -> FirstRows:
    """Of a file, or of the first file in a folder."""
    if filesystem.isdir(path):
        names = sorted(name for name in filesystem.find(path) if str(name).endswith(".parquet"))
        if not names:
            raise NotFoundError(
                f"{path} holds no Parquet file", condition="OUTPUT_NOT_FOUND", path=path
            )
        path = str(names[0])
    return read_parquet_rows(lambda: filesystem.open(path, "rb"), count=count)


def _find_delta_file(filesystem: Any, path: str) -> str | None:
    """The first file that the first commit of a table added; ValueError for one elsewhere."""
    with filesystem.open(f"{path}/{_FIRST_COMMIT}", "rb") as log:
        for line in log:
            action = json.loads(line) if line.strip() else {}
            if "add" in action:
                below = unquote(action["add"]["path"])
                if {"", ".", ".."} & set(below.split("/")):
                    raise ValueError(f"{below} is not below the table")
                return f"{path}/{below}"
    return None
