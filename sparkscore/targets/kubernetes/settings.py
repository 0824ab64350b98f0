"""What a compute of type ``kubernetes`` says, checked, with defaults. Control plane, pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparkscore.errors import InvalidFieldError

MASTER = "k8s://"
"""Stands for the master in an application: the operator names its own cluster."""

KUBEFLOW, APACHE = "kubeflow", "apache"
OPERATORS = (KUBEFLOW, APACHE)

SPARK_VERSION = "4.2.0"
"""The Spark of our image, which operators want to be told."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_IMAGE = re.compile(r"[^\s,]+")
_MEMORY = re.compile(r"(?P<number>\d{1,9}(\.\d{1,3})?)(?P<unit>[kmgt])i?b?", re.IGNORECASE)
_MEBIBYTES = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2}
_VERSION = re.compile(r"\d+\.\d+\.\d+\S*")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


@dataclass(frozen=True)
class KubernetesSettings:
    """The keys of a compute.

    ``environment_from_secrets`` are names of secrets whose keys become environment variables of
    driver and executors. ``driver_memory`` and ``executor_memory`` are heaps in Spark's words
    (``4096m``), None where the deployment or Spark decides. ``page_url`` has ``{namespace}`` and
    ``{name}`` in it. ``context`` is that of the kubeconfig, None is its current one.
    ``min_instances`` and ``max_instances`` are bounds of the number of executors.
    """

    image: str
    namespace: str = "default"
    operator: str = KUBEFLOW
    service_account: str | None = None
    context: str | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    driver_memory: str | None = None
    driver_cores: int = 1
    executor_memory: str | None = None
    environment_from_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    page_url: str | None = None
    spark_version: str = SPARK_VERSION
    min_instances: int = 0
    max_instances: int | None = None


def read_settings(document: Mapping[str, Any]) -> KubernetesSettings:
    """The settings that the keys of a compute give; keys of other matters are left alone.

    Raises InvalidFieldError, naming the key, for what Kubernetes would refuse.
    """
    given = {key: value for key, value in document.items() if value not in (None, [], (), {}, "")}
    secrets = "environment_from_secrets"
    return KubernetesSettings(
        image=_get(given, "image", _IMAGE, "the image of driver and executors, NAME:TAG"),
        namespace=_get(given, "namespace", _LABEL, "the name of a namespace", default="default"),
        operator=_get_choice(given, "operator", OPERATORS) or KUBEFLOW,
        service_account=_find(given, "service_account", _SUBDOMAIN, "a service account's name"),
        context=_find(given, "context", re.compile(r".+"), "a context of the kubeconfig"),
        image_pull_policy=_get_choice(given, "image_pull_policy", _PULL_POLICIES),
        image_pull_secrets=_get_names(given, "image_pull_secrets"),
        driver_memory=_find_memory(given, "driver_memory"),
        driver_cores=_get_count(given, "driver_cores"),
        executor_memory=_find_memory(given, "executor_memory"),
        environment_from_secrets=_get_names(given, secrets),
        node_selector=dict(sorted(given.get("node_selector", {}).items())),
        page_url=_find_page_url(given),
        spark_version=_get(
            given, "spark_version", _VERSION, "a version such as 4.2.0", default=SPARK_VERSION
        ),
        min_instances=given.get("min_instances", 0),
        max_instances=given.get("max_instances"),
    )


def _get(
    given: Mapping[str, Any],
    key: str,
    pattern: re.Pattern[str],
    what: str,
    *,
    default: str | None = None,
) -> str:
    value = given.get(key, default)
    if value is None:
        raise InvalidFieldError(f"a kubernetes compute needs {key}: {what}", key=key)
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise _invalid(key, value, what)
    return value


def _find(given: Mapping[str, Any], key: str, pattern: re.Pattern[str], what: str) -> str | None:
    return _get(given, key, pattern, what) if key in given else None


def _get_choice(given: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = given.get(key, "")
    if value and value not in choices:
        raise _invalid(key, value, "one of " + ", ".join(choices))
    return str(value)


def _get_names(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = given.get(key, ())
    for name in names:
        _get({key: name}, key, _SUBDOMAIN, "a list of names of secrets in the namespace")
    return tuple(names)


def _find_memory(given: Mapping[str, Any], key: str) -> str | None:
    """In MiB, as Spark reads it: ``4096m`` for 4g, 4G, 4Gi and 4GiB, powers of 1024 all."""
    if key not in given:
        return None
    match = _MEMORY.fullmatch(str(given[key]))
    mebibytes = 0.0 if match is None else float(match["number"]) * _MEBIBYTES[match["unit"].lower()]
    if mebibytes < 1:
        raise _invalid(key, given[key], "a size such as 4g or 512m")
    return f"{int(mebibytes)}m"


def _get_count(given: Mapping[str, Any], key: str) -> int:
    value = given.get(key, 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _invalid(key, value, "a whole number of at least 1")
    return value


def _find_page_url(given: Mapping[str, Any]) -> str | None:
    url = given.get("page_url")
    if url is None:
        return None
    rest = str(url).replace("{namespace}", "").replace("{name}", "")
    if not rest.startswith(("http://", "https://")) or "{" in rest or "}" in rest:
        raise _invalid("page_url", url, "an http address that may have {namespace} and {name}")
    return str(url)


def _invalid(key: str, value: object, what: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"{key} of a kubernetes compute is {value!r}: it must be {what}", key=key, value=value
    )
