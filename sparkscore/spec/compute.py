"""A compute as its user wrote it: where jobs run. Any process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sparkscore.spec.grammar import Conflict, Document, Grammar, TypeKeys
from sparkscore.spec.spark_conf import refused_spark_conf
from sparkscore.spec.types import (
    LARGEST,
    Allowed,
    AssetName,
    Count,
    RetryCount,
    Spec,
    StringMap,
    Switch,
    Text,
)

_MASTER_PATTERN = r"^spark://[^\s/,:@]+:[0-9]{1,5}(,[^\s/,:@]+:[0-9]{1,5})*$"
_LIKE_AMLCOMPUTE = "jobs run on this machine or a Spark cluster: use local, spark or amlcompute"

ComputeType = Annotated[
    Literal["local", "spark", "amlcompute"],
    Allowed(
        "local, spark or amlcompute",
        hints={
            **dict.fromkeys(
                ("computeinstance", "virtualmachine", "aks", "kubernetes"), _LIKE_AMLCOMPUTE
            ),
            "synapsespark": "use type spark with the master of a standalone cluster",
        },
    ),
]
Master = Annotated[
    str,
    Field(pattern=_MASTER_PATTERN),
    Allowed("the master of a standalone cluster: spark://HOST:PORT"),
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
        description="local (this machine), spark (a standalone cluster), or amlcompute, which is "
        "read as local."
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
        description="spark: whether its workers see the paths of this machine, so that local "
        "inputs are not copied.",
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
        for key, why in refused_spark_conf(self.spark_conf):
            yield Conflict(("spark_conf", key), f"is refused: {why}")
