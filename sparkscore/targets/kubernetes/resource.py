"""What the resources of both operators have in common. Control plane, pure."""

from __future__ import annotations

from typing import Any

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.kubernetes.names import make_resource_name
from sparkscore.targets.kubernetes.settings import KubernetesSettings

ENTRY_POINT = "local:///opt/sparkscore/jobs/score.py"
"""Our image has it there."""

JOB_NAME = "sparkscore/job-name"
"""Annotation with the job's own name."""

INSTANCE = "app.kubernetes.io/instance"
"""Label of the resource and of its pods, by which they are found."""

DRIVER_CONTAINER, EXECUTOR_CONTAINER = "spark-kubernetes-driver", "spark-kubernetes-executor"

RETRY_SECONDS = 30
SUBMISSION_RETRIES = 3
KEPT_SECONDS = 7 * 24 * 3600
"""How long an operator keeps the resource of an ended run."""

GPU_AMOUNT = "spark.executor.resource.gpu.amount"
_GPU_VENDOR = "spark.executor.resource.gpu.vendor"
_GPU_DEFAULTS = {
    _GPU_VENDOR: "nvidia.com",
    "spark.executor.resource.gpu.discoveryScript": (
        "/opt/spark/examples/src/main/scripts/getGpusResources.sh"
    ),
}


def build_metadata(application: SparkApplication, settings: KubernetesSettings) -> dict[str, Any]:
    """Name, namespace, labels and annotations of the resource."""
    return {
        "name": make_resource_name(application.name),
        "namespace": settings.namespace,
        "labels": build_labels(application),
        "annotations": {JOB_NAME: application.name},
    }


def build_labels(application: SparkApplication) -> dict[str, str]:
    """Labels of the resource and of its pods."""
    return {
        "app.kubernetes.io/managed-by": "sparkscore",
        INSTANCE: make_resource_name(application.name),
    }


def build_conf(application: SparkApplication, settings: KubernetesSettings) -> dict[str, str]:
    """Spark's properties, sorted: the application's, with memory and GPUs as the compute says."""
    conf = {
        **({"spark.driver.memory": settings.driver_memory} if settings.driver_memory else {}),
        **({"spark.executor.memory": settings.executor_memory} if settings.executor_memory else {}),
        "spark.driver.cores": str(settings.driver_cores),
        **(_GPU_DEFAULTS if application.resources.gpus_per_executor else {}),
        **application.conf,
    }
    return dict(sorted(conf.items()))


def get_gpu_resource(conf: dict[str, str]) -> str:
    """The resource that a node's plugin offers, ``nvidia.com/gpu`` if nothing else is said."""
    return f"{conf[_GPU_VENDOR]}/gpu"


def build_environment_sources(settings: KubernetesSettings) -> list[dict[str, Any]]:
    """``envFrom`` of a container: secrets by name."""
    return [{"secretRef": {"name": name}} for name in settings.environment_from_secrets]
