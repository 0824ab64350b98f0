"""A compute as its user wrote it: where jobs run. Any process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sparkscore.spec.grammar import MISSING_FIELD, Conflict, Document, Grammar, TypeKeys
from sparkscore.spec.locations import credentials_conflict
from sparkscore.spec.spark_conf import refused_spark_conf
from sparkscore.spec.types import (
    LARGEST,
    Allowed,
    AssetName,
    Count,
    RequiredText,
    RetryCount,
    Seconds,
    Spec,
    StringMap,
    Switch,
    Text,
    TextList,
)

_MASTER_PATTERN = r"^spark://[^\s/,:@]+:[0-9]{1,5}(,[^\s/,:@]+:[0-9]{1,5})*$"
_LIKE_AMLCOMPUTE = (
    "jobs run on this machine, a Spark cluster, Databricks or Kubernetes: use local, spark, "
    "databricks, kubernetes or amlcompute"
)
_HOST_PATTERN = r"^https?://[^\s/@?#]+/?$"
_STAGING_PATTERN = (
    r"^(azureml://datastores/[^/\s]+(/paths)?(/.*)?|[A-Za-z][A-Za-z0-9+.-]*://.+|/.+)$"
)
_QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?([kKmMgGtT]i?[bB]?)?$"
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY(?!_ID)|ACCOUNT_KEY|CONNECTION_STRING")
_KUBERNETES_NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"

ComputeType = Annotated[
    Literal["local", "spark", "databricks", "kubernetes", "amlcompute"],
    Allowed(
        "local, spark, databricks, kubernetes or amlcompute",
        hints={
            **dict.fromkeys(("computeinstance", "virtualmachine", "aks"), _LIKE_AMLCOMPUTE),
            "synapsespark": "use type spark with the master of a standalone cluster",
        },
    ),
]
Master = Annotated[
    str,
    Field(pattern=_MASTER_PATTERN),
    Allowed("the master of a standalone cluster: spark://HOST:PORT"),
]
Host = Annotated[
    str,
    Field(pattern=_HOST_PATTERN),
    Allowed("the address of a workspace: https://HOST"),
]
Staging = Annotated[
    str,
    Field(pattern=_STAGING_PATTERN),
    Allowed(
        "a folder that this machine and the platform both reach: azureml://datastores/<name>/"
        "paths/<path>, a URI of a store, or /Volumes/..."
    ),
]
KubernetesName = Annotated[
    str,
    Field(pattern=_KUBERNETES_NAME_PATTERN),
    Allowed("1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends"),
]
MemoryQuantity = Annotated[
    str,
    Field(pattern=_QUANTITY_PATTERN),
    Allowed("a size such as 512m or 4g"),
]
AccessMode = Annotated[
    Literal["dedicated", "single_user", "standard", "user_isolation", "serverless"],
    Allowed("dedicated"),
]
Environments = Annotated[Literal["auto", "build", "host"], Allowed("auto, build or host")]
Operator = Annotated[Literal["kubeflow", "apache"], Allowed("kubeflow or apache")]
PullPolicy = Annotated[
    Literal["Always", "IfNotPresent", "Never"], Allowed("Always, IfNotPresent or Never")
]


def _tier(name: object) -> object:
    lowered = name.lower().replace("_", "") if isinstance(name, str) else name
    return {"lowpriority": "low_priority", "dedicated": "dedicated"}.get(str(lowered), name)


Tier = Annotated[
    Literal["dedicated", "low_priority"],
    BeforeValidator(_tier),
    WithJsonSchema(
        {"type": "string", "pattern": "^([Dd]edicated|[Ll]ow_?[Pp]riority|low_priority)$"}
    ),
    Allowed("dedicated or low_priority"),
]
IdleSeconds = Annotated[
    int, Field(ge=0, le=LARGEST), Allowed("a whole number of seconds of at least 0")
]


class SshSettings(Spec):
    """Who may log in to a node."""

    admin_username: Text | None = Field(default=None, description="Name of the user. Recorded.")
    ssh_key_value: Text | None = Field(default=None, description="Public key. Recorded.")


_BOUNDS = ("min_instances", "max_instances")
_DATABRICKS_KEYS = (
    *_BOUNDS,
    "node_type_id",
    "instance_pool_id",
    "driver_node_type_id",
    "policy_id",
    "data_security_mode",
    "spark_env_vars",
    "init_scripts",
    "docker_image",
    "libraries",
    "max_platform_retries",
    "timeout_seconds",
)
_KUBERNETES_KEYS = (
    *_BOUNDS,
    "namespace",
    "service_account",
    "operator",
    "context",
    "image_pull_policy",
    "image_pull_secrets",
    "driver_memory",
    "driver_cores",
    "executor_memory",
    "environment_from_secrets",
    "node_selector",
    "page_url",
    "spark_version",
    "max_platform_retries",
    "timeout_seconds",
)

_SINGLE_KEYS = ("environments", "host", "image", "spark_version", "staging")
PLATFORM_KEYS = tuple(sorted({*_DATABRICKS_KEYS, *_KUBERNETES_KEYS, *_SINGLE_KEYS} - {*_BOUNDS}))
"""Keys that say how a platform runs jobs, whichever platform it is."""


class ComputeSpec(Document):
    """One compute."""

    grammar: ClassVar[Grammar] = Grammar(
        kind="compute",
        refused={
            "ssh_settings.admin_password": "passwords are never stored: use ssh_key_value",
        },
        types={
            "local": TypeKeys(optional=("min_instances", "max_instances")),
            "spark": TypeKeys(
                required=("master",), optional=("shared_paths", "min_instances", "max_instances")
            ),
            "databricks": TypeKeys(
                required=("host", "staging", "spark_version"), optional=_DATABRICKS_KEYS
            ),
            "kubernetes": TypeKeys(required=("image", "staging"), optional=_KUBERNETES_KEYS),
            "amlcompute": TypeKeys(
                optional=(
                    "min_instances",
                    "max_instances",
                    "size",
                    "tier",
                    "idle_time_before_scale_down",
                    "identity",
                    "network_settings",
                    "ssh_public_access_enabled",
                    "ssh_settings",
                )
            ),
        },
    )

    name: AssetName = Field(description="Name of the compute.")
    type: ComputeType = Field(
        description="local (this machine), spark (a standalone cluster), databricks, kubernetes, "
        "or amlcompute, which is read as local."
    )
    description: Text | None = Field(default=None, description="What it is, for people.")
    tags: StringMap = Field(default_factory=dict, description="Tags, name to value.")
    properties: StringMap = Field(default_factory=dict, description="Properties, name to value.")
    location: Text | None = Field(default=None, description="Region. Recorded.")
    master: Master | None = Field(
        default=None, description="spark: master of the cluster, spark://HOST:PORT."
    )
    shared_paths: Switch = Field(
        default=True,
        description="spark: whether its workers see the paths of this machine. If not, local "
        "inputs are copied to a store, and all else goes through Spark.",
    )
    min_instances: RetryCount = Field(
        default=0, description="Smallest instance_count that a job may ask for."
    )
    max_instances: Count | None = Field(
        default=None, description="Largest instance_count of a job. No limit if not given."
    )
    spark_conf: StringMap = Field(
        default_factory=dict,
        description="Spark properties of every job on it, key to value. A deployment's own win.",
    )
    staging: Staging | None = Field(
        default=None,
        description="databricks, kubernetes: folder for the files of jobs, below which each job "
        "has a folder of its name. This machine and the platform must reach it.",
    )
    max_platform_retries: RetryCount = Field(
        default=1,
        description="databricks, kubernetes: how often the platform starts a driver again that "
        "crashed; it goes on from what is scored.",
    )
    timeout_seconds: Seconds | None = Field(
        default=None,
        description="databricks, kubernetes: after so long the platform ends a run. No limit if "
        "not given.",
    )
    host: Host | None = Field(default=None, description="databricks: address of the workspace.")
    spark_version: RequiredText | None = Field(
        default=None,
        description="databricks: runtime of the job cluster, as 16.4.x-scala2.12. kubernetes: "
        "version of Spark in the image, if it is not the one that sparkscore is tested with.",
    )
    node_type_id: RequiredText | None = Field(
        default=None,
        description="databricks: kind of machine. This, instance_pool_id or policy_id is needed.",
    )
    instance_pool_id: RequiredText | None = Field(
        default=None, description="databricks: pool that machines come from."
    )
    driver_node_type_id: RequiredText | None = Field(
        default=None, description="databricks: kind of the driver's machine. As the workers'."
    )
    policy_id: RequiredText | None = Field(default=None, description="databricks: cluster policy.")
    data_security_mode: AccessMode = Field(
        default="dedicated",
        description="databricks: access mode of the job cluster; jobs need dedicated.",
    )
    spark_env_vars: StringMap = Field(
        default_factory=dict,
        description="databricks: variables of driver and workers. Secrets by name only: "
        "{{secrets/SCOPE/KEY}}.",
    )
    init_scripts: TextList = Field(
        default=(),
        description="databricks: paths of scripts that nodes run at their start: /Volumes/..., "
        "/Workspace/..., abfss:// or gs://.",
    )
    docker_image: RequiredText | None = Field(
        default=None, description="databricks: image of the nodes."
    )
    libraries: TextList = Field(
        default=(),
        description="databricks: more libraries: pip requirements, or paths of .whl, .jar and "
        "requirements.txt files.",
    )
    image: RequiredText | None = Field(
        default=None, description="kubernetes: image of driver and executors, with sparkscore."
    )
    namespace: KubernetesName = Field(
        default="default", description="kubernetes: namespace of the jobs."
    )
    service_account: KubernetesName | None = Field(
        default=None, description="kubernetes: account of the driver, which may make pods."
    )
    operator: Operator = Field(
        default="kubeflow", description="kubernetes: whose Spark operator the cluster has."
    )
    context: RequiredText | None = Field(
        default=None, description="kubernetes: context of the kubeconfig file. Its current one."
    )
    image_pull_policy: PullPolicy | None = Field(
        default=None, description="kubernetes: when nodes fetch the image."
    )
    image_pull_secrets: TextList = Field(
        default=(), description="kubernetes: names of secrets for the image's registry."
    )
    driver_memory: MemoryQuantity | None = Field(
        default=None, description="kubernetes: memory of the driver."
    )
    driver_cores: Count | None = Field(default=None, description="kubernetes: cores of the driver.")
    executor_memory: MemoryQuantity | None = Field(
        default=None, description="kubernetes: memory of an executor."
    )
    environment_from_secrets: TextList = Field(
        default=(),
        description="kubernetes: names of secrets whose keys are variables of driver and "
        "executors.",
    )
    node_selector: StringMap = Field(
        default_factory=dict, description="kubernetes: labels of the nodes that pods go to."
    )
    page_url: RequiredText | None = Field(
        default=None,
        description="kubernetes: address of a page of a run, with {namespace} and {name}.",
    )
    environments: Environments | None = Field(
        default=None,
        description="Whether environments of deployments are built (build), scripts run in the "
        "Python of sparkscore (host), or what is there decides (auto). As the workspace says.",
    )
    size: Text | None = Field(default=None, description="Kind of machine. Recorded.")
    tier: Tier | None = Field(default=None, description="dedicated or low_priority. Recorded.")
    idle_time_before_scale_down: IdleSeconds | None = Field(
        default=None, description="Seconds before an idle node is given up. Recorded."
    )
    identity: dict[str, Any] = Field(
        default_factory=dict, description="Identity of the nodes. Recorded."
    )
    network_settings: dict[str, Any] = Field(
        default_factory=dict, description="Network of the nodes. Recorded."
    )
    ssh_public_access_enabled: Switch = Field(
        default=False, description="Whether nodes can be logged in to. Recorded."
    )
    ssh_settings: SshSettings | None = Field(
        default=None, description="Who may log in to a node. Recorded."
    )

    def iter_conflicts(self) -> Iterator[Conflict]:
        """What the fields, valid one by one, must not say together."""
        if self.max_instances is not None and self.max_instances < self.min_instances:
            yield Conflict(("max_instances",), "must be at least min_instances")
        yield from credentials_conflict(("staging",), self.staging)
        if self.type == "databricks":
            yield from self._iter_databricks_conflicts()
        for key, why in refused_spark_conf(self.spark_conf):
            yield Conflict(("spark_conf", key), f"is refused: {why}")

    def _iter_databricks_conflicts(self) -> Iterator[Conflict]:
        if not (self.node_type_id or self.instance_pool_id or self.policy_id):
            yield Conflict(
                ("node_type_id",),
                "is needed with type: databricks, or instance_pool_id, or policy_id",
                condition=MISSING_FIELD,
            )
        for name, text in self.spark_env_vars.items():
            if _SECRET_NAME.search(name) and not text.startswith("{{secrets/"):
                yield Conflict(
                    ("spark_env_vars", name),
                    "must name a secret, {{secrets/SCOPE/KEY}}: its value would be stored",
                    condition="SECRET_IN_COMPUTE",
                    is_secret=True,
                )
