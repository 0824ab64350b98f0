"""The cluster of a Databricks job: machines, runtime, Spark's properties, libraries. Control plane,
pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparkscore.errors import InvalidFieldError
from sparkscore.plan.spark_application import DELTA_CONF, SparkApplication
from sparkscore.targets.databricks.settings import DatabricksSettings

_PYDANTIC_2_RUNTIME = (17, 0)
"""The first runtime that has pydantic 2; those before have 1."""

_ALWAYS = ("fsspec>=2024.2",)
_STORES = {
    "s3": "s3fs>=2024.2",
    "s3a": "s3fs>=2024.2",
    "abfs": "adlfs>=2024.2",
    "abfss": "adlfs>=2024.2",
    "wasbs": "adlfs>=2024.2",
    "gs": "gcsfs>=2024.2",
    "gcs": "gcsfs>=2024.2",
}
_EXTENSIONS = "spark.sql.extensions"
_OF_THE_PLATFORM = frozenset(
    {
        "spark.app.name",
        "spark.master",
        "spark.cores.max",
        "spark.executor.instances",
        "spark.executor.resource.gpu.amount",
        "spark.executor.resource.gpu.discoveryScript",
        "spark.executor.resource.gpu.vendor",
        "spark.python.unix.domain.socket.enabled",
    }
)
"""The platform sets these itself, from the number and kind of machines."""


def build_cluster(application: SparkApplication, settings: DatabricksSettings) -> dict[str, Any]:
    """``new_cluster``: a job cluster in dedicated access mode.

    Raises InvalidFieldError (GPU_RUNTIME_NEEDED) if scripts want GPUs that the runtime cannot use.
    """
    _check_gpus(application, settings)
    cluster: dict[str, Any] = {
        "spark_version": settings.spark_version,
        **_build_machines(settings),
        **_build_size(application, settings),
        "data_security_mode": settings.data_security_mode,
        "spark_conf": build_conf(application.conf),
    }
    if settings.spark_env_vars:
        cluster["spark_env_vars"] = dict(settings.spark_env_vars)
    if settings.init_scripts:
        cluster["init_scripts"] = [dict(script) for script in settings.init_scripts]
    if settings.docker_image:
        cluster["docker_image"] = {"url": settings.docker_image}
    return cluster


def build_conf(conf: Mapping[str, str]) -> dict[str, str]:
    """The application's Spark properties, sorted, but for those that the runtime sets itself."""
    kept = {
        key: value
        for key, value in conf.items()
        if key not in _OF_THE_PLATFORM and DELTA_CONF.get(key) != value
    }
    if _EXTENSIONS in kept:
        others = [name for name in kept[_EXTENSIONS].split(",") if name != DELTA_CONF[_EXTENSIONS]]
        kept[_EXTENSIONS] = ",".join(others)
    return dict(sorted(kept.items()))


def build_libraries(
    settings: DatabricksSettings, *, locations: Iterable[str]
) -> list[dict[str, Any]]:
    """What the runtime lacks: pydantic 2, the packages of the stores at ``locations``; then those
    of the compute, which come last and so decide.
    """
    packages = list(_ALWAYS)
    if settings.runtime is None or settings.runtime < _PYDANTIC_2_RUNTIME:
        packages.append("pydantic>=2.7,<3")
    packages += sorted(
        {_STORES[scheme] for scheme in map(_scheme_of, locations) if scheme in _STORES}
    )
    own = [{"pypi": {"package": package}} for package in packages]
    return [*own, *(dict(library) for library in settings.libraries)]


def _scheme_of(location: str) -> str:
    scheme, separator, _ = location.partition("://")
    return scheme.lower() if separator else ""


def _check_gpus(application: SparkApplication, settings: DatabricksSettings) -> None:
    """Images of one's own may have drivers that nobody but their maker knows of."""
    gpus = application.resources.gpus_per_executor
    is_own = settings.runtime is None or settings.docker_image is not None
    if not gpus or is_own or "-gpu-" in settings.spark_version:
        return
    name, _, scala = settings.spark_version.partition("-")
    raise InvalidFieldError(
        f"resources.gpus is {gpus}, and runtime {settings.spark_version} of the compute has no "
        f"GPUs: give it a spark_version with gpu in its name, such as {name}-gpu-ml-"
        f"{scala.rpartition('-')[2]}, and a node_type_id with GPUs",
        condition="GPU_RUNTIME_NEEDED",
        key="spark_version",
        value=settings.spark_version,
    )


def _build_machines(settings: DatabricksSettings) -> dict[str, Any]:
    named = {
        "node_type_id": settings.node_type_id,
        "driver_node_type_id": settings.driver_node_type_id,
        "instance_pool_id": settings.instance_pool_id,
        "policy_id": settings.policy_id,
    }
    return {key: value for key, value in named.items() if value is not None}


def _build_size(application: SparkApplication, settings: DatabricksSettings) -> dict[str, Any]:
    """As many workers as the deployment asks for; else between the compute's bounds."""
    count = application.resources.executor_count
    if count is not None:
        return {"num_workers": count}
    least = max(1, settings.min_instances)
    if settings.max_instances is not None and settings.max_instances > least:
        return {"autoscale": {"min_workers": least, "max_workers": settings.max_instances}}
    return {"num_workers": least}
