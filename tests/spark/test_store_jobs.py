"""Jobs whose inputs, outputs and job folder's copy are in a store: S3, and Azure by azurite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import InputMessage, LaunchMessage, MirrorMessage, OutputMessage
from sparkscore.storage import fetch_file, open_store
from tests.servers.store import StoreServer

SCRIPT = """
def run(batch):
    rows = []
    for path in batch:
        with open(path) as file:
            text = file.read()
        if text == "bad":
            raise ValueError("bad text")
        rows.append({"file": path.rpartition("/")[2], "text": text})
    return rows
"""
RUN_ALL = """
import sys
from dataclasses import replace
from pathlib import Path
from sparkscore.driver import run
from sparkscore.driver.job_folder import read_launch
from sparkscore.driver.session import open_session, stop_session
launches = [read_launch(Path(path)) for path in sys.argv[1:]]
# A job empties its own scratch folder when it begins, so the session's is elsewhere.
spark = open_session(replace(launches[0], job_folder=str(Path("session").absolute())))
for launch in launches:
    run(spark, launch)
stop_session()
"""


@dataclass(frozen=True)
class Ran:
    """What the jobs of one store left: their summaries, and the store to look at."""

    server: StoreServer
    folder: Path
    launches: dict[str, LaunchMessage]

    def summary(self, name: str) -> dict[str, Any]:
        """The local summary of a job."""
        text = Path(self.launches[name].job_folder, "summary.json").read_text()
        content: dict[str, Any] = json.loads(text)
        return content

    def files(self, path: str) -> set[str]:
        """What stands below a path of the store."""
        store, root = open_store(f"{self.server.uri}/{path}", self.server.options)
        return {found.removeprefix(f"{root}/") for found in store.find(root)}

    def read(self, path: str) -> bytes:
        """A file of the store."""
        store, root = open_store(f"{self.server.uri}/{path}", self.server.options)
        content: bytes = store.cat_file(root)
        return content


def make_jobs(make_launch: Any, uri: str, tmp_path: Path) -> dict[str, LaunchMessage]:
    """A CSV file; a Delta table; the same table by the same job again; one whose output exists."""
    launch: LaunchMessage = make_launch(SCRIPT, 0, name="csv")
    launch = replace(launch, input=InputMessage(f"{uri}/in/**/*.txt", exclude=("left-*",)))

    def job(name: str, job_name: str, output: OutputMessage) -> LaunchMessage:
        return replace(
            launch,
            job_name=job_name,
            job_folder=str(tmp_path / name / "job"),
            output=output,
            scoring=replace(launch.scoring, job_name=job_name),
            mirror=MirrorMessage(f"{uri}/jobs/{name}"),
        )

    csv = OutputMessage(f"{uri}/out/csv", "append_row", "csv", "predictions.csv")
    delta = OutputMessage(f"{uri}/out/table", "append_row", "delta")
    return {
        "delta": job("delta", "delta", delta),
        "csv": job("csv", "csv", csv),
        "again": job("again", "delta", delta),
        "taken": job("taken", "taken", csv),
    }


@pytest.fixture(scope="module", params=["s3", "abfss"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The jobs, run one after the other in one session of a process of their own."""
    server: StoreServer = request.getfixturevalue(f"{request.param}_store")
    tmp_path = tmp_path_factory.mktemp(request.param)
    folder = f"job-{uuid4().hex[:8]}"
    for number in range(30):
        text = b"bad" if number == 21 else b"text %d" % number
        server.put(f"{folder}/in/{number % 3}/{number:02d} \u00e9.txt", text)
    for name in ("_hidden.txt", "1/left-out.txt", "other.png"):
        server.put(f"{folder}/in/{name}", b"not scored")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        located = replace(server, uri=f"{server.uri}/{folder}")
        launches = make_jobs(launch_maker(tmp_path), located.uri, tmp_path)
        run_jobs(launches, tmp_path)
        yield Ran(located, tmp_path, launches)


