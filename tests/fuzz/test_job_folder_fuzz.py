"""Files of a job folder that are damaged or foreign, through whoever reads them.

A named error or a reading that makes sense; never a traceback, and nothing half-made.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control import find_completed_job, resume_job
from sparkscore.control.jobs.look import look_at
from sparkscore.control.jobs.mlflow_run import SAMPLES_FILE, _iter_metrics
from sparkscore.control.jobs.refresh import reconcile
from sparkscore.control.one_shot import make_job, prepare_run
from sparkscore.control.options import RunOptions
from sparkscore.control.watch import find_status, find_summary
from sparkscore.driver.job_folder import JobFolder, read_launch
from sparkscore.driver.lease import take_lease
from sparkscore.driver.publish.gate import PublishGate, describe, get_output
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.staged_waves import COMMIT_NAME, StagedWaves
from sparkscore.driver.staging import read_outcomes, wave_files
from sparkscore.errors import SparkscoreError
from sparkscore.executor.results import results_table
from sparkscore.messages.codec import to_json
from sparkscore.messages.status import STARTING, InputCounts, StatusMessage, SummaryMessage
from sparkscore.plan.scoring_plan import (
    FILES_NAME,
    HEADER_NAME,
    plan_scoring,
    read_plan,
    write_plan,
)
from tests.control.jobs.conftest import make_record
from tests.control.samples import list_files, write_deployment, write_java
from tests.driver.conftest import staged_rows, write_staged
from tests.fuzz.wild import VALUES, check_error, damaged_bytes, damaged_json

ERROR = {"condition": "X", "message": "y", "exit_code": 4}
OUTPUT = PublishedOutput("out/a.csv", "csv", rows=1, files=1, bytes=9)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job folder as a driver leaves it that was killed while it published."""
    root = tmp_path_factory.mktemp("fuzz")
    folder = root / "job"
    options = RunOptions(
        file=write_deployment(root / "in"), input=str(root / "in" / "in"), job_folder=folder
    )
    environment = {"JAVA_HOME": str(write_java(root / "java"))}
    make_job(prepare_run(options, environment=environment))
    made, launch = JobFolder(folder), read_launch(folder / "launch.json")
    take_lease(made.lease).release()
    made.make()
    made.write_identity(launch)
    files = pa.table({"path": ["a", "b"], "size": [1, 2], "etag": ["x", "y"]})
    plan = plan_scoring(files, mini_batch_size=1, root=str(root), transport="direct", slots=1)
    write_plan(plan, str(folder))
    waves = StagedWaves(made.staging, token=1)
    waves.restore()
    wave = waves.take_folder()[1]
    write_staged(wave / "part-0.parquet", staged_rows(0, results_table([0]).table, part_bytes=99))
    waves.commit(wave)
    made.write_status(StatusMessage("job", "Failed", 7, 1e9, 1e9, mini_batches=2))
    made.write_summary(SummaryMessage("job", "Failed", InputCounts(2, 0, 2), error=ERROR))
    PublishGate(made.publish).announce(describe(OUTPUT, kind="file"))
    sample = json.dumps({"at": 1e9, "rows": 1, "inputs_per_second": 0.5})
    (folder / SAMPLES_FILE).write_text(f"{sample}\n{sample}\n")
    return folder


def look(folder: Path) -> None:
    record = make_record(folder=str(folder), status=STARTING)
    current = reconcile(record, look_at(record))
    assert current.status in ("Failed", "Running", "NotResponding", "Starting", "Finalizing")
    json.dumps([current.error, current.summary], allow_nan=False)


def resume(folder: Path) -> None:
    if find_completed_job(folder) is not None:
        return
    before = {name: (folder / name).read_bytes() for name in files_of(folder)}
    java = folder.parent / "java"
    try:
        resume_job(folder, ["timeout=9"], environment={"JAVA_HOME": str(write_java(java))})
    except SparkscoreError:
        assert {name: (folder / name).read_bytes() for name in files_of(folder)} == before
        raise


def files_of(folder: Path) -> list[str]:
    return [name for name in list_files(folder) if (folder / name).is_file()]


def stage_again(folder: Path) -> None:
    waves = StagedWaves(folder / "staging", token=2)
    waves.restore()
    assert waves.mini_batch_ids in ([], [0])
    assert (folder / "launch.json").exists()


