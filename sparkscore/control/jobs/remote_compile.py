"""Compiles a job for the platform of its compute, from what its record keeps. Control plane."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparkscore.errors import UnknownTargetError
from sparkscore.messages.launch import LAUNCH_FILE, LaunchMessage
from sparkscore.plan.launch_overrides import RUN_NUMBER
from sparkscore.plan.spark_application import SparkApplication, plan_launched_application
from sparkscore.targets.base import CompiledApplication, Platform, Target
from sparkscore.targets.registry import get_target

_PACKAGES = {
    "databricks": "sparkscore.targets.databricks",
    "kubernetes": "sparkscore.targets.kubernetes",
}
_DEFAULT_RETRIES = 1
NOT_SUBMITTED: Mapping[str, Any] = {
    "run_id": None,
    "is_asked_for": False,
    "url": None,
    "state": None,
    "message": "",
}
"""What ``remote`` of a job's record says of a run that its platform has not been asked for."""


def open_platform(document: Mapping[str, Any]) -> Platform:
    """The platform that a compute's document describes; nothing is reached yet.

    Raises InvalidFieldError, MissingDependencyError, or UnknownTargetError for another type.
    """
    package = _PACKAGES.get(str(document.get("type")))
    if package is None:
        raise UnknownTargetError(
            f"no jobs run on a platform of type {document.get('type')!r}",
            target=document.get("type"),
        )
    platform: Platform = importlib.import_module(package).platform_for(document)
    return platform


def get_platform_target(document: Mapping[str, Any]) -> Target:
    """What compiles for the platform of a compute's document."""
    return get_target(str(document["type"]))


def list_driver_words(remote: Mapping[str, Any]) -> tuple[str, ...]:
    """What follows the launch message on a driver's command line: its store's options, its run."""
    options = sorted(remote["options"].items())
    words = (word for key, value in options for word in ("--option", f"{key}={value}"))
    return (*words, RUN_NUMBER, str(remote["run"]))


def compile_remote(launch: LaunchMessage, remote: Mapping[str, Any]) -> CompiledApplication:
    """The application of a staged job; ``remote`` is that of its record."""
    document = remote["document"]
    target = get_platform_target(document)
    return target.compile(_plan(launch, remote, master=target.master))


def _plan(
    launch: LaunchMessage, remote: Mapping[str, Any], *, master: str | None
) -> SparkApplication:
    staging, document = str(remote["folder"]), remote["document"]
    application = plan_launched_application(
        replace(launch, master=launch.master or master),
        entry_point=f"{staging}/score.py",
        launch_path=f"{staging}/{LAUNCH_FILE}",
        machine=None,
        py_files=(f"{staging}/sparkscore.zip",),
    )
    return replace(
        application,
        arguments=(application.arguments[0], *list_driver_words(remote)),
        staging=staging,
        platform=document,
        max_platform_retries=document.get("max_platform_retries", _DEFAULT_RETRIES),
        timeout_seconds=document.get("timeout_seconds"),
        input_uri=launch.input.uri,
        output_path=launch.output.path,
    )
