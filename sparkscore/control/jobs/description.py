"""What a job was told, for people: its launch message without secrets. Control plane, pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparkscore.control.jobs.job import Job
from sparkscore.control.jobs.mlflow_run import RUN_ID as RUN_ID
from sparkscore.control.jobs.mlflow_run import RUN_URL as RUN_URL
from sparkscore.control.jobs.mlflow_run import is_secret
from sparkscore.messages.launch import LAUNCH_FILE
from sparkscore.storage import redact

HIDDEN = "(not shown)"


def find_launch(job: Job) -> dict[str, Any] | None:
    """The launch message as JSON types; None if it is not on this machine.

    Values of environment variables, and of Spark settings that sound like secrets, are hidden.
    """
    try:
        content = json.loads(Path(job.record.folder, LAUNCH_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return hide_secrets(content) if isinstance(content, dict) else None


def hide_secrets(content: Mapping[str, Any], *above: str) -> dict[str, Any]:
    """A document of a job as it may be shown."""
    return {key: _hide(value, *above, key) for key, value in content.items()}


def _hide(value: Any, *path: str) -> Any:
    if isinstance(value, dict):
        return hide_secrets(value, *path)
    if value not in (None, "") and is_secret(path):
        return HIDDEN
    if isinstance(value, list):
        return [_hide(each, *path) for each in value]
    return redact(value) if isinstance(value, str) else value
