"""Where a worker's script logs go: to the job folder, wherever the worker runs. Python worker.

The job's ``logs/`` is the first choice. A worker that does not see that folder, or may not write
to it, uses ``staging/logs/``, which every worker shares with the driver because results go there
too; the driver copies from it while the job runs.
"""

from __future__ import annotations

import os
import uuid

from sparkscore.executor.script_log import ScriptLog, open_script_log

SPOOL = os.path.join("staging", "logs")


def open_worker_log(job_folder: str, *, marker: str, scratch: str) -> ScriptLog:
    """The log of this worker; what is not copied yet stays below ``scratch`` (local paths).

    ``marker`` is the name that the driver has given a folder in each place: a folder without it is
    another one at the same path. Where no place can be used the log stays in ``scratch``.
    """
    process, raw = f"process-{os.getpid()}", os.path.join(scratch, ".log")
    spooled = f"{process}-{uuid.uuid4().hex[:8]}"
    for place, name in (("logs", process), (SPOOL, spooled)):
        folder = os.path.join(job_folder, place)
        if is_place(folder, marker):
            try:
                return open_script_log(folder, raw=raw, process=name)
            except OSError:
                continue
    return open_script_log(os.path.join(scratch, "logs"), raw=raw, process=process)


def open_private_log(folder: str, *, raw: str) -> ScriptLog:
    """A log below ``folder`` with names that no other worker of the job has."""
    process = f"process-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return open_script_log(folder, raw=raw, process=process)


def is_place(folder: str, marker: str) -> bool:
    """Whether ``folder`` is there and the driver's."""
    return os.path.isdir(os.path.join(folder, marker))