def publish_again(folder: Path) -> None:
    found = PublishGate(folder / "publish.json").find_announced(OUTPUT.path)
    if found is not None:
        assert get_output(found).rows >= -(2**63)


def take_over(folder: Path) -> None:
    lease = take_lease(folder / "lease", stale_seconds=0)
    assert lease.token == 2
    lease.release()


def go_on(folder: Path) -> None:
    made = JobFolder(folder)
    made.check_identity(read_launch(folder / "launch.json"))
    made.find_completed()
    assert made.find_sequence() >= -(2**63)


def plan_again(folder: Path) -> None:
    plan = read_plan(str(folder))
    assert [mini_batch.paths for mini_batch in plan.iter_mini_batches()] == [("a",), ("b",)]
    assert plan.transport == "direct"
    assert 1 <= plan.first_wave_count <= 2


def track(folder: Path) -> None:
    for _, value, *_ in _iter_metrics(make_record(), folder):
        assert math.isfinite(value)


READERS: dict[str, tuple[Callable[[Path], Any], ...]] = {
    "launch.json": (go_on, resume),
    "status.json": (look, go_on, resume, lambda folder: find_status(folder / "status.json")),
    "summary.json": (look, go_on, resume, lambda folder: find_summary(folder / "summary.json")),
    "publish.json": (publish_again,),
    "lease/000001.json": (take_over,),
    "plan/job.json": (go_on,),
    HEADER_NAME: (plan_again,),
    f"staging/wave-00000.1/{COMMIT_NAME}": (stage_again,),
    "staging/inherited.1.json": (stage_again,),
}


def read(folder: Path, readers: tuple[Callable[[Path], Any], ...]) -> None:
    for reader in readers:
        try:
            reader(folder)
        except SparkscoreError as error:
            check_error(error)


def with_copy(job: Path, name: str, content: bytes, check: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(dir=job.parent) as place:
        folder = Path(place, "job")
        shutil.copytree(job, folder, symlinks=True)
        (folder / name).write_bytes(content)
        check(folder)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_message_file__damaged(job: Path, name: str, data: st.DataObject) -> None:
    content = data.draw(damaged_json(json.loads((job / name).read_bytes())))
    with_copy(job, name, content, lambda folder: read(folder, READERS[name]))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["folder", "link to nothing", "link to itself", "unreadable"])
def test_message_file__that_is_no_file(job: Path, tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "job"
    shutil.copytree(job, folder)
    file = folder / name
    file.unlink()
    if kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / "nowhere" if kind == "link to nothing" else file)
    read(folder, tuple(reader for reader in READERS[name] if reader is not resume))


@given(data=st.data())
def test_plan_files__damaged(job: Path, data: st.DataObject) -> None:
    content = data.draw(damaged_bytes((job / FILES_NAME).read_bytes()))
    with_copy(job, FILES_NAME, content, lambda folder: read(folder, (plan_again,)))


@given(data=st.data())
def test_staged_file__damaged(job: Path, data: st.DataObject) -> None:
    (file,) = wave_files(job / "staging" / "wave-00000.1")
    name = str(file.relative_to(job))
    content = data.draw(damaged_bytes(file.read_bytes()))

    def check(folder: Path) -> None:
        read(folder, (lambda folder: read_outcomes([folder / name]),))
        stage_again(folder)

    with_copy(job, name, content, check)


@given(data=st.data())
def test_outcome__damaged(job: Path, data: st.DataObject) -> None:
    ((number, part, outcome, payload),) = staged_rows(0, results_table([0]).table, part_bytes=99)
    changed = data.draw(damaged_json(json.loads(str(outcome)))).decode("utf-8", "replace")

    def check(folder: Path) -> None:
        file = write_staged(folder / "part-9.parquet", [(number, part, changed, payload)])
        read(folder, (lambda _: to_json(read_outcomes([file])[0]),))

    with_copy(job, "launch.json", b"", check)


LINES = st.lists(VALUES.map(json.dumps) | st.text() | st.just('{"at": 1, "rows": 2}'), max_size=4)


@given(lines=LINES, end=st.sampled_from(["", "\n"]))
def test_samples__damaged(job: Path, lines: list[str], end: str) -> None:
    text = ("\n".join(lines) + end).encode("utf-8", "replace")
    with_copy(job, SAMPLES_FILE, text, track)