def launch_maker(tmp_path: Path) -> Any:
    from tests.spark.conftest import write_launch

    def make(script: str, inputs: int, *, name: str) -> LaunchMessage:
        return write_launch(tmp_path, script, inputs, name=name)

    return make


def run_jobs(launches: dict[str, LaunchMessage], tmp_path: Path) -> None:
    files = []
    for launch in launches.values():
        file = Path(launch.job_folder) / "launch.json"
        file.parent.mkdir(parents=True)
        file.write_text(to_json(launch))
        (file.parent / "code").mkdir()
        (file.parent / "code" / "score.py").write_text(SCRIPT)
        files.append(str(file))
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, *files],
        cwd=tmp_path,
        env=process_environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def process_environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "PYSPARK_PYTHON": sys.executable}


def test_store_job__scores_what_the_glob_takes(ran: Ran) -> None:
    summary = ran.summary("csv")
    assert summary["error"] is None
    assert summary["inputs"] == {"total": 30, "succeeded": 29, "failed": 1}
    assert summary["skipped"] == {"hidden": 1, "filtered": 2}
    assert summary["warnings"] == []


def test_store_job__csv_is_put_whole(ran: Ran) -> None:
    output = ran.summary("csv")["output"]
    assert output["path"] == f"{ran.server.uri}/out/csv/predictions.csv"
    assert ran.files("out/csv") == {"predictions.csv"}
    lines = ran.read("out/csv/predictions.csv").decode().splitlines()
    numbers = sorted((n for n in range(30) if n != 21), key=lambda n: (n % 3, n))
    assert lines == ["file,text", *(f"{n:02d} \u00e9.txt,text {n}" for n in numbers)]


def test_store_job__delta_appears_with_its_commit(ran: Ran, tmp_path: Path) -> None:
    output = ran.summary("delta")["output"]
    assert (output["path"], output["version"]) == (f"{ran.server.uri}/out/table", 0)
    log = "_delta_log/00000000000000000000.json"
    names = ran.files("out/table")
    assert log in names
    actions = [json.loads(line) for line in ran.read(f"out/table/{log}").splitlines()]
    added = [action["add"]["path"] for action in actions if "add" in action]
    assert added
    assert {name for name in names if not name.startswith("_delta_log/")} == set(added)
    store, path = open_store(f"{ran.server.uri}/out/table/{added[0]}", ran.server.options)
    fetch_file(store, path, str(tmp_path / "part"), timeout_seconds=60)
    assert pq.read_table(tmp_path / "part").column_names == ["file", "text"]


def test_store_job__delta_again_by_the_same_job_changes_nothing(ran: Ran) -> None:
    assert ran.summary("again")["status"] == "Completed"
    assert ran.summary("again")["output"] == ran.summary("delta")["output"]


def test_store_job__output_that_exists_is_refused(ran: Ran) -> None:
    summary = ran.summary("taken")
    assert (summary["status"], summary["error"]["condition"]) == ("Failed", "OUTPUT_EXISTS")


@pytest.mark.parametrize("name", ["csv", "delta"])
def test_store_job__folder_is_mirrored(ran: Ran, name: str) -> None:
    local = Path(ran.launches[name].job_folder)
    names = {
        path.relative_to(local).as_posix()
        for path in local.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    kept_here = ("model", "scratch", "lease")
    expected = {found for found in names if found.split("/")[0] not in kept_here}
    assert ran.files(f"jobs/{name}") == expected
    assert {"launch.json", "code/score.py", "plan/plan.json", "failed_inputs.csv"} <= expected
    for file in ("summary.json", "status.json", "events.jsonl", "ledger/outcomes.parquet"):
        assert ran.read(f"jobs/{name}/{file}") == (local / file).read_bytes()


def test_store_job__failed_one_keeps_its_staging_in_the_mirror(ran: Ran) -> None:
    names = ran.files("jobs/taken/staging")
    assert "wave-00000.1/_committed.json" in names
    assert any(name.startswith("wave-00000.1/part-") for name in names)


def test_store_job__no_secret_stands_anywhere(ran: Ran) -> None:
    for file in ran.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert [s for s in ran.server.secrets if s.encode() in content] == [], file
