"""How long Studio's pages take in a workspace of 10,000 jobs, two of 100,000 mini-batches.

The server is ``sparkscore serve`` with tokens; the visitor logs in with one. Each page, and each
part that a page asks for again while a job runs, is asked for one after the other, then by several
visitors at once, in random order. ``cpu_ms`` is the processor time of the server for one request.
"""

from __future__ import annotations

import http.client
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
from rounds import make_parser, write_result
from studio_workspace import BEAT_SECONDS, LIVE, SCORED, beating, make_workspace

TARGET = "95 % of the requests for each page within 300 ms, one after the other"
P95_MS = 300.0
WARM_UPS = 2
PARTS = {"hx-request": "true"}

Page = tuple[str, str, dict[str, str]]
"""Name, address within Studio, headers."""


def list_pages() -> list[Page]:
    """All pages that only show something, and all live parts."""
    scored, live = f"/jobs/{SCORED}", f"/jobs/{LIVE}"
    where = "/endpoints/endpoint-03"
    pages = {
        "endpoints": "/endpoints",
        "endpoints, searched": "/endpoints?q=point-1",
        "endpoint": where,
        "endpoint: deployments": f"{where}/deployments",
        "endpoint: jobs": f"{where}/jobs",
        "deployment": f"{where}/deployments/blue",
        "deployment: edit": f"{where}/deployments/blue/edit",
        "create wizard": "/create",
        "create job": f"{where}/jobs/create",
        "jobs": "/jobs",
        "jobs of one endpoint": "/jobs?endpoint=endpoint-03",
        "jobs, failed": "/jobs?status=Failed",
        "jobs, running": "/jobs?status=Running",
        "jobs, archived": "/jobs?archived=only",
        "jobs, far back": "/jobs?before=job-02000",
        "models": "/models",
        "model": "/models/weights/1",
        "data": "/data",
        "data: one version": "/data/pictures/1",
        "datastores": "/datastores",
        "environments": "/environments",
        "computes": "/computes",
        "job: overview": scored,
        "job: a cell": f"{scored}?cell=100",
        "job: a mini-batch": f"{scored}?state=failed&mini_batch=50001",
        "job: failures": f"{scored}/failures",
        "job: logs": f"{scored}/logs",
        "job: log of a mini-batch": f"{scored}/logs?mini_batch=90002",
        "job: outputs": f"{scored}/outputs",
        "job: preview": f"{scored}/preview/artifacts/failed_inputs.csv",
        "job: preview of Parquet": f"{scored}/preview/artifacts/ledger/outcomes.parquet",
        "job: settings": f"{scored}/settings",
        "running job: overview": live,
        "running job: failures": f"{live}/failures",
        "running job: logs": f"{live}/logs",
        "running job: outputs": f"{live}/outputs",
        "queued job: overview": "/jobs/job-09990",
    }
    parts = {
        "part: look at data": "/data/pictures/1/look",
        "part: progress": f"{live}/live",
        "part: head": f"{live}/head?tab=logs",
        "part: failures": f"{live}/failures",
        "part: log lines": f"{live}/logs/more?file=logs/driver.log&start=900000&shown=0",
    }
    asked = [(name, path, {}) for name, path in pages.items()]
    return [*asked, *((name, path, PARTS) for name, path in parts.items())]


