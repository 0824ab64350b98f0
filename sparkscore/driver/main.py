"""Entry of the Spark driver: ``python -m sparkscore.driver launch.json``. Spark driver process.

Also called by ``jobs/score.py`` under spark-submit and on platforms; ``plan.launch_overrides`` has
what may follow the launch message. A platform that owns process and session gets both back as they
were. Exits with 0 when the job completed, else with the exit code of the error that ended it. A
platform that stops the driver of a job that nobody canceled gets exit code 6, and the job has no
summary: the next driver goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from pyspark.sql import SparkSession

from sparkscore.driver.children import end_children
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.job_run import JobRun
from sparkscore.driver.remote_start import RUN_SUPERSEDED, load_launch
from sparkscore.driver.session import is_guest, open_session, stop_session
from sparkscore.driver.summary import print_error
from sparkscore.errors import SparkscoreError
from sparkscore.executor.processes import become_subreaper, die_with_parent, find_children
from sparkscore.messages.launch import STOP_WITH_PARENT
from sparkscore.messages.status import SummaryMessage
from sparkscore.plan.launch_overrides import read_arguments

_LEAVE_SECONDS = 3.0


def main(arguments: list[str] | None = None) -> int:
    """Run the job of a launch message; returns the process's exit code."""
    try:
        given = read_arguments(sys.argv[1:] if arguments is None else arguments)
        launch, remote = load_launch(given)
    except SparkscoreError as error:
        print(f"sparkscore: {error.condition}: {error.message}", file=sys.stderr)
        return 0 if error.condition == RUN_SUPERSEDED else error.exit_code
    try:
        return _run(JobRun(launch, home=remote))
    finally:
        if remote is not None:
            remote.remove()


def _run(job: JobRun) -> int:
    earlier = find_children()
    if not is_guest():
        become_subreaper()
        _stop_on_signals(job)
    try:
        summary = job.run(lambda: _open_session(job))
        if not job.is_told:
            print_error(summary)
        code = exit_code(summary)
    finally:
        if not is_guest():
            stop_session()
            end_children(but=earlier)
        if job.is_told:
            job.worker_logs.copy()
            job.remove_leftovers()
            JobFolder(job.launch.job_folder).remove_scratch()
    if not is_guest():
        _leave_in_time(code)
    return code


def exit_code(summary: SummaryMessage) -> int:
    """The exit code that an ended job gives its process."""
    return int(summary.error["exit_code"]) if summary.error is not None else 0


def _leave_in_time(code: int) -> None:
    """Python waits for threads at its end, also for one that a store's client is stuck in."""

    def leave() -> None:
        time.sleep(_LEAVE_SECONDS)
        os._exit(code)

    threading.Thread(target=leave, name="leave", daemon=True).start()


def _open_session(job: JobRun) -> SparkSession:
    """The job's session; PySpark sets a handler of its own for SIGINT, which is taken back."""
    try:
        return open_session(job.launch)
    finally:
        if not is_guest():
            _stop_on_signals(job)


def _stop_on_signals(job: JobRun) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: job.cancellation.ask())
    if os.environ.get(STOP_WITH_PARENT) == "1":
        die_with_parent(os.getppid(), with_signal=signal.SIGTERM)
