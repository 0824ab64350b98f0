"""A single output file appears whole, once, and never over another."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkscore.driver.publish import storage
from sparkscore.driver.publish.gate import OPEN_GATE, PublishGate
from sparkscore.driver.publish.single_file import publish_file
from sparkscore.driver.publish.storage import move_without_overwriting, storage_error
from sparkscore.errors import (
    AlreadyExistsError,
    InvalidScoringResultError,
    OutputNotWritableError,
    PublishError,
    StorageError,
)
from sparkscore.messages.launch import OutputMessage

MakeWave = Callable[..., list[Path]]
SCHEMA = pa.schema([("prediction", pa.int64())])


def publish(files: list[Path], target: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {"schema": SCHEMA, "expected_rows": 5, "job_name": "job"}
    settings["gate"] = OPEN_GATE
    output: dict[str, Any] = {"path": str(target.parent), "action": "append_row", "format": "csv"}
    output.update({key: changes.pop(key) for key in list(changes) if key not in settings})
    settings.update(changes)
    return publish_file(
        staged_files=files, output=OutputMessage(**output), target=target, **settings
    )


@pytest.fixture
def files(make_wave: MakeWave) -> list[Path]:
    return make_wave({0: [1, 2], 1: [3]}, {2: [4, 5]})


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_publish_file__csv_in_mini_batch_order(files: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "out" / "predictions.csv"
    found = publish(files, target)
    assert target.read_bytes() == b"prediction\n1\n2\n3\n4\n5\n"
    assert everything_in(tmp_path / "out") == {"predictions.csv"}
    assert (found.rows, found.files, found.bytes) == (5, 1, target.stat().st_size)
    assert found.to_summary()["path"] == str(target)


def test_publish_file__csv_without_header(make_wave: MakeWave, tmp_path: Path) -> None:
    files = make_wave({0: [{"a": 1, "b": "x y"}]})
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    target = tmp_path / "predictions.csv"
    publish(files, target, schema=schema, expected_rows=1, header=False, separator=" ")
    assert target.read_bytes() == b'1 "x y"\n'


def test_publish_file__jsonl(files: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "predictions.jsonl"
    publish(files, target, format="jsonl")
    lines = target.read_text().splitlines()
    assert [json.loads(line)["prediction"] for line in lines] == [1, 2, 3, 4, 5]


def test_publish_file__parquet(files: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "predictions.parquet"
    publish(files, target, format="parquet")
    metadata = pq.read_metadata(target)
    assert pq.read_table(target).to_pydict() == {"prediction": [1, 2, 3, 4, 5]}
    assert metadata.num_row_groups == 1


def test_publish_file__many_tiny_results_are_one_row_group(
    make_wave: MakeWave, tmp_path: Path
) -> None:
    files = make_wave({number: [number] for number in range(3000)})
    target = tmp_path / "predictions.parquet"
    publish(files, target, format="parquet", expected_rows=3000)
    assert pq.read_metadata(target).num_row_groups == 1
    assert pq.read_table(target).column("prediction").to_pylist() == list(range(3000))


def test_publish_file__results_are_cast(make_wave: MakeWave, tmp_path: Path) -> None:
    files = make_wave({0: [1], 1: [0.5], 2: [{"extra": "x", "prediction": None}]})
    schema = pa.schema([("prediction", pa.float64()), ("extra", pa.string())])
    target = tmp_path / "predictions.csv"
    publish(files, target, schema=schema, expected_rows=3)
    assert target.read_bytes() == b"prediction,extra\n1.0,\n0.5,\n,x\n"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_publish_file__same_results_give_the_same_bytes(
    make_wave: MakeWave, tmp_path: Path, kind: str
) -> None:
    first = make_wave({0: [1, 2]}, {1: [3]}, {2: [4, 5]}, number=0)
    second = make_wave({0: [1, 2], 1: [3]}, number=1) + make_wave({2: [4, 5]}, number=2)
    contents = set()
    for name, files in (("a", first), ("b", second)):
        target = tmp_path / name
        publish(files, target, format=kind)
        contents.add(target.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_publish_file__no_rows(make_wave: MakeWave, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "predictions"
    found = publish(make_wave({0: []}), target, format=kind, expected_rows=0)
    assert found.rows == 0
    if kind == "parquet":
        assert pq.read_table(target).schema == SCHEMA
    else:
        assert target.read_bytes() == (b"prediction\n" if kind == "csv" else b"")


@pytest.mark.parametrize("schema", [pa.schema([]), SCHEMA])
def test_publish_file__no_staged_files(tmp_path: Path, schema: pa.Schema) -> None:
    for kind in ("csv", "jsonl", "parquet"):
        publish([], tmp_path / kind, format=kind, expected_rows=0, schema=schema)
    assert everything_in(tmp_path) == {"csv", "jsonl", "parquet"}


@pytest.mark.parametrize("expected_rows", [4, 6])
def test_publish_file__wrong_row_count_leaves_nothing(
    files: list[Path], tmp_path: Path, expected_rows: int
) -> None:
    with pytest.raises(PublishError) as caught:
        publish(files, tmp_path / "new" / "out" / "x.csv", expected_rows=expected_rows)
    assert caught.value.condition == "ROW_COUNT_MISMATCH"
    assert caught.value.attributes == {"rows": 5, "expected_rows": expected_rows}
    assert not (tmp_path / "new").exists()


def test_publish_file__failure_keeps_other_files_of_the_folder(
    files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.csv").write_text("other")
    with pytest.raises(InvalidScoringResultError):
        publish(files, tmp_path / "out" / "x.csv", schema=pa.schema([("y", pa.int64())]))
    assert everything_in(tmp_path / "out") == {"other.csv"}


def test_publish_file__damaged_staging_leaves_nothing(files: list[Path], tmp_path: Path) -> None:
    os.truncate(files[0], files[0].stat().st_size - 100)
    with pytest.raises(PublishError) as caught:
        publish(files, tmp_path / "out" / "x.csv")
    assert caught.value.condition == "STAGING_DAMAGED"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_publish_file__target_exists(files: list[Path], tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out" / "x.csv"
    target.parent.mkdir()
    if kind == "file":
        target.write_text("before")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExistsError) as caught:
        publish(files, target)
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert everything_in(tmp_path / "out") == {"x.csv"}
    assert kind != "file" or target.read_text() == "before"


def test_publish_file__target_made_meanwhile_is_not_overwritten(
    files: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "out" / "x.csv"

    def files_then_another_job() -> Iterator[Path]:
        yield from files
        target.write_text("another job")

    with pytest.raises(AlreadyExistsError) as caught:
        publish_file(
            staged_files=files_then_another_job(),
            schema=SCHEMA,
            output=OutputMessage(str(target.parent), "append_row", "csv"),
            target=target,
            expected_rows=5,
            job_name="job",
        )
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert target.read_text() == "another job"
    assert everything_in(target.parent) == {"x.csv"}


def test_publish_file__rest_of_a_killed_publish_is_replaced(
    files: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "x.csv"
    for token in (1, 2, 3, 10):
        (tmp_path / f".x.csv.job.{token}.tmp").write_text("half")
    publish(files, target, gate=PublishGate(token=2))
    assert target.read_bytes().startswith(b"prediction\n1\n")
    left = {path.name for path in tmp_path.glob(".x.csv.*")}
    assert left == {".x.csv.job.3.tmp", ".x.csv.job.10.tmp"}, "they are a successor's"


def test_publish_file__file_in_the_way_of_the_folder(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputNotWritableError) as caught:
        publish(files, tmp_path / "out" / "x.csv")
    assert caught.value.condition == "OUTPUT_NOT_WRITABLE"


# Real full and read-only file systems, in a mount namespace of their own

IN_NAMESPACE = """
import json, subprocess, sys
from pathlib import Path
import pyarrow as pa
from sparkscore.driver.publish.single_file import publish_file
from sparkscore.errors import SparkscoreError
from sparkscore.messages.launch import OutputMessage
mount, options, file, rows = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", mount], check=True)
try:
    publish_file(
        staged_files=[Path(file)], schema=pa.schema([("prediction", pa.string())]),
        output=OutputMessage(mount, "append_row", "csv"), target=Path(mount, "out", "x.csv"),
        expected_rows=int(rows), job_name="job",
    )
