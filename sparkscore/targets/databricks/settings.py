"""What a compute of type ``databricks`` says, checked. Control plane, pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sparkscore.errors import InvalidFieldError
from sparkscore.targets.base import Capability, refuse

NAME = "databricks"
MASTER = "databricks"
"""Stands for the master in an application: the cluster has its own."""

DEDICATED = "DATA_SECURITY_MODE_DEDICATED"

OLDEST_RUNTIME = (15, 4)
"""The first runtime with Spark 3.5 and a pyarrow that is supported."""

_ACCESS_MODES = {
    "dedicated": DEDICATED,
    "single_user": DEDICATED,
    "data_security_mode_dedicated": DEDICATED,
}
_REFUSED_MODES = {
    "standard": Capability.STANDARD_ACCESS,
    "user_isolation": Capability.STANDARD_ACCESS,
    "data_security_mode_standard": Capability.STANDARD_ACCESS,
    "serverless": Capability.SERVERLESS,
}
_RUNTIME = re.compile(r"(?P<major>\d{1,3})\.(?P<minor>\d{1,3})\.x-[\w.-]+")
_CUSTOM_RUNTIME = re.compile(r"custom:\S+")
_SECRET = re.compile(r"\{\{secrets/[^/{}\s]+/[^/{}\s]+\}\}")
_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|(ACCESS|ACCOUNT|API|PRIVATE)_?KEY(?!_ID)",
    re.IGNORECASE,
)
_INIT_SCRIPTS = {
    "/Volumes/": "volumes",
    "/Workspace/": "workspace",
    "abfss://": "abfss",
    "gs://": "gcs",
}
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class DatabricksSettings:
    """The keys of a compute.

    ``runtime`` are the first two numbers of ``spark_version``, None for an image of one's own.
    ``init_scripts`` and ``libraries`` are in the words of the platform. ``spark_env_vars`` hold
    secrets by name only. ``timeout_seconds`` is 0 for no limit.
    """

    host: str
    spark_version: str
    runtime: tuple[int, int] | None
    data_security_mode: str = DEDICATED
    node_type_id: str | None = None
    driver_node_type_id: str | None = None
    instance_pool_id: str | None = None
    policy_id: str | None = None
    docker_image: str | None = None
    spark_env_vars: Mapping[str, str] = field(default_factory=dict)
    init_scripts: tuple[dict[str, Any], ...] = ()
    libraries: tuple[dict[str, Any], ...] = ()
    min_instances: int = 0
    max_instances: int | None = None


def read_settings(document: Mapping[str, Any], *, target: str = NAME) -> DatabricksSettings:
    """The settings that the keys of a compute give; keys of other matters are left alone.

    Raises InvalidFieldError, naming the key, for what the platform would refuse, and
    UnsupportedByTargetError for a cluster that jobs cannot run on yet.
    """
    given = {key: value for key, value in document.items() if value not in (None, [], (), {}, "")}
    mode = _get_access_mode(given, target=target)
    nodes = {key: _find_text(given, key) for key in ("node_type_id", "instance_pool_id")}
    policy = _find_text(given, "policy_id")
    if not any((*nodes.values(), policy)):
        raise InvalidFieldError(
            "a databricks compute needs node_type_id (or instance_pool_id, or a policy_id that "
            "gives one): the kind of machine its clusters are made of",
            key="node_type_id",
        )
    version = _get_text(given, "spark_version", "the runtime of its clusters: 16.4.x-scala2.12")
    return DatabricksSettings(
        host=read_host(given),
        spark_version=version,
        runtime=_find_runtime(version),
        data_security_mode=mode,
        **nodes,
        driver_node_type_id=_find_text(given, "driver_node_type_id"),
        policy_id=policy,
        docker_image=_find_text(given, "docker_image"),
        spark_env_vars=_get_environment(given),
        init_scripts=_get_list(given, "init_scripts", _build_init_script),
        libraries=_get_list(given, "libraries", build_library),
        min_instances=int(given.get("min_instances", 0)),
        max_instances=given.get("max_instances"),
    )


def read_host(document: Mapping[str, Any]) -> str:
    """The workspace's address, scheme and host alone. Raises InvalidFieldError."""
    host = _get_text(document, "host", "the address of the workspace, https://...")
    address = normalize_host(host)
    if address is None:
        what = "an https address without a path, for credentials are sent there"
        raise _invalid("host", host, what)
    return address


