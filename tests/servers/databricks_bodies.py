"""The part of the Jobs API 2.2 that is spoken to it, field by field; all else is refused.

From databricks-sdk's dataclasses, which are lenient: they drop unknown keys and take any type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AutoScale(Body):
    min_workers: Annotated[int, Field(ge=1)]
    max_workers: Annotated[int, Field(ge=1)]


class Destination(Body):
    destination: Text


class InitScript(Body):
    volumes: Destination | None = None
    workspace: Destination | None = None
    abfss: Destination | None = None
    gcs: Destination | None = None

    @model_validator(mode="after")
    def one(self) -> InitScript:
        assert len(self.model_dump(exclude_none=True)) == 1
        return self


class DockerImage(Body):
    url: Text


class NewCluster(Body):
    """Only dedicated access mode; the older words for it are aliases."""

    spark_version: Annotated[str, StringConstraints(pattern=r"^(\d+\.\d+\.x-[\w.-]+|custom:\S+)$")]
    data_security_mode: Literal["DATA_SECURITY_MODE_DEDICATED"]
    node_type_id: Text | None = None
    driver_node_type_id: Text | None = None
    instance_pool_id: Text | None = None
    policy_id: Text | None = None
    num_workers: Annotated[int, Field(ge=1)] | None = None
    autoscale: AutoScale | None = None
    spark_conf: dict[Text, str]
    spark_env_vars: dict[Text, str] = {}
    init_scripts: list[InitScript] = []
    docker_image: DockerImage | None = None

    @model_validator(mode="after")
    def machines(self) -> NewCluster:
        assert (self.num_workers is None) != (self.autoscale is None)
        assert self.node_type_id or self.instance_pool_id or self.policy_id
        return self


class Pypi(Body):
    package: Text


class Library(Body):
    pypi: Pypi | None = None
    whl: Text | None = None
    jar: Text | None = None
    requirements: Text | None = None

    @model_validator(mode="after")
    def one(self) -> Library:
        assert len(self.model_dump(exclude_none=True)) == 1
        return self


class SparkPythonTask(Body):
    python_file: Text
    parameters: list[str]


class Task(Body):
    task_key: Key
    spark_python_task: SparkPythonTask
    libraries: list[Library]
    max_retries: Annotated[int, Field(ge=-1)]
    min_retry_interval_millis: Annotated[int, Field(ge=0)] | None = None
    retry_on_timeout: bool | None = None


class SubmitTask(Task):
    new_cluster: NewCluster


class JobTask(Task):
    job_cluster_key: Key


class RunsSubmit(Body):
    run_name: Text
    idempotency_token: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    timeout_seconds: Annotated[int, Field(ge=1)] | None = None
    tasks: Annotated[list[SubmitTask], Field(min_length=1, max_length=100)]


class JobCluster(Body):
    job_cluster_key: Key
    new_cluster: NewCluster


class Parameter(Body):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")]
    default: str


class Queue(Body):
    enabled: bool


class Schedule(Body):
    quartz_cron_expression: Text
    timezone_id: Text
    pause_status: Literal["PAUSED", "UNPAUSED"]


class JobSettings(Body):
    name: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    tags: dict[str, str]
    max_concurrent_runs: Annotated[int, Field(ge=0, le=1000)]
    queue: Queue
    timeout_seconds: Annotated[int, Field(ge=1)] | None = None
    schedule: Schedule | None = None
    parameters: list[Parameter]
    job_clusters: list[JobCluster]
    tasks: Annotated[list[JobTask], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def clusters(self) -> JobSettings:
        known = {cluster.job_cluster_key for cluster in self.job_clusters}
        assert {task.job_cluster_key for task in self.tasks} == known
        return self


class RunNow(Body):
    job_id: int
    idempotency_token: Annotated[str, StringConstraints(max_length=64)] | None = None
    job_parameters: dict[str, str] = {}


class Variable(Body):
    description: Text
    default: str


class BundleName(Body):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]


class Sync(Body):
    include: list[Text]


class Jobs(Body):
    jobs: dict[Key, JobSettings]


class BundleWorkspace(Body):
    host: Annotated[str, StringConstraints(pattern=r"^https?://[^/]+$")]
    root_path: Text | None = None


class BundleTarget(Body):
    mode: Literal["development", "production"]
    default: bool = False
    workspace: BundleWorkspace


class Bundle(Body):
    """``databricks.yml``, its variables resolved."""

    bundle: BundleName
    sync: Sync
    variables: dict[str, Variable]
    resources: Jobs
    targets: dict[str, BundleTarget]


def resolve_variables(document: Mapping[str, Any]) -> dict[str, Any]:
    """``${var.name}`` replaced by the defaults, as the bundle's own tool does it."""
    defaults = {name: entry["default"] for name, entry in document["variables"].items()}

    def resolve(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        if isinstance(value, str):
            for name, default in defaults.items():
                value = value.replace("${var." + name + "}", default)
        return value

    return {**{key: resolve(value) for key, value in document.items()}}
