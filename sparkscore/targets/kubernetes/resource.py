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

INSTANCES = "spark.executor.instances"

DRIVER_CONTAINER, EXECUTOR_CONTAINER = "spark-kubernetes-driver", "spark-kubernetes-executor"

RETRY_SECONDS = 30
SUBMISSION_RETRIES = 3
KEPT_SECONDS = 7 * 24 * 3600
"""How long an operator keeps the resource of an ended run."""

_DEFAULT_INSTANCES = 2
"""As many as Spark itself starts on Kubernetes if it is told no number."""

_DYNAMIC = "spark.dynamicAllocation.enabled"
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
    """Spark's properties, sorted: the application's, with machines as the compute says."""
    conf = {
        **({"spark.driver.memory": settings.driver_memory} if settings.driver_memory else {}),
        **({"spark.executor.memory": settings.executor_memory} if settings.executor_memory else {}),
        "spark.driver.cores": str(settings.driver_cores),
        **_get_instances(application, settings),
        **(_GPU_DEFAULTS if application.resources.gpus_per_executor else {}),
        **application.conf,
    }
    return dict(sorted(conf.items()))


def _get_instances(application: SparkApplication, settings: KubernetesSettings) -> dict[str, str]:
    """How many executors run where the deployment asks for no number; Spark may decide it."""
    if application.conf.get(_DYNAMIC, "").strip().lower() == "true":
        return {}
    count = settings.min_instances or _DEFAULT_INSTANCES
    return {INSTANCES: str(min(count, settings.max_instances or count))}


def get_gpu_resource(conf: dict[str, str]) -> str:
    """The resource that a node's plugin offers, ``nvidia.com/gpu`` if nothing else is said."""
    return f"{conf[_GPU_VENDOR]}/gpu"


def build_environment_sources(settings: KubernetesSettings) -> list[dict[str, Any]]:
    """``envFrom`` of a container: secrets by name."""
    return [{"secretRef": {"name": name}} for name in settings.environment_from_secrets]
