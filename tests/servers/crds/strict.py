"""What a cluster would say of a resource, unknown keys included. Tests only."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@cache
def load_schema(operator: str) -> dict[str, Any]:
    """``group``, ``version`` and ``schema`` of ``kubeflow`` or ``apache``."""
    content = gzip.decompress((_FOLDER / f"{operator}.json.gz").read_bytes())
    schema: dict[str, Any] = json.loads(content)
    return schema


def find_problems(body: Mapping[str, Any], operator: str) -> list[str]:
    """Everything that is wrong with a resource; empty if nothing is."""
    crd = load_schema(operator)
    schema = crd["schema"]
    validator = jsonschema.Draft7Validator(schema)
    problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
    problems += _iter_unknown(body, schema, "$")
    problems += _iter_metadata_problems(body.get("metadata") or {})
    if body.get("apiVersion") != f"{crd['group']}/{crd['version']}":
        problems.append(f"$.apiVersion: {body.get('apiVersion')!r}")
    if body.get("kind") != "SparkApplication":
        problems.append(f"$.kind: {body.get('kind')!r}")
    return problems


def _iter_unknown(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Keys that the schema does not have: clusters drop them, JSON Schema lets them pass."""
    if isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _iter_unknown(entry, schema.get("items", {}), f"{path}[{number}]")
    if not isinstance(value, Mapping) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    known, others = schema.get("properties"), schema.get("additionalProperties")
    if known is None and others is None:
        return  # metadata, and what is any object
    for key, entry in value.items():
        if key in (known or {}):
            yield from _iter_unknown(entry, (known or {})[key], f"{path}.{key}")
        elif isinstance(others, Mapping):
            yield from _iter_unknown(entry, others, f"{path}.{key}")
        elif not (path == "$" and key in ("apiVersion", "kind", "metadata")):
            yield f"{path}.{key}: unknown key"


def _iter_metadata_problems(metadata: Mapping[str, Any]) -> Iterator[str]:
    if _NAME.fullmatch(str(metadata.get("name", ""))) is None:
        yield f"$.metadata.name: {metadata.get('name')!r}"
    for key, value in (metadata.get("labels") or {}).items():
        if _LABEL_KEY.fullmatch(key) is None or _LABEL_VALUE.fullmatch(value) is None:
            yield f"$.metadata.labels: {key}: {value!r}"
    for key, value in (metadata.get("annotations") or {}).items():
        if _LABEL_KEY.fullmatch(key) is None or not isinstance(value, str):
            yield f"$.metadata.annotations: {key}: {value!r}"
