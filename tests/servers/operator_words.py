"""The two operators' words: what resources ask for, and how operators say how a run stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

APACHE_GROUP = "spark.apache.org"

_KUBEFLOW_WORDS = {
    "submitted": "SUBMITTED",
    "running": "RUNNING",
    "repeated": "PENDING_RERUN",
    "completed": "COMPLETED",
    "failed": "FAILED",
}
_APACHE_WORDS = {
    "submitted": ("Submitted", "DriverRequested"),
    "running": ("DriverStarted", "DriverReady", "RunningHealthy"),
    "repeated": ("Failed", "ScheduledToRestart"),
    "completed": ("Succeeded", "ResourceReleased"),
    "failed": ("Failed", "ResourceReleased"),
}


@dataclass(frozen=True)
class AskedRun:
    """What a resource asks for; ``entry_point`` is a path in the image."""

    image: str
    entry_point: str
    arguments: list[str]
    conf: dict[str, str]
    labels: dict[str, str]
    secrets: list[str]
    retries: int


def read_asked(group: str, spec: dict[str, Any]) -> AskedRun:
    """What the spec of a resource asks for."""
    if group == APACHE_GROUP:
        return _read_apache(spec)
    driver, policy = spec["driver"], spec.get("restartPolicy", {"type": "Never"})
    conf = dict(spec.get("sparkConf", {}))
    if "memory" in driver:
        conf["spark.driver.memory"] = driver["memory"]
    return AskedRun(
        image=spec["image"],
        entry_point=spec["mainApplicationFile"],
        arguments=spec.get("arguments", []),
        conf=conf,
        labels=driver.get("labels", {}),
        secrets=_list_secrets(driver),
        retries=policy["onFailureRetries"] if policy["type"] == "OnFailure" else 0,
    )


def _read_apache(spec: dict[str, Any]) -> AskedRun:
    template = spec["driverSpec"]["podTemplateSpec"]
    restarts = spec["applicationTolerations"]["restartConfig"]
    (container,) = template["spec"]["containers"]
    return AskedRun(
        image=spec["sparkConf"]["spark.kubernetes.container.image"],
        entry_point=spec["pyFiles"],
        arguments=spec.get("driverArgs", []),
        conf=dict(spec["sparkConf"]),
        labels=template["metadata"]["labels"],
        secrets=_list_secrets(container),
        retries=restarts.get("maxRestartAttempts", 0),
    )


def _list_secrets(container: dict[str, Any]) -> list[str]:
    return [source["secretRef"]["name"] for source in container.get("envFrom", ())]


def iter_statuses(
    group: str, before: dict[str, Any], phase: str, *, pod: str, attempt: int, error: str
) -> Iterator[dict[str, Any]]:
    """The statuses that a run goes through to reach ``phase``."""
    if group != APACHE_GROUP:
        state = {"state": _KUBEFLOW_WORDS[phase], **({"errorMessage": error} if error else {})}
        yield {"applicationState": state, "driverInfo": {"podName": pod}}
        return
    history = dict(before.get("stateTransitionHistory", {}))
    for word in _APACHE_WORDS[phase]:
        state = {"currentStateSummary": word, **({"message": error} if error else {})}
        history = {**history, str(len(history)): state}
        yield {
            "currentState": state,
            "stateTransitionHistory": history,
            "currentAttemptSummary": {"attemptInfo": {"id": attempt, "restartCounter": attempt}},
        }
