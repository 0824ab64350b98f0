"""The target ``spark-submit``: a standalone Spark cluster. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.base import ON_SPARK, Capability, CompiledApplication, TargetRun
from sparkscore.targets.spark_submit.compile import MASTER, NAME, compile_application
from sparkscore.targets.spark_submit.submit import get_environment, submit_application


@dataclass(frozen=True)
class SparkSubmitTarget:
    """``--compute spark://HOST:PORT``."""

    name: str = NAME
    master: str | None = MASTER
    compute_type: str | None = None
    own_folders: tuple[str, ...] = ()
    capabilities: frozenset[Capability] = ON_SPARK

    def compile(self, application: SparkApplication) -> CompiledApplication:
        return compile_application(application)

    def get_environment(
        self, environment: Mapping[str, str], *, master: str | None, is_detached: bool = False
    ) -> dict[str, str]:
        assert master is not None, "registry.get_compute gives spark-submit a master"
        return get_environment(environment, master=master, is_detached=is_detached)

    def submit(
        self, compiled: CompiledApplication, *, environment: Mapping[str, str], log_file: Path
    ) -> TargetRun:
        return submit_application(compiled, environment=environment, log_file=log_file)
