"""A job for an operator on Kubernetes: one resource in the words of two. Control plane, pure."""

from __future__ import annotations

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.spec import render_yaml
from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.kubernetes import apache, kubeflow
from sparkscore.targets.kubernetes.settings import APACHE, KUBEFLOW, read_settings
from sparkscore.targets.spark_submit.compile import ENTRY_FILE, ENTRY_POINT

NAME = "kubernetes"

RESOURCE_FILES = {KUBEFLOW: "sparkapplication.yaml", APACHE: "sparkapplication-apache.yaml"}
"""The file with the resource, for each operator."""


def compile_application(application: SparkApplication) -> CompiledApplication:
    """The resources of both operators as YAML, for ``kubectl apply`` or ``submit``.

    Raises InvalidFieldError if the compute lacks an image or has what Kubernetes would refuse.
    """
    settings = read_settings(application.platform)
    bodies = {
        KUBEFLOW: kubeflow.build_resource(application, settings),
        APACHE: apache.build_resource(application, settings),
    }
    files = {RESOURCE_FILES[operator]: render_yaml(body) for operator, body in bodies.items()}
    return CompiledApplication(
        target=NAME,
        arguments=application.arguments,
        files={ENTRY_FILE: ENTRY_POINT, **files},
        packages=True,
    )
