"""A Databricks workspace: the part of its HTTP that jobs need, in threads of the tests' process.

Runs wait to be moved by the test, or are real: ``executing=True`` runs the task's Python file as a
cluster's driver does (see ``databricks_driver.py``), with retries, and ends it when it is canceled.
Bodies are checked field by field. ``answers`` come once each before anything else is looked at.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ValidationError

from tests.servers.databricks_bodies import JobSettings, RunNow, RunsSubmit
from tests.servers.databricks_cluster import Cluster

TOKEN = "dapi-of-the-tests"


class RefusedError(Exception):
    """An answer that is an error, as the workspace words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error_code": code, "message": message}


@dataclass
class Run:
    """One run: its task with the cluster, and how it stands in the older and the newer words."""

    run_id: int
    name: str
    task: Mapping[str, Any]
    cluster: Mapping[str, Any]
    life_cycle: str = "PENDING"
    result: str | None = None
    code: str | None = None
    message: str = ""
    attempts: int = 0
    process: Cluster | None = None
    log: Path | None = None

    def has_ended(self) -> bool:
        return self.life_cycle in ("TERMINATED", "INTERNAL_ERROR", "SKIPPED")


@dataclass
class Workspace:
    """The state of a workspace. ``volumes`` is where its runs may write.

    Nobody listens any more once request number ``last_request`` is answered.
    """

    folder: Path
    executing: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    url: str = ""
    runs: dict[int, Run] = field(default_factory=dict)
    jobs: dict[int, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    last_request: int | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def client_environment(self) -> dict[str, str]:
        """The variables with which a client may use the workspace."""
        return {"DATABRICKS_HOST": self.url, "DATABRICKS_TOKEN": TOKEN}

    def get_run(self, run_id: int) -> Run:
        """The run, for a test to look at or to move."""
        return self.runs[run_id]

    def move(self, run_id: int, life_cycle: str, result: str | None = None, **more: str) -> None:
        """Give a run another state."""
        with self.lock:
            run = self.runs[run_id]
            run.life_cycle, run.result = life_cycle, result
            run.code, run.message = more.get("code", result), more.get("message", "")

    def lose_driver(self, run_id: int) -> None:
        """Take the machine of the run's driver away."""
        with self.lock:
            process = self.runs[run_id].process
            assert process is not None
            process.kill()

    def answer(self, method: str, path: str, given: Any) -> Mapping[str, Any]:
        """The answer to a request that is allowed; raises RefusedError."""
        routes = {
            ("POST", "/api/2.2/jobs/runs/submit"): self._submit,
            ("GET", "/api/2.2/jobs/runs/get"): self._get,
            ("POST", "/api/2.2/jobs/runs/cancel"): self._cancel,
            ("POST", "/api/2.2/jobs/create"): self._create,
            ("POST", "/api/2.2/jobs/run-now"): self._run_now,
        }
        route = routes.get((method, path))
        if route is None:
            raise RefusedError(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")
        with self.lock:
            return route(given)

    def _submit(self, given: Any) -> Mapping[str, Any]:
        _check(RunsSubmit, given)
        (task,) = given["tasks"]
        known = self.tokens.get(given.get("idempotency_token", ""))
        if known is not None:
            if known not in self.runs:
                raise RefusedError(
                    400, "INVALID_PARAMETER_VALUE", "The run of the token was deleted."
                )
            return {"run_id": known}
        run = self._start(given["run_name"], task, task["new_cluster"])
        if "idempotency_token" in given:
            self.tokens[given["idempotency_token"]] = run.run_id
        return {"run_id": run.run_id}

    def _get(self, given: Any) -> Mapping[str, Any]:
        run = self._find(given.get("run_id", ""))
        state = {"life_cycle_state": run.life_cycle, "state_message": run.message}
        status: dict[str, Any] = {"state": _newer(run.life_cycle)}
        if run.has_ended():
            state["result_state"] = run.result or "FAILED"
            details = {"code": run.code or "RUN_EXECUTION_ERROR", "message": run.message}
            status["termination_details"] = {**details, "type": "CLIENT_ERROR"}
        task = {"task_key": run.task["task_key"], "state": state, "attempt_number": run.attempts}
        return {
            "run_id": run.run_id,
            "run_name": run.name,
            "run_page_url": f"{self.url}/?o=1#job/1/run/{run.run_id}",
            "state": state,
            "status": status,
            "tasks": [task],
        }

    def _cancel(self, given: Any) -> Mapping[str, Any]:
        run = self._find(given.get("run_id", ""))
        if not run.has_ended():
            run.life_cycle, run.result, run.code = "TERMINATED", "CANCELED", "USER_CANCELED"
            run.message = "Run cancelled."
            if run.process is not None:
                run.process.kill()
        return {}

    def _create(self, given: Any) -> Mapping[str, Any]:
        _check(JobSettings, given)
        job_id = 9000 + len(self.jobs)
        self.jobs[job_id] = given
        return {"job_id": job_id}

    def _run_now(self, given: Any) -> Mapping[str, Any]:
        _check(RunNow, given)
        job = self.jobs[given["job_id"]]
        (task,), (cluster,) = job["tasks"], job["job_clusters"]
        values = {entry["name"]: entry["default"] for entry in job["parameters"]}
        values |= given.get("job_parameters", {})
        run = self._start(job["name"], task, cluster["new_cluster"], values=values)
        return {"run_id": run.run_id, "number_in_job": run.run_id}

    def _find(self, run_id: Any) -> Run:
        run = self.runs.get(int(run_id)) if str(run_id).isdigit() else None
        if run is None:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", f"Run {run_id} does not exist.")
        return run

    def _start(
        self,
        name: str,
        task: Mapping[str, Any],
        cluster: Mapping[str, Any],
        *,
        values: Mapping[str, str] | None = None,
    ) -> Run:
        run_id = 1000 + len(self.runs)
        python = task["spark_python_task"]
        words = [_resolve(word, run_id, values or {}) for word in python["parameters"]]
        resolved = {**task, "spark_python_task": {**python, "parameters": words}}
        run = Run(run_id, name, resolved, cluster, log=self.folder / f"run-{run_id}.log")
        self.runs[run_id] = run
        if self.executing:
            thread = threading.Thread(target=self._execute, args=(run,), daemon=True)
            self.threads.append(thread)
            thread.start()
        return run

    def _execute(self, run: Run) -> None:
        """Attempts of one run, one after the other, until one succeeds."""
        for attempt in range(run.task["max_retries"] + 1):
            cluster = Cluster(
                self.folder / f"run-{run.run_id}-{attempt}",
                environment=self.environment,
                secrets=self.secrets,
            )
            with self.lock:
                if run.has_ended():
                    return
                assert run.log is not None
                cluster.start(run.task, run.cluster, log=run.log)
                run.attempts, run.process, run.life_cycle = attempt, cluster, "RUNNING"
            failure = cluster.wait()
            with self.lock:
                if run.has_ended():
                    return
                if failure is None:
                    run.life_cycle, run.result, run.code = "TERMINATED", "SUCCESS", "SUCCESS"
                    return
                run.life_cycle, run.message = "WAITING_FOR_RETRY", failure
        with self.lock:
            run.life_cycle, run.result, run.code = "TERMINATED", "FAILED", "RUN_EXECUTION_ERROR"

    def stop(self) -> None:
        """End all that runs."""
        with self.lock:
            for run in self.runs.values():
                if not run.has_ended():
                    self._cancel({"run_id": run.run_id})
        for thread in self.threads:
            thread.join()


def _newer(life_cycle: str) -> str:
    words = {"WAITING_FOR_RETRY": "WAITING", "INTERNAL_ERROR": "TERMINATED"}
    return {**words, "SKIPPED": "TERMINATED"}.get(life_cycle, life_cycle)


def _check(model: type[BaseModel], given: Any) -> None:
    try:
        model.model_validate(given)
    except ValidationError as error:
        raise RefusedError(400, "INVALID_PARAMETER_VALUE", str(error)) from error


def _resolve(word: str, run_id: int, values: Mapping[str, str]) -> str:
    word = word.replace("{{job.run_id}}", str(run_id))
    for name, value in values.items():
        word = word.replace("{{job.parameters." + name + "}}", value)
    return word


@contextmanager
def databricks_workspace(
    folder: Path, *, executing: bool = False, environment: Mapping[str, str] | None = None
) -> Iterator[Workspace]:
    """A workspace on a free port. ``environment`` are variables of its clusters' processes."""
    workspace = Workspace(folder, executing, environment or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._handle("GET", dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._handle("POST", json.loads(body or b"{}"))

        def _handle(self, method: str, given: Any) -> None:
            path = urlsplit(self.path).path
            if path.startswith("/.well-known/"):
                self._send(404, {}, {"error_code": "NOT_FOUND", "message": "nothing here"})
                return
            workspace.requests.append((method, path, given))
            if len(workspace.requests) == workspace.last_request:
                self.server.shutdown()
                self.server.server_close()
            if workspace.answers:
                self._send(*workspace.answers.pop(0))
                return
            try:
                self._authenticate()
                self._send(200, {}, workspace.answer(method, path, given))
            except RefusedError as refusal:
                self._send(refusal.status, {}, refusal.body)

        def _authenticate(self) -> None:
            given = self.headers.get("Authorization")
            if given is None:
                raise RefusedError(401, "UNAUTHENTICATED", "Credential was not sent.")
            if given != f"Bearer {TOKEN}":
                raise RefusedError(403, "PERMISSION_DENIED", "Invalid access token.")

        def _send(self, status: int, headers: Mapping[str, str], body: Any) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            if len(workspace.requests) == workspace.last_request:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Nothing: tests' output is for tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    workspace.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield workspace
    finally:
        workspace.stop()
        server.shutdown()
        server.server_close()
        thread.join()
