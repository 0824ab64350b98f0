"""Resources as the reference shows them: id, name, type, properties, systemData. Control plane.

Pure. What is rendered here can be sent back with PUT.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sparkscore.rest.fields import given, render_duration, to_camel, to_pascal
from sparkscore.rest.ids import PROVIDER, Place
from sparkscore.rest.resource_bodies import OPERATION_KEY
from sparkscore.spec.compute import PLATFORM_KEYS

TYPE = f"{PROVIDER}/workspaces"
OPERATIONS = "operationsStatus"
_SECONDS = frozenset({"checkpoint_interval", "init_timeout"})


def render_endpoint(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """An endpoint; ``shown`` is what ``batch-endpoint show`` prints."""
    name = shown["name"]
    properties = {
        "description": shown["description"],
        "authMode": "AADToken",
        "defaults": {"deploymentName": shown["defaults"]["deployment_name"]},
        "scoringUri": f"{place.server}/batchEndpoints/{name}/jobs",
        "swaggerUri": f"{place.server}/openapi.json",
        "provisioningState": shown["provisioning_state"],
        "properties": _with_operation(shown, place, "batchEndpoints", name),
    }
    return {
        **_head(place, ("batchEndpoints", name), "batchEndpoints", shown),
        "location": shown["location"],
        "tags": shown["tags"],
        "properties": properties,
    }


def render_deployment(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A deployment; ``shown`` is what ``batch-deployment show`` prints."""
    endpoint, name = shown["endpoint_name"], shown["name"]
    path = ("batchEndpoints", endpoint, "deployments", name)
    code = shown.get("code_configuration")
    resources = shown.get("resources") or {}
    properties = {
        "description": shown.get("description"),
        "model": _render_model(shown["model"], place),
        "codeConfiguration": None
        if code is None
        else {
            "codeId": place.asset_id("codes", code["code"]),
            "scoringScript": code["scoring_script"],
        },
        "environmentId": place.asset_id("environments", shown.get("environment")),
        "compute": place.compute_id(shown["compute"]) if shown.get("compute") else None,
        "resources": {to_camel(key): value for key, value in resources.items()},
        **_render_settings(shown.get("settings") or {}),
        "provisioningState": shown["provisioning_state"],
        "properties": _with_operation(shown, place, *path),
    }
    return {
        **_head(place, path, "batchEndpoints/deployments", shown),
        "location": "local",
        "tags": shown.get("tags", {}),
        "properties": given(properties),
    }


def _render_model(reference: Any, place: Place) -> dict[str, Any]:
    if isinstance(reference, str) and reference.startswith("azureml:"):
        return {"referenceType": "Id", "assetId": place.asset_id("models", reference)}
    path = reference["path"] if isinstance(reference, Mapping) else reference
    return {"referenceType": "DataPath", "path": path}


def _render_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    rendered: dict[str, Any] = {}
    for name, value in settings.items():
        if name == "retry_settings":
            rendered["retrySettings"] = {
                "maxRetries": value["max_retries"],
                "timeout": render_duration(value["timeout"]),
            }
        elif name in ("output_action", "logging_level"):
            rendered[to_camel(name)] = to_pascal(value)
        elif name in _SECONDS:
            rendered[to_camel(name)] = render_duration(value)
        else:
            rendered[to_camel(name)] = value
    return rendered


