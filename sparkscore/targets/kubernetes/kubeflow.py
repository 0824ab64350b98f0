"""The resource of Kubeflow's operator, sparkoperator.k8s.io/v1beta2. Control plane, pure."""

from __future__ import annotations

from typing import Any

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.kubernetes.resource import (
    DRIVER_CONTAINER,
    ENTRY_POINT,
    INSTANCES,
    KEPT_SECONDS,
    RETRY_SECONDS,
    SUBMISSION_RETRIES,
    build_conf,
    build_environment_sources,
    build_labels,
    build_metadata,
    get_gpu_resource,
)
from sparkscore.targets.kubernetes.settings import KubernetesSettings

GROUP, VERSION = "sparkoperator.k8s.io", "v1beta2"

_FIELDS_OF_THEIR_OWN = (
    *("spark.app.name", "spark.driver.cores", "spark.driver.memory"),
    *("spark.executor.cores", "spark.executor.instances", "spark.executor.memory"),
)


def build_resource(application: SparkApplication, settings: KubernetesSettings) -> dict[str, Any]:
    """The SparkApplication; what has a field of its own is no Spark property too."""
    conf = build_conf(application, settings)
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SparkApplication",
        "metadata": build_metadata(application, settings),
        "spec": {
            "type": "Python",
            "pythonVersion": "3",
            "mode": "cluster",
            "sparkVersion": settings.spark_version,
            **_build_image(settings),
            "mainApplicationFile": ENTRY_POINT,
            "arguments": list(application.arguments),
            "sparkConf": {
                key: value for key, value in conf.items() if key not in _FIELDS_OF_THEIR_OWN
            },
            "restartPolicy": _build_restart_policy(application.max_platform_retries),
            "timeToLiveSeconds": KEPT_SECONDS,
            "driver": _build_driver(application, settings, conf),
            "executor": _build_executor(application, settings, conf),
        },
    }


def _build_image(settings: KubernetesSettings) -> dict[str, Any]:
    image: dict[str, Any] = {"image": settings.image}
    if settings.image_pull_policy:
        image["imagePullPolicy"] = settings.image_pull_policy
    if settings.image_pull_secrets:
        image["imagePullSecrets"] = list(settings.image_pull_secrets)
    return image


def _build_restart_policy(retries: int) -> dict[str, Any]:
    """The driver runs again after any failure; it goes on from what is staged."""
    if retries == 0:
        return {"type": "Never"}
    return {
        "type": "OnFailure",
        "onFailureRetries": retries,
        "onFailureRetryInterval": RETRY_SECONDS,
        "onSubmissionFailureRetries": SUBMISSION_RETRIES,
        "onSubmissionFailureRetryInterval": RETRY_SECONDS,
    }


def _build_driver(
    application: SparkApplication, settings: KubernetesSettings, conf: dict[str, str]
) -> dict[str, Any]:
    driver: dict[str, Any] = {
        "cores": int(conf["spark.driver.cores"]),
        **_find_memory(conf, "driver"),
    }
    if settings.service_account:
        driver["serviceAccount"] = settings.service_account
    if application.timeout_seconds is not None:
        driver["template"] = {
            "spec": {
                "activeDeadlineSeconds": application.timeout_seconds,
                "containers": [{"name": DRIVER_CONTAINER}],
            }
        }
    return {**driver, **_build_pod(application, settings)}


def _build_executor(
    application: SparkApplication, settings: KubernetesSettings, conf: dict[str, str]
) -> dict[str, Any]:
    resources = application.resources
    executor: dict[str, Any] = {}
    if INSTANCES in conf:
        executor["instances"] = int(conf[INSTANCES])
    if resources.cores_per_executor is not None:
        executor["cores"] = resources.cores_per_executor
    executor |= _find_memory(conf, "executor")
    if resources.gpus_per_executor:
        quantity = resources.gpus_per_executor
        executor["gpu"] = {"name": get_gpu_resource(conf), "quantity": quantity}
    return {**executor, **_build_pod(application, settings)}


def _find_memory(conf: dict[str, str], role: str) -> dict[str, Any]:
    memory = conf.get(f"spark.{role}.memory")
    return {} if memory is None else {"memory": memory}


def _build_pod(application: SparkApplication, settings: KubernetesSettings) -> dict[str, Any]:
    pod: dict[str, Any] = {"labels": build_labels(application)}
    if settings.node_selector:
        pod["nodeSelector"] = dict(settings.node_selector)
    if settings.environment_from_secrets:
        pod["envFrom"] = build_environment_sources(settings)
    return pod
