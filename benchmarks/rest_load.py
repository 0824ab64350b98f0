"""Many clients at once at a server: some start jobs, the others read, and no request may be lost.

The server is ``sparkscore serve`` with tokens. A real job runs all the time, and those that clients
start queue behind it. The clients are connections of two ``wrk`` processes; each client rests
between its requests, ``--pause`` seconds on average. They begin when the server has answered each
kind of request once: what it loads for that, it loads once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rounds import HERE, make_parser, write_result

from sparkscore.control import InvokeRequest, Workspace
from sparkscore.state import JobRecord

SCRIPTS = HERE / "scripts" / "rest_load"
ENDPOINT = "load"
JOB = "first"
TARGET = "200 clients for a minute: no request lost, 99 % of reads within 250 ms"
P99_MS = 250.0
START_SECONDS = 120.0
MANY_REQUESTS = 100_000_000
DEPLOYMENT = {
    "name": "waits",
    "endpoint_name": ENDPOINT,
    "model": "azureml:weights:1",
    "code_configuration": {"code": "azureml:score:1", "scoring_script": "score.py"},
    "settings": {"output_action": "append_row", "mini_batch_size": 1},
}


def make_workspace(folder: Path) -> Workspace:
    """A workspace with an endpoint; its datastore has one input."""
    Workspace.open(folder).close()
    config = folder / "sparkscore.toml"
    text = config.read_text(encoding="utf-8")
    limit = f"[server]\nrequests_per_minute = {MANY_REQUESTS}"
    config.write_text(text.replace("[server]", limit), encoding="utf-8")
    workspace = Workspace.open(folder)
    store = Path(workspace.datastores.get_default().uri)
    shutil.copytree(SCRIPTS / "code", store / "code")
    for name in ("inputs", "model"):
        (store / name).mkdir()
        (store / name / "1.txt").write_text("1\n", encoding="utf-8")
    workspace.models.create(name="weights", version="1", path=str(store / "model"))
    workspace.code.create(str(store / "code"), name="score", version="1")
    workspace.batch_endpoints.create(name=ENDPOINT)
    workspace.batch_deployments.create(DEPLOYMENT, set_default=True)
    return workspace


def start_first_job(workspace: Workspace, *, seconds: float) -> None:
    """Start the job that takes the only place, and wait until it scores."""
    store = Path(workspace.datastores.get_default().uri)
    workspace.batch_endpoints.invoke(
        ENDPOINT,
        InvokeRequest(
            input=str(store / "inputs"),
            job_name=JOB,
            overrides=(f"environment_variables.REST_LOAD_SECONDS={seconds:.0f}",),
        ),
    )
    deadline = time.monotonic() + START_SECONDS
    while (job := workspace.jobs.get(JOB)).status != "Running":
        if job.is_ended or time.monotonic() > deadline:
            sys.exit(f"the first job is {job.status}: {job.record.error}")
        time.sleep(0.5)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a server process."""
    command = [str(Path(sys.executable).with_name("sparkscore")), "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "-w", str(folder)], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if " on http" in line), "")
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait()


def warm_up(url: str, workspace_name: str, token: str) -> None:
    """Ask for what loads libraries: models, and a job."""
    for path in (f"/workspaces/{workspace_name}/models", f"/api/v1/jobs/{JOB}"):
        request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            answer.read()


def start_clients(url: str, *, kind: str, count: int, seconds: int, **facts: str) -> Any:
    """``wrk`` with so many connections."""
    command = ["wrk", "-t", "1", "-c", str(count), "-d", f"{seconds}s", "--timeout", "30s"]
    environment = {**os.environ, "KIND": kind, "ENDPOINT": ENDPOINT, "JOB": JOB, **facts}
    return subprocess.Popen(
        [*command, "-s", str(SCRIPTS / "clients.lua"), url],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_result(process: Any, *, kind: str, clients: int) -> dict[str, Any]:
    """One line of the table."""
    text = process.communicate()[0]
    found = next((line for line in text.splitlines() if line.startswith("RESULT ")), None)
    if found is None:
        sys.exit(f"wrk failed:\n{text}")
    return {"kind": kind, "clients": clients, **json.loads(found.removeprefix("RESULT "))}


def list_jobs(workspace: Workspace) -> list[JobRecord]:
    """All jobs but the first one."""
    with workspace.store.reading() as reader:
        return [record for record in reader.list_jobs() if record.name != JOB]


def stop_jobs(workspace: Workspace) -> None:
    """End launchers and drivers: what waits is of no use any more."""
    with workspace.store.reading() as reader:
        records = reader.list_active_jobs()
    for record in reversed(records):
        for process in (record.launcher, record.driver):
            if process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(process.process_id, signal.SIGKILL)


def count_processes(records: list[JobRecord]) -> int:
    """How many of these jobs have a process."""
    return sum(record.launcher is not None for record in records)


def measure(folder: Path, arguments: Any) -> list[dict[str, Any]]:
    """Let the clients ask; a line for each kind."""
    workspace = make_workspace(folder)
    token = str(workspace.tokens.create(role="invoker", name="clients").secret)
    facts = {
        "TOKEN": token,
        "WORKSPACE": workspace.name,
        "PAUSE_MS": str(int(arguments.pause * 1000)),
        "SEED": "1",
    }
    counts = {"read": arguments.readers, "invoke": arguments.invokers}
    try:
        start_first_job(workspace, seconds=arguments.seconds + START_SECONDS)
        with serving(folder) as url:
            warm_up(url, workspace.name, token)
            started = {
                kind: start_clients(url, kind=kind, count=count, seconds=arguments.seconds, **facts)
                for kind, count in counts.items()
            }
            rows = [
                read_result(process, kind=kind, clients=counts[kind])
                for kind, process in started.items()
            ]
        made = list_jobs(workspace)
        print(f"{len(made)} jobs, {count_processes(made)} of them with a process", flush=True)
        check_jobs(len(made), answered=rows[1]["requests"], clients=arguments.invokers)
    finally:
        stop_jobs(workspace)
        workspace.close()
    return rows


def check_jobs(made: int, *, answered: int, clients: int) -> None:
    """Each answer is a job; those whose clients were stopped meanwhile may be more."""
    if not answered <= made <= answered + clients:
        sys.exit(f"{answered} jobs were promised, {made} are there")


def main() -> None:
    """Measure, write the table."""
    parser = make_parser("rest_load", about=__doc__, rounds=1)
    parser.add_argument("--readers", type=int, default=180)
    parser.add_argument("--invokers", type=int, default=20)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between requests")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: install it (Debian has a package)")
    with tempfile.TemporaryDirectory(prefix="rest-load-") as scratch:
        rows = measure(Path(scratch) / "ws", arguments)
    lost = sum(row["lost"] + row["refused"] + row["timeouts"] for row in rows)
    met = not lost and rows[0]["p99_ms"] < P99_MS
    facts = {"pause_seconds": arguments.pause, "lost": lost, "met": met}
    write_result(arguments.result, rows, target=TARGET, **facts)


if __name__ == "__main__":
    main()