except SparkscoreError as error:
    print(json.dumps([type(error).__name__, error.condition, len(list(Path(mount).rglob("*")))]))
"""


def publish_on(mount: Path, options: str, file: Path, rows: int) -> list[Any]:
    mount.mkdir()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", IN_NAMESPACE,
         str(mount), options, str(file), str(rows)],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_publish_file__no_space_left(make_wave: MakeWave, tmp_path: Path) -> None:
    (file,) = make_wave({0: ["x" * 1000] * 3000})
    found = publish_on(tmp_path / "small", "size=1m", file, 3000)
    assert found == ["StorageError", "NO_SPACE_LEFT", 0]


def test_publish_file__read_only_output(make_wave: MakeWave, tmp_path: Path) -> None:
    (file,) = make_wave({0: ["x"]})
    found = publish_on(tmp_path / "fixed", "ro", file, 1)
    assert found == ["OutputNotWritableError", "OUTPUT_NOT_WRITABLE", 0]


@pytest.mark.parametrize(
    ("code", "kind", "condition"),
    [
        (errno.ENOSPC, StorageError, "NO_SPACE_LEFT"),
        (errno.EDQUOT, StorageError, "NO_SPACE_LEFT"),
        (errno.EACCES, OutputNotWritableError, "OUTPUT_NOT_WRITABLE"),
        (errno.EROFS, OutputNotWritableError, "OUTPUT_NOT_WRITABLE"),
        (errno.EIO, StorageError, "STORAGE_FAILED"),
        (errno.ESTALE, StorageError, "STORAGE_FAILED"),
    ],
)
def test_storage_error__by_number(code: int, kind: type, condition: str) -> None:
    found = storage_error(OSError(code, os.strerror(code)), Path("out.csv"))
    assert type(found) is kind
    assert found.condition == condition
    assert "out.csv" in found.message


# Final names where hard links or renameat2 do not work


def no_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "no hard links here")


def no_exclusive_rename(*_: object) -> bool:
    return False


@pytest.mark.parametrize("way", ["link", "renameat2", "placeholder"])
def test_move_without_overwriting__each_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way != "link":
        monkeypatch.setattr(os, "link", no_links)
    if way == "placeholder":
        monkeypatch.setattr(storage, "_rename_exclusively", no_exclusive_rename)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    move_without_overwriting(source, target)
    assert target.read_text() == "new"
    assert not source.exists()
    source.write_text("newer")
    with pytest.raises(FileExistsError):
        move_without_overwriting(source, target)
    assert (source.read_text(), target.read_text()) == ("newer", "new")


def test_publish_file__csv_reads_back_whole(make_wave: MakeWave, tmp_path: Path) -> None:
    texts = [f'text "{number}",\nnext' for number in range(1000)]
    files = make_wave({0: texts[:600], 1: texts[600:]}, part_bytes=2000)
    target = tmp_path / "x.csv"
    schema = pa.schema([("prediction", pa.string())])
    publish(files, target, schema=schema, expected_rows=1000)
    with target.open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["prediction", *texts]


def test_publish_file__staging_is_gone(files: list[Path]) -> None:
    shutil.rmtree(files[0].parent)
    with pytest.raises(PublishError) as caught:
        publish(files, files[0].parent.parent / "x.csv")
    assert caught.value.condition == "STAGING_DAMAGED"
