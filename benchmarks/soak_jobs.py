"""The jobs of the soak in a workspace: completed, failed, canceled, killed and resumed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from soak_inputs import ENDPOINT, make_deployments

from sparkscore.control import InvokeRequest, Workspace
from sparkscore.control.jobs import Job

PATIENCE_SECONDS = 300.0


class WorkspaceJobs:
    """Jobs of one workspace, each a process group of its own, one after the other."""

    def __init__(self, folder: Path, inputs: Path) -> None:
        self.workspace = Workspace.open(folder)
        self._inputs = inputs
        self._count = 0
        self.workspace.batch_endpoints.create(name=ENDPOINT)
        for deployment in make_deployments(inputs):
            self.workspace.batch_deployments.create(deployment)

    def run_cycle(self) -> int:
        """Run one job of each kind to its end; returns how many ends there were."""
        kinds: list[Callable[[], None]] = [
            lambda: self._end(self._invoke("file", "images"), "Completed"),
            lambda: self._end(self._invoke("delta", "tables"), "Completed"),
            lambda: self._end(self._invoke("file", "bad"), "Failed"),
            self._cancel_one,
            self._kill_and_resume_one,
        ]
        for kind in kinds:
            kind()
        return len(kinds) + 1

    def wait_for_processes(self) -> None:
        """Wait until launchers have ended, and what writes MLflow runs."""
        notes = self.workspace.folder / "cache" / "mlflow-runs"
        _wait_until(lambda: not list(notes.glob("[!.]*")), "MLflow runs")

    def _invoke(self, deployment: str, inputs: str) -> Job:
        self._count += 1
        request = InvokeRequest(
            deployment_name=deployment,
            input=str(self._inputs / inputs),
            job_name=f"job-{self._count:05d}",
            output_path=str(self.workspace.folder / "jobs" / f"job-{self._count:05d}" / "score"),
        )
        return self.workspace.jobs.get(
            self.workspace.batch_endpoints.invoke(ENDPOINT, request).name
        )

    def _end(self, job: Job, expected: str) -> None:
        ended = job.wait(PATIENCE_SECONDS)
        if ended.status != expected:
            raise SystemExit(f"{job.name} is {ended.status}: {ended.record.error}")

    def _cancel_one(self) -> None:
        job = self._start_slow()
        self.workspace.jobs.cancel(job.name)
        self._end(job, "Canceled")

    def _kill_and_resume_one(self) -> None:
        job = self._start_slow()
        for process in (job.record.launcher, job.record.driver):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.process_id, signal.SIGKILL)
        self._end(job, "Failed")
        resumed = self.workspace.jobs.resume(job.name)
        self._end(resumed, "Completed")

    def _start_slow(self) -> Job:
        """A job that runs and has scored something."""
        name = self._invoke("slow", "texts").name

        def has_begun() -> bool:
            job = self.workspace.jobs.get(name)
            return job.progress is not None and job.progress.mini_batches_done > 0

        _wait_until(has_begun, name)
        return self.workspace.jobs.get(name)


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: nothing came within {PATIENCE_SECONDS:.0f} seconds")
        time.sleep(0.2)
