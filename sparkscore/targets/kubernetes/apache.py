"""The resource of Apache Spark's own operator, spark.apache.org/v1. Control plane, pure."""

from __future__ import annotations

from typing import Any

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.kubernetes.resource import (
    DRIVER_CONTAINER,
    ENTRY_POINT,
    EXECUTOR_CONTAINER,
    KEPT_SECONDS,
    RETRY_SECONDS,
    build_conf,
    build_environment_sources,
    build_labels,
    build_metadata,
)
from sparkscore.targets.kubernetes.settings import KubernetesSettings

GROUP, VERSION = "spark.apache.org", "v1"

_KUBERNETES = "spark.kubernetes"


def build_resource(application: SparkApplication, settings: KubernetesSettings) -> dict[str, Any]:
    """The SparkApplication; this operator takes nearly everything as Spark properties."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SparkApplication",
        "metadata": build_metadata(application, settings),
        "spec": {
            "runtimeVersions": {"sparkVersion": settings.spark_version},
            "deploymentMode": "ClusterMode",
            "pyFiles": ENTRY_POINT,
            "driverArgs": list(application.arguments),
            "sparkConf": _build_conf(application, settings),
            "driverSpec": _build_driver(application, settings),
            "executorSpec": _build_pod(application, settings, container=EXECUTOR_CONTAINER),
            "applicationTolerations": {
                "restartConfig": _build_restarts(application.max_platform_retries),
                "resourceRetainPolicy": "OnFailure",
                "resourceRetainDurationMillis": KEPT_SECONDS * 1000,
                "ttlAfterStopMillis": KEPT_SECONDS * 1000,
            },
        },
    }


def _build_conf(application: SparkApplication, settings: KubernetesSettings) -> dict[str, str]:
    container = f"{_KUBERNETES}.container.image"
    conf = {
        **build_conf(application, settings),
        f"{_KUBERNETES}.namespace": settings.namespace,
        container: settings.image,
    }
    if settings.image_pull_policy:
        conf[f"{container}.pullPolicy"] = settings.image_pull_policy
    if settings.image_pull_secrets:
        conf[f"{container}.pullSecrets"] = ",".join(settings.image_pull_secrets)
    if settings.service_account:
        key = f"{_KUBERNETES}.authenticate.driver.serviceAccountName"
        conf[key] = settings.service_account
    for label, value in settings.node_selector.items():
        conf[f"{_KUBERNETES}.node.selector.{label}"] = value
    return dict(sorted(conf.items()))


def _build_driver(application: SparkApplication, settings: KubernetesSettings) -> dict[str, Any]:
    driver = _build_pod(application, settings, container=DRIVER_CONTAINER)
    if application.timeout_seconds is not None:
        pod = driver["podTemplateSpec"]["spec"]
        pod["activeDeadlineSeconds"] = application.timeout_seconds
    return driver


def _build_pod(
    application: SparkApplication, settings: KubernetesSettings, *, container: str
) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": container}
    if settings.environment_from_secrets:
        spec["envFrom"] = build_environment_sources(settings)
    return {
        "podTemplateSpec": {
            "metadata": {"labels": build_labels(application)},
            "spec": {"containers": [spec]},
        }
    }


def _build_restarts(retries: int) -> dict[str, Any]:
    if retries == 0:
        return {"restartPolicy": "Never"}
    return {
        "restartPolicy": "OnFailure",
        "maxRestartAttempts": retries,
        "restartBackoffMillis": RETRY_SECONDS * 1000,
    }
