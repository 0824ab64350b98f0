"""The target ``kubernetes``: a cluster with an operator for Spark. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.base import ON_SPARK, Capability, CompiledApplication, Platform
from sparkscore.targets.kubernetes.compile import NAME, compile_application
from sparkscore.targets.kubernetes.settings import MASTER, read_settings
from sparkscore.targets.kubernetes.submit import KubernetesPlatform


@dataclass(frozen=True)
class KubernetesTarget:
    """A compute of type ``kubernetes``."""

    name: str = NAME
    master: str | None = MASTER
    compute_type: str | None = "kubernetes"
    own_folders: tuple[str, ...] = ()
    capabilities: frozenset[Capability] = ON_SPARK - {Capability.LOCAL_PATHS}

    def compile(self, application: SparkApplication) -> CompiledApplication:
        return compile_application(application)


def platform_for(platform_document: Mapping[str, Any]) -> Platform:
    """The platform that a compute's keys describe; nothing is reached yet.

    Raises InvalidFieldError for a key that Kubernetes would refuse.
    """
    return KubernetesPlatform(read_settings(platform_document))