def render_model(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A model's version."""
    type_ = {"mlflow_model": "MLFlowModel", "custom_model": "CustomModel"}[shown["type"]]
    own = {
        "modelType": type_,
        "modelUri": shown["path"],
        "flavors": shown.get("flavors") or None,
        "stage": shown.get("stage"),
    }
    return _render_version("models", shown, place, own)


def render_environment(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """An environment's version; the conda file is a text of JSON, which is YAML too."""
    conda, build = shown.get("conda_file"), shown.get("build") or {}
    own = {
        "condaFile": None if conda is None else json.dumps(conda, ensure_ascii=False),
        "image": shown.get("image"),
        "osType": to_pascal(shown["os_type"]),
        "inferenceConfig": shown.get("inference_config"),
        "build": given(
            {"contextUri": build.get("path"), "dockerfilePath": build.get("dockerfile_path")}
        )
        or None,
    }
    return _render_version("environments", shown, place, own)


def render_code(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A copy of code; where on the server it lies is nobody's business."""
    return _render_version("codes", shown, place, {})


def render_data(shown: Mapping[str, Any], place: Place, *, segment: str = "data") -> dict[str, Any]:
    """A data asset's version; ``segment`` is ``data``, or ``datasets`` as in 2021."""
    return _render_version(
        segment, shown, place, {"dataType": shown["type"], "dataUri": shown["path"]}
    )


def _render_version(
    kind: str, shown: Mapping[str, Any], place: Place, own: Mapping[str, Any]
) -> dict[str, Any]:
    path = (kind, shown["name"], "versions", shown["version"])
    properties = {
        "description": shown.get("description"),
        "tags": shown.get("tags", {}),
        "properties": shown.get("properties", {}),
        "isArchived": bool(shown.get("is_archived")),
        "isAnonymous": False,
        "provisioningState": "Succeeded",
        **own,
    }
    head = _head(place, path, f"{kind}/versions", shown)
    return {**head, "name": shown["version"], "properties": given(properties)}


def render_container(kind: str, name: str, latest: Mapping[str, Any], place: Place) -> Any:
    """What all versions of an asset belong to; ``latest`` is the newest of them."""
    return {
        **_head(place, (kind, name), kind, latest),
        "name": name,
        "properties": {
            "description": latest.get("description"),
            "tags": latest.get("tags", {}),
            "latestVersion": latest["version"],
            "isArchived": bool(latest.get("is_archived")),
        },
    }


def render_compute(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A compute."""
    name = shown["name"]
    scale = {
        "minNodeCount": shown.get("min_instances"),
        "maxNodeCount": shown.get("max_instances"),
        "nodeIdleTimeBeforeScaleDown": _find_duration(shown.get("idle_time_before_scale_down")),
    }
    own = {
        "vmSize": shown.get("size"),
        "vmPriority": None if shown.get("tier") is None else to_pascal(shown["tier"]),
        "master": shown.get("master"),
        "sharedPaths": shown.get("shared_paths") if shown["type"] == "spark" else None,
        "sparkConf": shown.get("spark_conf") or None,
        **{to_camel(key): shown[key] for key in PLATFORM_KEYS if shown.get(key)},
    }
    is_cluster = shown["type"] == "amlcompute"
    bounds = {"scaleSettings": given(scale)} if is_cluster else _get_bounds(shown)
    properties = {
        "computeType": "AmlCompute" if is_cluster else to_pascal(shown["type"]),
        "description": shown.get("description"),
        "provisioningState": shown["provisioning_state"],
        "isAttachedCompute": False,
        "properties": {
            **given(own),
            **bounds,
            OPERATION_KEY: place.url(OPERATIONS, "computes", name),
        },
    }
    return {
        **_head(place, ("computes", name), "computes", shown),
        "location": shown.get("location", "local"),
        "tags": shown.get("tags", {}),
        "properties": given(properties),
    }


def _get_bounds(shown: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {name: shown.get(name) for name in ("min_instances", "max_instances")}
    return {to_camel(name): value for name, value in given(bounds).items()}


def _find_duration(seconds: int | None) -> str | None:
    return None if seconds is None else render_duration(seconds)


def render_datastore(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A datastore, with account and container where its URI has them."""
    own = _describe_store(shown)
    properties = {
        "datastoreType": to_pascal(shown["type"]),
        "description": shown.get("description"),
        "tags": shown.get("tags", {}),
        "properties": shown.get("properties", {}),
        "isDefault": bool(shown.get("is_default")),
        "credentials": {"credentialsType": "None"},
        **own,
    }
    head = _head(place, ("datastores", shown["name"]), "datastores", shown)
    return {**head, "properties": given(properties)}


_STORE_KEYS = (
    *("account_name", "container_name", "filesystem", "bucket", "protocol", "endpoint", "path"),
    *("region", "profile", "anonymous"),
)


def _describe_store(shown: Mapping[str, Any]) -> dict[str, Any]:
    own = {to_camel(key): shown[key] for key in _STORE_KEYS if shown.get(key) is not None}
    uri = str(shown["uri"])
    account, container, path = split_azure_uri(uri)
    account = account or str(own.get("accountName") or "")
    if shown.get("type") == "uri" and container and account:
        named = {"accountName": account, "containerName": container}
        type_ = {"datastoreType": "AzureBlob"}
        contents = {"contentsType": "AzureBlob", **named}
        own = {**own, **type_, **named, "contents": contents, "path": path or None}
    elif shown.get("type") == "azure_blob":
        named = {key: own[key] for key in ("accountName", "containerName")}
        own["contents"] = {"contentsType": "AzureBlob", **named}
    return {**own, "uri": uri}


def split_azure_uri(uri: str) -> tuple[str, str, str]:
    """Account, container and path of a URI of Azure Blob Storage; empty where it has none."""
    scheme, _, rest = uri.partition("://")
    if scheme.lower() not in ("abfs", "abfss", "wasb", "wasbs", "az", "https"):
        return "", "", ""
    parts = urlsplit(f"//{rest}")
    path = parts.path.strip("/")
    if scheme.lower() == "https":
        if ".blob." not in parts.netloc:
            return "", "", ""
        container, _, path = path.partition("/")
        return parts.netloc.partition(".")[0], container, path
    container, at, server = parts.netloc.rpartition("@")
    return (server.partition(".")[0], container, path) if at else ("", parts.netloc, path)


def render_job(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A job; ``shown`` is what ``job show`` prints."""
    name = shown["name"]
    inputs = {
        key: {"jobInputType": to_pascal(value["type"]), "uri": value.get("path") or value["uri"]}
        for key, value in shown["inputs"].items()
    }
    outputs = {
        key: {"jobOutputType": to_pascal(value["type"]), "uri": value["path"]}
        for key, value in shown["outputs"].items()
    }
    settings = (shown["deployment"] or {}).get("settings") or {}
    properties = {
        "name": name,
        "status": shown["status"],
        "displayName": shown["display_name"],
        "description": shown["description"],
        "experimentName": shown["experiment_name"],
        "endpointName": shown["endpoint_name"],
        "deploymentName": shown["deployment_name"],
        "startTime": shown["start_time"],
        "endTime": shown["end_time"],
        "isArchived": shown["is_archived"],
        "tags": shown["tags"],
        "properties": shown["properties"],
        "inputData": inputs,
        "outputData": outputs,
        "output": _describe_output(shown["outputs"]),
        **_render_settings(_pick(settings, _JOB_SETTINGS)),
        "inputCounts": shown["input_counts"],
        "progress": shown["progress"],
        "error": _render_error(shown["error"]),
        "interactionEndpoints": shown["services"],
        "provisioningState": "Succeeded",
    }
    head = _head(place, ("jobs", name), "jobs", shown)
    return {**head, "properties": properties}


_JOB_SETTINGS = (
    *("mini_batch_size", "error_threshold", "retry_settings", "max_concurrency_per_instance"),
    *("logging_level", "output_file_name"),
)


def _pick(settings: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: settings[name] for name in names if settings.get(name) is not None}


def _describe_output(outputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where results go, as 2021 said it; None for what is in no datastore is ``datastoreId``."""
    one = next(iter(outputs.values()), None)
    return None if one is None else {"datastoreId": None, "path": one["path"]}


def _render_error(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"code": error.get("condition"), "message": error.get("message")}


def _with_operation(shown: Mapping[str, Any], place: Place, *path: str) -> dict[str, Any]:
    operation = place.url(OPERATIONS, *path)
    return {**shown.get("properties", {}), OPERATION_KEY: operation}


def _head(
    place: Place, path: tuple[str, ...], type_: str, shown: Mapping[str, Any]
) -> dict[str, Any]:
    context = shown.get("creation_context") or {}
    times = {
        "createdAt": context.get("created_at"),
        "lastModifiedAt": context.get("last_modified_at"),
    }
    return {
        "id": place.id(*path),
        "name": path[-1],
        "type": f"{TYPE}/{type_}",
        "systemData": given(times),
    }
