"""Asks for a job's cancellation. Control plane."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sparkscore.control.jobs.look import change_job
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.jobs.start import start_launcher
from sparkscore.control.webhooks.telling import note_job, tell_ends
from sparkscore.errors import InvalidTransitionError
from sparkscore.messages.status import CANCELED
from sparkscore.state import JobRecord
from sparkscore.state.job_status import CANCEL_REQUESTED, advance, is_terminal, is_waiting

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace


def cancel_record(workspace: Workspace, record: JobRecord) -> JobRecord:
    """The record of a job that is Canceled now, or asked to be.

    ``record`` is what can be seen of the job. Raises InvalidTransitionError (JOB_ENDED).
    """
    if is_terminal(record.status):
        raise _ended(record)
    note_job(workspace, record.name)
    changed = change_job(workspace.store, record.name, _cancel)
    has_driver = changed.driver is not None or changed.remote is not None
    if has_driver and not is_terminal(changed.status) and is_alive(changed.launcher) is False:
        start_launcher(workspace.store, changed.name, workspace_folder=workspace.folder)
    if is_terminal(changed.status):
        tell_ends(workspace)
    return changed


def _cancel(record: JobRecord) -> JobRecord:
    if is_terminal(record.status):
        raise _ended(record)
    if record.driver is None and is_waiting(record):
        return advance(record, CANCELED, at=time.time())
    return advance(record, CANCEL_REQUESTED, at=time.time())


def _ended(record: JobRecord) -> InvalidTransitionError:
    return InvalidTransitionError(
        f"job {record.name} has ended ({record.status}): there is nothing to cancel",
        condition="JOB_ENDED",
        job=record.name,
        status=record.status,
    )
