"""Hands the ends of jobs to the process that sends webhooks. Control plane.

A job is noted before it is launched, so that its end is told whoever sees it first: its launcher,
whoever cancels it, or, if the launcher was killed, whoever looks next. None of them waits for a
receiver, or fails because of one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkscore.control.jobs.look import refresh_job
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.jobs.start import wait_later
from sparkscore.control.webhooks.message import get_type, make_message_id, render_message
from sparkscore.control.webhooks.outbox import Delivery, Outbox
from sparkscore.errors import NotFoundError, SparkscoreError
from sparkscore.state.job_status import is_terminal
from sparkscore.targets.process import start_process

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace
    from sparkscore.state.records import JobRecord

MODULE = "sparkscore.control.webhooks.sender"
_SENDER_LOG = "sender.log"


def note_job(workspace: Workspace, name: str) -> None:
    """Note that the end of a job that has not ended is to be told, where somebody wants to know."""
    if workspace.config.webhooks:
        _carefully(workspace, lambda: _note_job(workspace, name))


def tell_ends(workspace: Workspace) -> None:
    """Leave a message for each noted job that has ended, and have the messages sent.

    Returns at once, and raises nothing: what goes wrong is said by ``workspace.on_message``.
    """
    if workspace.config.webhooks:
        _carefully(workspace, lambda: _tell_ends(workspace))


def _note_job(workspace: Workspace, name: str) -> None:
    record = _find_job(workspace, name)
    if record is not None and not is_terminal(record.status):
        Outbox(workspace.folder).note(name)


def _tell_ends(workspace: Workspace) -> None:
    outbox = Outbox(workspace.folder)
    if outbox.list_notes():
        with outbox.taking_notes():
            for name, record in _find_ended(workspace, outbox.list_notes()).items():
                if record is not None:
                    _write_messages(workspace, outbox, record)
                outbox.remove_note(name)
    if outbox.list_webhooks():
        command = (sys.executable, "-m", MODULE, str(workspace.folder))
        log_file = outbox.folder / _SENDER_LOG
        wait_later(start_process(command, environment=os.environ, log_file=log_file))


def _find_ended(workspace: Workspace, names: list[str]) -> dict[str, JobRecord | None]:
    """Those of these jobs that have ended, None for one that is not there."""
    with workspace.store.reading() as reader:
        active = {record.name: record for record in reader.list_active_jobs()}
    found: dict[str, JobRecord | None] = {}
    for name in names:
        record = active.get(name)
        if record is None:
            found[name] = _find_job(workspace, name)
        elif record.launcher is not None and is_alive(record.launcher) is False:
            refreshed = refresh_job(workspace.store, record)
            if is_terminal(refreshed.status):
                found[name] = refreshed
    return {name: one for name, one in found.items() if one is None or is_terminal(one.status)}


def _find_job(workspace: Workspace, name: str) -> JobRecord | None:
    try:
        with workspace.store.reading() as reader:
            return reader.get_job(name)
    except NotFoundError:
        return None


def _write_messages(workspace: Workspace, outbox: Outbox, record: JobRecord) -> None:
    from sparkscore.control.jobs.job import Job

    now = time.time()
    for webhook in workspace.config.webhooks:
        if record.status in webhook.statuses:
            outbox.put(
                Delivery(
                    id=make_message_id(workspace.name, record),
                    webhook=webhook.name,
                    job=record.name,
                    job_folder=record.folder,
                    type=get_type(record.status),
                    body=render_message(Job(record, workspace)),
                    made_at=now,
                    next_at=now,
                )
            )


def _carefully(workspace: Workspace, action: Callable[[], None]) -> None:
    """A job starts and ends as it does, whatever goes wrong with telling others."""
    try:
        action()
    except (SparkscoreError, OSError) as error:
        workspace.on_message(f"webhooks are not sent: {error}")