class Visitor:
    """One connection with a session's cookie."""

    def __init__(self, url: str, cookie: str = "") -> None:
        place = urlsplit(url)
        self._root = "/studio"
        self.cookie = cookie
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)

    def log_in(self, token: str) -> None:
        """Open a session."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode({"token": token})
        self._connection.request("POST", f"{self._root}/login", body=body, headers=headers)
        response = self._connection.getresponse()
        response.read()
        found = response.getheader("set-cookie")
        if response.status != 303 or found is None:
            sys.exit(f"the login was answered {response.status}")
        self.cookie = found.partition(";")[0]

    def ask(self, page: Page) -> tuple[float, int]:
        """The milliseconds until all of a page has come, and its bytes."""
        name, path, headers = page
        started = time.perf_counter()
        self._connection.request(
            "GET", self._root + path, headers={**headers, "cookie": self.cookie}
        )
        response = self._connection.getresponse()
        content = response.read()
        took = (time.perf_counter() - started) * 1000
        if response.status != 200:
            sys.exit(f"{name} ({path}) was answered {response.status}: {content[:300]!r}")
        return took, len(content)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """The URL of a server process, and its id."""
    command = [str(Path(sys.executable).with_name("sparkscore")), "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "-w", str(folder)], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if " on http" in line), "")
        yield line.split()[-1], process.pid
    finally:
        process.terminate()
        process.wait()


def read_cpu_ms(process_id: int) -> float:
    """Processor time that a process has taken."""
    stat = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")


def measure_each(
    visitor: Visitor, pages: list[Page], *, requests: int, process_id: int
) -> list[dict[str, Any]]:
    """A line for each page, asked for one after the other."""
    rows = []
    for page in pages:
        for _ in range(WARM_UPS):
            visitor.ask(page)
        before = read_cpu_ms(process_id)
        found = []
        for _ in range(requests):
            if LIVE in page[1]:
                time.sleep(BEAT_SECONDS * 1.2)  # so that there is always something new to read
            found.append(visitor.ask(page))
        cpu = (read_cpu_ms(process_id) - before) / requests
        times = [took for took, _ in found]
        row = {"page": page[0], **percentiles(times), "cpu_ms": round(cpu, 1)}
        rows.append({**row, "kb": found[-1][1] // 1000})
        print(f"{page[0]}: {row['p95_ms']:.0f} ms, cpu {cpu:.0f} ms", flush=True)
    return rows


def measure_together(
    url: str, cookie: str, pages: list[Page], *, requests: int, visitors: int
) -> dict[str, dict[str, float]]:
    """Percentiles of each page, all of them asked for by so many visitors at once."""
    wanted = [page for page in pages for _ in range(requests)]
    random.Random(1).shuffle(wanted)
    waiting: SimpleQueue[Page] = SimpleQueue()
    for page in wanted:
        waiting.put(page)
    times: dict[str, list[float]] = {page[0]: [] for page in pages}

    def visit() -> None:
        visitor = Visitor(url, cookie)
        while True:
            try:
                page = waiting.get_nowait()
            except Empty:
                return
            times[page[0]].append(visitor.ask(page)[0])

    threads = [threading.Thread(target=visit) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    short = [name for name, found in times.items() if len(found) < requests]
    if short:
        sys.exit(f"requests were lost: {short}")
    return {name: percentiles(found) for name, found in times.items()}


def percentiles(times: list[float]) -> dict[str, float]:
    """Half and 95 % of the requests were answered within so many milliseconds."""
    half, most = np.percentile(times, [50, 95])
    return {"p50_ms": round(float(half), 1), "p95_ms": round(float(most), 1)}


def measure(folder: Path, arguments: Any) -> list[dict[str, Any]]:
    """Make the workspace, let visitors ask; a line for each page."""
    started = time.perf_counter()
    size = arguments.mini_batches
    workspace = make_workspace(folder, jobs=arguments.jobs, mini_batches=size)
    print(f"made in {time.perf_counter() - started:.0f} s", flush=True)
    token = str(workspace.tokens.create(role="owner", name="visitor").secret)
    pages = [page for page in list_pages() if arguments.only in page[0]]
    with beating(workspace, mini_batches=size), serving(folder) as (url, process_id):
        visitor = Visitor(url)
        visitor.log_in(token)
        rows = measure_each(visitor, pages, requests=arguments.requests, process_id=process_id)
        together = measure_together(
            *(url, visitor.cookie, pages),
            requests=arguments.requests,
            visitors=arguments.visitors,
        )
    workspace.close()
    for row in rows:
        row["p50_together_ms"] = together[row["page"]]["p50_ms"]
        row["p95_together_ms"] = together[row["page"]]["p95_ms"]
    return rows


def main() -> None:
    """Measure, write the table."""
    parser = make_parser("studio_pages", about=__doc__, rounds=1)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--mini-batches", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=30, help="for each page, each way")
    parser.add_argument("--visitors", type=int, default=8, help="at once")
    parser.add_argument("--only", default="", help="pages whose name has this text")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studio-pages-") as scratch:
        rows = measure(Path(scratch) / "ws", arguments)
    late = [row["page"] for row in rows if row["p95_ms"] >= P95_MS]
    facts = {"jobs": arguments.jobs, "mini_batches": arguments.mini_batches}
    load = round(os.getloadavg()[0], 1)
    write_result(arguments.result, rows, target=TARGET, late=late, met=not late, load=load, **facts)


if __name__ == "__main__":
    main()
