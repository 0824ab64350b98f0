"""A Delta table that the driver writes itself, as far as that shows without Spark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkscore.driver.publish.delta_folder import publish_delta_folder
from sparkscore.driver.publish.delta_table import removing_failed_write
from sparkscore.driver.publish.gate import PublishGate
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.errors import (
    AlreadyExistsError,
    OutputNotWritableError,
    PublishError,
    StateError,
)
from sparkscore.messages.launch import OutputMessage

SCHEMA = pa.schema([("name", pa.string()), ("at", pa.timestamp("us")), ("count", pa.uint32())])
LOG = "_delta_log/00000000000000000000.json"


def table(*names: str) -> pa.Table:
    rows = [{"name": name, "at": None, "count": at} for at, name in enumerate(names)]
    return pa.Table.from_pylist(rows, SCHEMA)


@pytest.fixture
def publish(tmp_path: Path, make_wave: Callable[..., list[Path]]) -> Callable[..., Any]:
    files = make_wave({0: table("a", "b"), 1: table("c")}, {2: table("d")})

    def run(*, job_name: str = "job", rows: int = 4, gate: Any = None) -> PublishedOutput:
        return publish_delta_folder(
            staged_files=files,
            schema=SCHEMA,
            output=OutputMessage(str(tmp_path / "out"), "append_row", "delta"),
            job_name=job_name,
            user_metadata={"model": "m"},
            expected_rows=rows,
            gate=gate or PublishGate(file=tmp_path / "publish.json"),
        )

    return run


def read_actions(folder: Path) -> dict[str, Any]:
    lines = (folder / LOG).read_text().splitlines()
    return {kind: value for line in lines for kind, value in json.loads(line).items()}


def test_delta_folder__holds_every_row_once(publish: Callable[..., Any], tmp_path: Path) -> None:
    published = publish()
    assert (published.rows, published.files, published.version) == (4, 1, 0)
    actions = read_actions(tmp_path / "out")
    assert actions["txn"]["appId"] == "sparkscore:job"
    assert json.loads(actions["commitInfo"]["userMetadata"]) == {"model": "m", "job": "job"}
    fields = json.loads(actions["metaData"]["schemaString"])["fields"]
    assert [field["type"] for field in fields] == ["string", "timestamp", "long"]
    read = pq.read_table(tmp_path / "out" / actions["add"]["path"])
    assert read.column("name").to_pylist() == ["a", "b", "c", "d"]
    assert str(read.schema.field("at").type) == "timestamp[us, tz=UTC]"
    assert published.bytes == (tmp_path / "out" / actions["add"]["path"]).stat().st_size


def test_delta_folder__again_by_the_same_job_changes_nothing(
    publish: Callable[..., Any], tmp_path: Path
) -> None:
    first = publish()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert publish() == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    with pytest.raises(AlreadyExistsError):
        publish(job_name="another")


def test_delta_folder__what_fails_leaves_nothing(
    publish: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(PublishError) as caught:
        publish(rows=5)
    assert caught.value.condition == "ROW_COUNT_MISMATCH"
    assert not (tmp_path / "out").exists()


def test_delta_folder__goes_on_after_a_killed_driver(
    publish: Callable[..., Any], tmp_path: Path
) -> None:
    class Killed(BaseException):
        """As SIGKILL: nothing is cleaned up."""

    calls = []

    def confirm() -> None:
        calls.append(1)
        if len(calls) == 2:
            (tmp_path / "kept").mkdir()
            for path in (tmp_path / "out").iterdir():
                (tmp_path / "kept" / path.name).write_bytes(path.read_bytes())
            raise Killed

    with pytest.raises(Killed):
        publish(gate=PublishGate(file=tmp_path / "publish.json", confirm=confirm))
    (tmp_path / "kept").rename(tmp_path / "out")
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".parquet"]
    assert publish().rows == 4
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 1


def test_delta_folder__commit_of_a_successor_is_not_replaced(
    publish: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This driver is paused as it makes the log's folder; meanwhile another one commits."""
    mkdir = Path.mkdir

    def pause(path: Path, *given: Any, **named: Any) -> None:
        mkdir(path, *given, **named)
        if path.name == "_delta_log":
            (tmp_path / "out" / LOG).write_text("theirs")

    monkeypatch.setattr(Path, "mkdir", pause)
    with pytest.raises(OutputNotWritableError):
        publish()
    assert (tmp_path / "out" / LOG).read_text() == "theirs"
    assert [path.name for path in (tmp_path / "out" / LOG).parent.iterdir()] == [Path(LOG).name]


def test_delta_folder__of_others_is_left_alone(publish: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-1.parquet").write_text("theirs")
    with pytest.raises(AlreadyExistsError) as caught:
        publish()
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert (tmp_path / "out" / "part-1.parquet").read_text() == "theirs"


def lose_lease() -> None:
    raise StateError("lost", condition="LEASE_LOST")


@pytest.mark.parametrize("is_lost", [False, True])
def test_failed_write__is_removed_by_the_driver_that_holds_the_job(is_lost: bool) -> None:
    removed: list[bool] = []
    target: Any = SimpleNamespace(find_table=lambda: None, remove=lambda: removed.append(True))
    gate = PublishGate(confirm=lose_lease) if is_lost else PublishGate()
    with pytest.raises(PublishError), removing_failed_write(target, gate):
        raise PublishError("failed")
    assert bool(removed) is not is_lost


@pytest.mark.parametrize("is_lost", [False, True])
def test_folder_whose_driver_was_taken_over__keeps_what_is_there(
    is_lost: bool, tmp_path: Path
) -> None:
    target = tmp_path / "table"
    seen: list[bool] = []

    def check() -> None:
        """It raises once the data files are written."""
        seen.append(target.is_dir())
        if seen.count(True) == 2:
            (target / f"part-{UUID(int=1)}.snappy.parquet").touch()
            raise StateError("stop", condition="LEASE_LOST")

    def confirm() -> None:
        if is_lost and seen.count(True) > 1:
            lose_lease()

    gate = PublishGate(check=check, confirm=confirm)
    output = OutputMessage(str(target), "append_row", "delta")
    with pytest.raises(StateError):
        publish_delta_folder(
            staged_files=[],
            schema=pa.schema([("a", pa.int64())]),
            output=output,
            job_name="job",
            user_metadata={},
            expected_rows=0,
            gate=gate,
        )
    assert any(target.glob("part-*")) is is_lost
