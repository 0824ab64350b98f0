"""Outputs in a store: made locally as any other, then uploaded. Spark driver.

A single file appears whole with its one put. A folder is uploaded file by file and taken back if
that fails; of a Delta table the log comes last, so that the table appears with its commit.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from sparkscore.driver.background import Background
from sparkscore.driver.publish.delta_target import job_of
from sparkscore.driver.publish.gate import OPEN_GATE, PublishGate, describe, get_output
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.errors import StorageError
from sparkscore.messages.launch import OutputMessage
from sparkscore.storage import (
    check_writable_store,
    describe_error,
    join_uri,
    open_store,
    put_new_file,
    remove_below,
    upload_new_folder,
)

_READ_BYTES = 1024 * 1024
FIRST_COMMIT = "_delta_log/00000000000000000000.json"
"""What makes a folder a Delta table."""

Found = TypeVar("Found")
PublishLocally = Callable[[OutputMessage], PublishedOutput]


def publish_in_store(
    output: OutputMessage,
    *,
    job_name: str,
    scratch: Path,
    publish_locally: PublishLocally,
    gate: PublishGate = OPEN_GATE,
) -> PublishedOutput:
    """Publish to the URI ``output.path``; ``publish_locally`` writes the same below ``scratch``.

    What this job has published there is told of again: a Delta table is known by its commit, a
    file by its content. A folder whose upload was killed is uploaded again. Raises
    AlreadyExistsError (OUTPUT_EXISTS), OutputNotWritableError, StorageError, or what
    ``publish_locally`` raises.
    """
    is_folder = output.action == "summary_only"
    is_table = not is_folder and output.format == "delta"
    uri = output.path if is_folder else join_uri(output.path, output.file_name)
    if is_table:
        published = _wait(lambda: find_committed(uri, output, job_name=job_name), gate)
    else:
        published = _wait(lambda: _find_uploaded(uri, output, gate), gate)
    if published is not None:
        return published
    if is_folder or is_table:
        _remove_partial(uri, output, gate)
        _wait(lambda: check_writable_store(uri, output.options), gate)
    else:
        name = output.file_name
        _wait(lambda: check_writable_store(output.path, output.options, name=name), gate)
    building = scratch / "output"
    shutil.rmtree(building, ignore_errors=True)
    try:
        local = publish_locally(replace(output, path=str(building), options={}))
        placed = replace(local, path=uri)
        _upload(Path(local.path), placed, output, gate)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return placed


def _wait(look: Callable[[], Found], gate: PublishGate) -> Found:
    """What ``look`` finds in a store that may not answer; raises what the gate's check raises."""
    return Background(look, name="store").get(gate.check)


def _find_uploaded(uri: str, output: OutputMessage, gate: PublishGate) -> PublishedOutput | None:
    """What this job announced for ``uri``, if it has arrived there whole."""
    announced = gate.find_announced(uri)
    if announced is None or announced.kind != "upload":
        return None
    store, path = open_store(uri, output.options)
    try:
        if announced.names:
            is_whole = _find_names(store, path) == set(announced.names)
        else:
            is_whole = _measure(store, path) == (announced.size_bytes, announced.crc32)
    except FileNotFoundError:
        return None
    return get_output(announced) if is_whole else None


def _remove_partial(uri: str, output: OutputMessage, gate: PublishGate) -> None:
    """Remove what a killed upload of this job left, if nothing else is there."""
    announced = gate.find_announced(uri)
    if announced is not None and announced.kind == "upload":
        store, path = open_store(uri, output.options)
        found = _find_names(store, path)
        if found and found <= set(announced.names):
            remove_below(store, path)


def _find_names(store: Any, path: str) -> set[str]:
    store.invalidate_cache()
    folder = f"{path.strip('/')}/"
    try:
        return {name.strip("/").removeprefix(folder) for name in store.find(path)}
    except FileNotFoundError:
        return set()


def _measure(store: Any, path: str) -> tuple[int, int]:
    size_bytes = checksum = 0
    store.invalidate_cache()
    with store.open(path, "rb") as content:
        while chunk := content.read(_READ_BYTES):
            size_bytes += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
    return size_bytes, checksum


def find_committed(uri: str, output: OutputMessage, *, job_name: str) -> PublishedOutput | None:
    """What this job has committed as the first version of the Delta table ``uri``."""
    store, path = open_store(uri, output.options)
    try:
        lines = store.cat_file(f"{path.rstrip('/')}/{FIRST_COMMIT}").decode("utf-8").splitlines()
    except FileNotFoundError:
        return None
    except Exception as error:
        raise StorageError(
            f"the output {uri} cannot be looked at ({describe_error(error)}): nothing was "
            "published; run the job again",
            condition="STORAGE_FAILED",
            path=uri,
        ) from None  # the cause's text may hold credentials
    commit = _find_commit_info(lines)
    metrics = commit.get("operationMetrics", {})
    if job_of(commit.get("userMetadata")) != job_name:
        return None
    return PublishedOutput(
        path=uri,
        format="delta",
        rows=int(metrics.get("numOutputRows", -1)),
        files=int(metrics.get("numFiles", -1)),
        bytes=int(metrics.get("numOutputBytes", -1)),
        version=0,
    )


def _find_commit_info(lines: list[str]) -> dict[str, Any]:
    for line in lines:
        action = json.loads(line)
        if "commitInfo" in action:
            return dict(action["commitInfo"])
    return {}


def _upload(local: Path, placed: PublishedOutput, output: OutputMessage, gate: PublishGate) -> None:
    uri = placed.path
    if local.is_file():
        size_bytes, crc32 = _wait(lambda: _measure(fsspec.filesystem("file"), str(local)), gate)
        announced = describe(placed, kind="upload", crc32=crc32)
        gate.announce(replace(announced, size_bytes=size_bytes))
        put_new_file(str(local), uri, output.options, check=gate.check, confirm=gate.confirm)
        return
    names = sorted(
        path.relative_to(local).as_posix()
        for path in local.rglob("*")
        if path.is_file() and not _is_checksum(path)
    )
    last = [name for name in names if output.format == "delta" and _is_commit(name)]
    first = [name for name in names if name not in set(last)]
    gate.announce(describe(placed, kind="upload", names=tuple(names)))
    upload_new_folder(
        str(local),
        uri,
        output.options,
        names=first,
        last=last,
        check=gate.check,
        confirm=gate.confirm,
    )


def _is_commit(name: str) -> bool:
    return name.startswith("_delta_log/") and name.endswith(".json")


def _is_checksum(path: Path) -> bool:
    """What Hadoop's local file system writes beside each file."""
    return path.name.startswith(".") and path.name.endswith(".crc")
