"""Applications and computes for Kubernetes, as the control plane makes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml

from sparkscore.plan.spark_application import SparkApplication, plan_spark_application
from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.kubernetes import KubernetesTarget
from sparkscore.targets.kubernetes.compile import RESOURCE_FILES
from sparkscore.targets.kubernetes.settings import MASTER

IMAGE = "sparkscore:tests"


def make_application(
    name: str = "nightly",
    *,
    staging: str = "s3://bucket/staging",
    compute: dict[str, Any] | None = None,
    max_platform_retries: int = 1,
    timeout_seconds: int | None = None,
    **asked: Any,
) -> SparkApplication:
    """The application of job ``name`` for a compute with an image and the keys ``compute``."""
    folder = f"{staging}/{name}"
    application = plan_spark_application(
        name,
        entry_point=f"{folder}/score.py",
        launch_path=f"{folder}/launch.json",
        job_folder=folder,
        machine=None,
        master=MASTER,
        **asked,
    )
    return replace(
        application,
        platform={"image": IMAGE, **(compute or {})},
        max_platform_retries=max_platform_retries,
        timeout_seconds=timeout_seconds,
        staging=folder,
    )


def compile_sample(name: str = "nightly", **given: Any) -> CompiledApplication:
    """The same, compiled."""
    return KubernetesTarget().compile(make_application(name, **given))


def build_resource(operator: str, name: str = "nightly", **given: Any) -> dict[str, Any]:
    """The resource for ``operator``, as kubectl would read it."""
    text = compile_sample(name, **given).files[RESOURCE_FILES[operator]]
    resource: dict[str, Any] = yaml.safe_load(text)
    return resource
