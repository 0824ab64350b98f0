"""The settings of computes as fields of a form, by type. Control plane, pure.

What a field takes, its default and its description are those of the spec; only the order and the
grouping are made here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from sparkscore.control.assets.computes import PLATFORMS
from sparkscore.spec import ComputeSpec, document_json_schema
from sparkscore.studio.setting_fields import SettingField, make_field

Groups = tuple[tuple[str, tuple[str, ...]], ...]

TYPES = {
    "spark": "Spark cluster",
    "databricks": "Databricks",
    "kubernetes": "Kubernetes",
    "local": "This machine",
    "amlcompute": "amlcompute, read as this machine",
}
"""The types of computes in the order of the form, as people call them."""

_BOUNDS = ("min_instances", "max_instances")
_PLAIN = {"spark": ("master", "shared_paths"), "amlcompute": ("size",)}
_COMMON = (*_BOUNDS, "environments", "spark_conf")
_RUNS = ("max_platform_retries", "timeout_seconds")

GROUPS: dict[str, Groups] = {
    "databricks": (
        ("Workspace", ("host", "staging")),
        ("Job cluster", ("spark_version", "node_type_id", "instance_pool_id", "policy_id")),
    ),
    "kubernetes": (
        ("Application", ("image", "staging")),
        ("Cluster", ("namespace", "service_account", "operator", "context")),
    ),
}
MORE_GROUPS: dict[str, Groups] = {
    "databricks": (
        ("Machines", ("driver_node_type_id", "docker_image")),
        ("Software", ("spark_env_vars", "libraries", "init_scripts")),
        ("Runs", _RUNS),
    ),
    "kubernetes": (
        (
            "Pods",
            (
                *("driver_memory", "driver_cores", "executor_memory"),
                *("node_selector", "environment_from_secrets"),
            ),
        ),
        ("Image", ("image_pull_policy", "image_pull_secrets", "spark_version")),
        ("Runs", (*_RUNS, "page_url")),
    ),
}
PLACEHOLDERS = {
    "host": "https://HOST",
    "staging": "s3://BUCKET/FOLDER",
    "image": "REGISTRY/sparkscore:TAG",
    "driver_memory": "4g",
    "executor_memory": "8g",
    "page_url": "https://HOST/{namespace}/{name}",
}
_LABELS = {
    "shared_paths": "Its workers see this machine's paths",
    "min_instances": "Fewest instances",
    "max_instances": "Most instances",
    "spark_conf": "Spark properties",
}
_APART = frozenset({"name", "type", "description", "tags", "properties", "$schema"})
_OF_TYPES = re.compile(rf"(?:^|(?<=\. ))((?:{'|'.join(TYPES)})(?:, (?:{'|'.join(TYPES)}))*): ")


def find_type(text: str) -> str:
    """The type that a form says; one that is none has the fields that all have."""
    return text if text in TYPES else "local"


def list_keys(type_: str) -> tuple[str, ...]:
    """The keys of a compute of this type that the form has, but for name and description."""
    if type_ not in PLATFORMS:
        return (*_PLAIN.get(type_, ()), *_COMMON)
    groups = (*GROUPS[type_], *MORE_GROUPS[type_])
    return (*(key for _, keys in groups for key in keys), *_COMMON)


def is_needed(type_: str, key: str) -> bool:
    """Whether there is no compute of this type without the key."""
    return key in ComputeSpec.grammar.types[type_].required


def name_field(type_: str, key: str) -> str:
    """The name in the form of a key of a compute of this type: platforms share names of keys."""
    is_own = type_ in PLATFORMS and key in list_keys(type_) and key not in _COMMON
    return f"{type_}_{key}" if is_own else key


@cache
def get_field(type_: str, key: str) -> SettingField:
    """The field of a key; raises KeyError for a key that no compute has."""
    schema = _get_schemas()[key]
    hint = describe_for(type_, schema["description"])
    made = make_field(key, {**schema, "description": hint})
    return replace(made, name=name_field(type_, key), label=_LABELS.get(key, made.label))


def describe_for(type_: str, description: str) -> str:
    """The part of a description that is about a type: it says ``TYPE, TYPE: ...`` before it."""
    head, *parts = _OF_TYPES.split(description)
    told = [head.strip()] if head else []
    for types, text in zip(parts[::2], parts[1::2], strict=True):
        if type_ in types.split(", "):
            told.append(text.strip())
    return " ".join(text[:1].upper() + text[1:] for text in told)


def is_default(key: str, value: object) -> bool:
    """Whether a compute has this value of a key without saying so."""
    return bool(_get_schemas().get(key, {}).get("default") == value)


def iter_shown(type_: str, document: Mapping[str, Any]) -> Iterator[tuple[SettingField, Any]]:
    """Each setting that a compute has, in the order of the form, and its value."""
    first = [*list_keys(type_), *(key for key in _get_schemas() if key not in list_keys(type_))]
    for key in first:
        if key not in _APART and document.get(key) not in (None, "", [], {}):
            yield get_field(type_, key), document[key]


@cache
def _get_schemas() -> Mapping[str, Mapping[str, Any]]:
    properties: Mapping[str, Mapping[str, Any]] = document_json_schema(ComputeSpec)["properties"]
    return {key: schema for key, schema in properties.items() if "description" in schema}
