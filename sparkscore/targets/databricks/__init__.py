"""The targets ``databricks`` and ``databricks-bundle``: clusters of a workspace. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkscore.plan.launch_overrides import PLATFORM_FOLDERS
from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.base import Capability, CompiledApplication, Platform
from sparkscore.targets.databricks.compile import (
    BUNDLE_NAME,
    compile_application,
    compile_bundle,
)
from sparkscore.targets.databricks.settings import MASTER, NAME, read_host
from sparkscore.targets.databricks.submit import DatabricksPlatform

CAPABILITIES = frozenset(Capability) - {
    Capability.LOCAL_PATHS,
    Capability.DELTA_IN_VOLUME,
    Capability.STANDARD_ACCESS,
    Capability.SERVERLESS,
}


@dataclass(frozen=True)
class DatabricksTarget:
    """A compute of type ``databricks``."""

    name: str = NAME
    master: str | None = MASTER
    compute_type: str | None = NAME
    own_folders: tuple[str, ...] = PLATFORM_FOLDERS
    capabilities: frozenset[Capability] = CAPABILITIES

    def compile(self, application: SparkApplication) -> CompiledApplication:
        return compile_application(application)


@dataclass(frozen=True)
class DatabricksBundleTarget:
    """A bundle for ``databricks bundle deploy``; it is compiled here and deployed by its user."""

    name: str = BUNDLE_NAME
    master: str | None = MASTER
    compute_type: str | None = NAME
    own_folders: tuple[str, ...] = PLATFORM_FOLDERS
    capabilities: frozenset[Capability] = CAPABILITIES - {Capability.RUN}

    def compile(self, application: SparkApplication) -> CompiledApplication:
        return compile_bundle(application)


def platform_for(platform_document: Mapping[str, Any]) -> Platform:
    """The workspace that a compute's keys name; nothing is reached yet.

    Raises InvalidFieldError for a host that no credentials may be sent to.
    """
    return DatabricksPlatform(read_host(platform_document))