def normalize_host(host: str) -> str | None:
    """Scheme, host and port in lower case; None for what no credentials may be sent to."""
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        port = parts.port
    except ValueError:
        return None
    is_plain = parts.path in ("", "/") and not (
        parts.query or parts.fragment or "@" in parts.netloc
    )
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS)
    if not (parts.hostname and is_plain and is_safe):
        return None
    default = {"https": 443, "http": 80}[parts.scheme]
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}" + ("" if port in (None, default) else f":{port}")


def _get_access_mode(given: Mapping[str, Any], *, target: str) -> str:
    written = str(given.get("data_security_mode", "dedicated"))
    capability = _REFUSED_MODES.get(written.lower())
    if "serverless" in (given.get("node_type_id"), given.get("spark_version")):
        capability = Capability.SERVERLESS
    if capability is not None:
        raise refuse(target, capability, why="use data_security_mode: dedicated")
    mode = _ACCESS_MODES.get(written.lower())
    if mode is None:
        raise _invalid("data_security_mode", written, "dedicated")
    return mode


def _find_runtime(version: str) -> tuple[int, int] | None:
    found = _RUNTIME.fullmatch(version)
    if found is None and _CUSTOM_RUNTIME.fullmatch(version):
        return None
    runtime = (int(found["major"]), int(found["minor"])) if found else (0, 0)
    if runtime < OLDEST_RUNTIME:
        oldest = ".".join(map(str, OLDEST_RUNTIME))
        what = f"a runtime of at least {oldest}, such as 16.4.x-scala2.12"
        raise _invalid("spark_version", version, what)
    return runtime


def _get_environment(given: Mapping[str, Any]) -> dict[str, str]:
    """Sorted; a variable that looks like a secret must be one of the workspace's."""
    variables = {str(name): str(value) for name, value in given.get("spark_env_vars", {}).items()}
    for name, value in variables.items():
        is_path = value.startswith("/")
        if _SECRET_NAME.search(name) and not (is_path or _SECRET.fullmatch(value)):
            raise InvalidFieldError(
                f"spark_env_vars.{name} looks like a secret: secrets are never stored. Put it in a "
                "secret scope of the workspace and write {{secrets/SCOPE/KEY}}",
                condition="SECRET_IN_COMPUTE",
                key=f"spark_env_vars.{name}",
            )
    return dict(sorted(variables.items()))


def _get_list(
    given: Mapping[str, Any], key: str, build: Callable[[str], dict[str, Any]]
) -> tuple[dict[str, Any], ...]:
    return tuple(build(str(item)) for item in given.get(key, ()))


def _build_init_script(path: str) -> dict[str, Any]:
    for prefix, kind in _INIT_SCRIPTS.items():
        if path.startswith(prefix):
            return {kind: {"destination": path}}
    raise _invalid("init_scripts", path, f"a path that begins with {', '.join(_INIT_SCRIPTS)}")


def build_library(text: str) -> dict[str, Any]:
    """A library in the platform's words: of a path by its suffix, else a pip requirement."""
    is_path = text.startswith("/") or "://" in text
    if is_path and text.endswith(".whl"):
        return {"whl": text}
    if is_path and text.endswith(".jar"):
        return {"jar": text}
    if is_path and text.endswith(".txt"):
        return {"requirements": text}
    if is_path:
        raise _invalid("libraries", text, "a pip requirement, or a path of a .whl, .jar or .txt")
    return {"pypi": {"package": text}}


def _get_text(given: Mapping[str, Any], key: str, what: str) -> str:
    text = _find_text(given, key)
    if text is None:
        raise InvalidFieldError(f"a databricks compute needs {key}: {what}", key=key)
    return text


def _find_text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is not None and (not isinstance(value, str) or value != value.strip()):
        raise _invalid(key, value, "text without blanks around it")
    return value


def _invalid(key: str, value: object, what: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"{key} of a databricks compute is {value!r}: it must be {what}", key=key, value=value
    )
