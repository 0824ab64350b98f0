"""What operators and pods say of a run, in the words of ``RemoteStatus``. Control plane, pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkscore.targets.base import RemoteStatus, RunState

_KUBEFLOW_STATES: dict[str, RunState] = {
    "": "pending",
    "NEW": "pending",
    "SUBMITTED": "pending",
    "SUBMISSION_FAILED": "pending",  # tried again, or FAILED follows
    "PENDING_SUBMISSION": "pending",
    "PENDING_RERUN": "pending",
    "INVALIDATING": "pending",
    "SUSPENDING": "pending",
    "SUSPENDED": "pending",
    "RESUMING": "pending",
    "RUNNING": "running",
    "SUCCEEDING": "running",
    "FAILING": "running",
    "COMPLETED": "succeeded",
    "FAILED": "failed",
}
_APACHE_STATES: dict[str, RunState] = {
    "": "pending",
    "Submitted": "pending",
    "ScheduledToRestart": "pending",
    "DriverRequested": "pending",
    "DriverStarted": "running",
    "DriverReady": "running",
    "InitializedBelowThresholdExecutors": "running",
    "RunningHealthy": "running",
    "RunningWithPartialCapacity": "running",
    "RunningWithBelowThresholdExecutors": "running",
    "Succeeded": "succeeded",
    "Failed": "failed",
    "SchedulingFailure": "failed",
    "DriverEvicted": "failed",
    "DriverStartTimedOut": "failed",
    "DriverReadyTimedOut": "failed",
    "ExecutorsStartTimedOut": "failed",
}
_APACHE_ENDS = ("ResourceReleased", "TerminatedWithoutReleaseResources")
_HARMLESS = ("ContainerCreating", "PodInitializing", "Completed")


def read_kubeflow_status(resource: Mapping[str, Any]) -> RemoteStatus:
    """The status of a resource of Kubeflow's operator; none before the operator has seen it."""
    found = _get(resource, "status", "applicationState")
    state = str(found.get("state") or "")
    return RemoteStatus(
        _KUBEFLOW_STATES.get(state, "unknown"), _join(state, str(found.get("errorMessage") or ""))
    )


def read_apache_status(resource: Mapping[str, Any]) -> RemoteStatus:
    """The status of a resource of Apache's operator.

    It tells of a failure before it tells of the restart that follows: that is pending, not failed.
    """
    found = _get(resource, "status", "currentState")
    summary = str(found.get("currentStateSummary") or "")
    told = summary
    if summary in _APACHE_ENDS:
        summary = _find_apache_end(resource)
    state = _APACHE_STATES.get(summary, "unknown")
    if state == "failed" and told == summary and _restarts(resource):
        state = "pending"
    return RemoteStatus(state, _join(summary, str(found.get("message") or "")))


def explain_pod(pod: Mapping[str, Any]) -> str:
    """Why a pod does not run, or how it failed; empty if there is nothing to tell."""
    status = _get(pod, "status")
    reasons = [_join(status.get("reason"), status.get("message"))]
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reasons.append(_join(condition.get("reason"), condition.get("message")))
    for container in status.get("containerStatuses") or ():
        reasons.append(_explain_container(container.get("state") or {}))
    told = "; ".join(reason for reason in reasons if reason)
    return f"pod {_get(pod, 'metadata').get('name')}: {told}" if told else ""


def find_newest(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The pod of the latest attempt."""
    return max(
        pods,
        key=lambda pod: str(_get(pod, "metadata").get("creationTimestamp") or ""),
        default=None,
    )


def find_last_words(log: str) -> str:
    """The line of a driver's log that tells how it ended, empty if there is none."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("sparkscore: ")]
    return (own or lines or [""])[-1]


def _explain_container(state: Mapping[str, Any]) -> str:
    waiting, terminated = _get(state, "waiting"), _get(state, "terminated")
    if waiting and waiting.get("reason") not in _HARMLESS:
        return _join(waiting.get("reason"), waiting.get("message"))
    if terminated and terminated.get("exitCode") != 0:
        reason = f"{terminated.get('reason') or 'Error'}, exit code {terminated.get('exitCode')}"
        return _join(reason, terminated.get("message"))
    return ""


def _find_apache_end(resource: Mapping[str, Any]) -> str:
    """How it ended before its pods were released; states are numbered in their order."""
    history = _get(resource, "status", "stateTransitionHistory")
    for number in sorted(history, key=lambda text: (len(text), text), reverse=True):
        summary = str(_get(history, number).get("currentStateSummary") or "")
        if _APACHE_STATES.get(summary) in ("succeeded", "failed"):
            return summary
    return "Failed"


def _restarts(resource: Mapping[str, Any]) -> bool:
    config = _get(resource, "spec", "applicationTolerations", "restartConfig")
    if config.get("restartPolicy", "Never") == "Never":
        return False
    attempt = _get(resource, "status", "currentAttemptSummary", "attemptInfo")
    return int(attempt.get("restartCounter") or 0) < int(config.get("maxRestartAttempts") or 0)


def _get(mapping: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        mapping = mapping.get(key) or {}
    return mapping


def _join(reason: object, message: object) -> str:
    return ": ".join(str(part).strip() for part in (reason, message) if part)
