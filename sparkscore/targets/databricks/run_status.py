"""What a workspace says of a run, in our words. Control plane, pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkscore.targets.base import RemoteStatus, RunState

_WAITING = frozenset({"BLOCKED", "PENDING", "QUEUED", "WAITING", "WAITING_FOR_RETRY"})
_RUNNING = frozenset({"RUNNING", "TERMINATING"})
_ENDED = frozenset({"INTERNAL_ERROR", "SKIPPED", "TERMINATED"})
_CANCELED = frozenset({"CANCELED", "UPSTREAM_CANCELED", "USER_CANCELED"})
_SUCCEEDED = frozenset({"SUCCESS", "SUCCESS_WITH_FAILURES"})


def read_status(run: Mapping[str, Any]) -> RemoteStatus:
    """The status in the answer of ``GET /api/2.2/jobs/runs/get``, of 2.1 too."""
    state, message = _read_state(run)
    tasks = [_read_state(task) for task in _get_list(run, "tasks")]
    if state == "running" and tasks and all(task == "pending" for task, _ in tasks):
        state, message = "pending", message or tasks[-1][1]  # its cluster is not there yet
    if not message and state in ("failed", "unknown"):
        message = next((text for _, text in reversed(tasks) if text), "")
    url = run.get("run_page_url")
    is_link = isinstance(url, str) and url.startswith(("https://", "http://"))
    return RemoteStatus(state, message, str(url) if is_link else None)


def _read_state(run: Mapping[str, Any]) -> tuple[RunState, str]:
    """State and message of a run or of a task, in the newer words or the older ones."""
    older, newer = _get_mapping(run, "state"), _get_mapping(run, "status")
    details = _get_mapping(newer, "termination_details")
    phase = _get_text(older, "life_cycle_state") or _get_text(newer, "state")
    result = _get_text(older, "result_state") or _get_text(details, "code")
    message = _get_text(older, "state_message") or _get_text(details, "message")
    if phase in _WAITING:
        return "pending", message
    if phase in _RUNNING:
        return "running", message
    if phase not in _ENDED:
        return "unknown", message or f"the platform says {phase or 'nothing'}"
    if phase == "TERMINATED" and result in _SUCCEEDED:
        return "succeeded", message
    if result in _CANCELED:
        return "canceled", message
    return "failed", _with_word(message, result or phase)


def _with_word(message: str, word: str) -> str:
    """The platform's message, and its word for what happened unless that says no more."""
    if word in ("FAILED", "TERMINATED", "RUN_EXECUTION_ERROR") and message:
        return message
    return f"{message} ({word})" if message else word


def _get_mapping(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, Mapping) else {}


def _get_list(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = holder.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _get_text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    return value.strip() if isinstance(value, str) else ""
