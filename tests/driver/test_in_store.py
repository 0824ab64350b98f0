"""Outputs in a store: single files and folders, made locally and uploaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkscore.driver.publish.gate import OPEN_GATE, PublishGate
from sparkscore.driver.publish.in_store import find_committed, publish_in_store
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.errors import AlreadyExistsError, OutputNotWritableError, PublishError
from sparkscore.messages.launch import OutputMessage

CSV = OutputMessage("memory://out/run", "append_row", "csv", "predictions.csv")
FILES = OutputMessage("memory://out/run", "summary_only", "csv", "predictions.csv")
TABLE = OutputMessage("memory://out/run", "append_row", "delta", "table")
LOG = "_delta_log/00000000000000000000.json"


def writer(files: dict[str, str], *, is_single: bool = False) -> Callable[..., PublishedOutput]:
    """Publishes these files locally, as the functions of a form do."""

    def write(output: OutputMessage) -> PublishedOutput:
        is_named = output.action == "append_row"
        target = Path(output.path, output.file_name if is_named else "")
        for name, text in files.items():
            path = target if is_single else target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return PublishedOutput(str(target), output.format, rows=1, files=len(files), bytes=1)

    return write


def publish(
    output: OutputMessage,
    tmp_path: Path,
    files: dict[str, str],
    gate: PublishGate = OPEN_GATE,
) -> PublishedOutput:
    return publish_in_store(
        output,
        job_name="job",
        scratch=tmp_path / "scratch",
        publish_locally=writer(files, is_single=output is CSV),
        gate=gate,
    )


def content(store: Any) -> dict[str, str]:
    return {name: file.getvalue().decode() for name, file in store.store.items()}


def test_publish__single_file(store: Any, tmp_path: Path) -> None:
    found = publish(CSV, tmp_path, {"predictions.csv": "a\n1\n"})
    assert found.path == "memory://out/run/predictions.csv"
    assert content(store) == {"/out/run/predictions.csv": "a\n1\n"}
    assert list((tmp_path / "scratch").iterdir()) == []
    with pytest.raises(AlreadyExistsError) as caught:
        publish(CSV, tmp_path, {"predictions.csv": "b"})
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert content(store) == {"/out/run/predictions.csv": "a\n1\n"}


def test_publish__single_file_beside_others(store: Any, tmp_path: Path) -> None:
    store.pipe("/out/run/other.csv", b"other")
    publish(CSV, tmp_path, {"predictions.csv": "a"})
    assert set(content(store)) == {"/out/run/other.csv", "/out/run/predictions.csv"}


def test_publish__folder(store: Any, tmp_path: Path) -> None:
    found = publish(FILES, tmp_path, {"a.txt": "1", "sub/b.txt": "2", ".hidden": "3"})
    assert found.path == "memory://out/run"
    assert content(store) == {
        "/out/run/a.txt": "1",
        "/out/run/sub/b.txt": "2",
        "/out/run/.hidden": "3",
    }
    with pytest.raises(AlreadyExistsError):
        publish(FILES, tmp_path, {"c.txt": "1"})


def test_publish__error_leaves_nothing(store: Any, tmp_path: Path) -> None:
    def fail(output: OutputMessage) -> PublishedOutput:
        writer({"a": "1"})(output)
        raise PublishError("no rows", condition="NO_ROWS")

    with pytest.raises(PublishError):
        publish_in_store(FILES, job_name="job", scratch=tmp_path, publish_locally=fail)
    assert content(store) == {}
    assert list(tmp_path.iterdir()) == []


def test_publish__table_is_found_again_by_its_job_only(store: Any, tmp_path: Path) -> None:
    metrics = {"numFiles": "2", "numOutputRows": "5", "numOutputBytes": "70"}
    commit = {"operationMetrics": metrics, "userMetadata": json.dumps({"job": "job"})}
    log = json.dumps({"commitInfo": commit}) + "\n" + json.dumps({"add": {"path": "p"}})
    files = {"p.parquet": "x", ".p.parquet.crc": "x", LOG: log}
    publish(TABLE, tmp_path, files)
    assert set(content(store)) == {f"/out/run/table/{LOG}", "/out/run/table/p.parquet"}
    again = publish(TABLE, tmp_path, {"other.parquet": "y"})
    assert again == PublishedOutput(
        "memory://out/run/table", "delta", rows=5, files=2, bytes=70, version=0
    )
    assert find_committed("memory://out/run/table", TABLE, job_name="another") is None
    with pytest.raises(AlreadyExistsError):
        publish_in_store(TABLE, job_name="another", scratch=tmp_path, publish_locally=writer(files))


def test_publish__web_is_read_only(tmp_path: Path) -> None:
    output = OutputMessage("https://host/x", "append_row", "csv", "x.csv")
    with pytest.raises(OutputNotWritableError) as caught:
        publish_in_store(output, job_name="job", scratch=tmp_path, publish_locally=writer({}))
    assert caught.value.condition == "STORE_READ_ONLY"


def test_publish__file_of_a_killed_driver_is_known_by_its_content(
    store: Any, tmp_path: Path
) -> None:
    gate = PublishGate(tmp_path / "publish.json")
    first = publish(CSV, tmp_path, {"predictions.csv": "a\n1\n"}, gate)
    assert publish(CSV, tmp_path, {"predictions.csv": "never written"}, gate) == first
    store.pipe("/out/run/predictions.csv", b"a\n2\n")
    with pytest.raises(AlreadyExistsError):
        publish(CSV, tmp_path, {"predictions.csv": "a\n1\n"}, gate)
    assert content(store) == {"/out/run/predictions.csv": "a\n2\n"}


@pytest.mark.parametrize("output", [FILES, TABLE], ids=["folder", "table"])
def test_publish__rest_of_a_killed_upload_is_replaced(
    store: Any, tmp_path: Path, output: OutputMessage
) -> None:
    gate = PublishGate(tmp_path / "publish.json")
    files = {"a.parquet": "1", "b.parquet": "2", LOG: "{}"}
    whole = publish(output, tmp_path, files, gate)
    expected = content(store)
    folder = whole.path.removeprefix("memory:/")
    store.rm_file(f"{folder}/{LOG}")
    store.pipe(f"{folder}/a.parquet", b"of the first run")
    assert publish(output, tmp_path, files, gate) == whole
    assert content(store) == expected
    store.rm_file(f"{folder}/{LOG}")
    store.pipe(f"{folder}/foreign", b"of somebody else")
    with pytest.raises(AlreadyExistsError):
        publish(output, tmp_path, files, gate)
    assert f"{folder}/a.parquet" in content(store)
