"""Bodies of PUT and PATCH in the reference's words, as the documents that control takes. Pure.

Control plane. What a field may hold is checked by the document's spec; unknown fields are errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkscore.rest.fields import Fields, as_number, fold, given, to_camel, to_snake
from sparkscore.rest.ids import read_asset_id, read_bare_id
from sparkscore.spec import SettingsSpec
from sparkscore.spec.compute import PLATFORM_KEYS

OPERATION_KEY = "AzureAsyncOperationUri"
"""Member of ``properties.properties`` that answers hold and clients send back."""

_IGNORED = ("id", "name", "type", "location", "kind", "sku", "systemData", "etag", "identity")
_READ_ONLY = ("provisioningState", "isArchived", "isAnonymous", "scoringUri", "swaggerUri")
_NESTED = frozenset({"retry_settings", "instance_count"})
_SECONDS = frozenset({"checkpoint_interval", "init_timeout"})
_FREE = frozenset({"environment_variables", "spark_conf", "output_schema"})
_SETTINGS = tuple(name for name in SettingsSpec.model_fields if name not in _NESTED)


class Resource:
    """The envelope of a body: ``properties``, and tags that stand beside them or in them."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        envelope = Fields(body)
        envelope.drop(*_IGNORED)
        self.fields = envelope.take_fields("properties")
        self._outer_tags = envelope.take_map("tags")
        envelope.refuse_rest()

    def take_common(self, *, with_properties: bool = True) -> dict[str, Any]:
        """Description, tags and properties, those that were given."""
        inner_tags = self.fields.take_map("tags")
        found = {
            "description": self.fields.take("description"),
            "tags": inner_tags if self._outer_tags is None else self._outer_tags,
        }
        if with_properties:
            found["properties"] = _without_operation(self.fields.take_map("properties"))
        self.fields.drop(*_READ_ONLY)
        return given(found)


def _without_operation(properties: dict[str, Any] | None) -> dict[str, Any] | None:
    if properties is None:
        return None
    return {key: value for key, value in properties.items() if fold(key) != fold(OPERATION_KEY)}


def read_endpoint(body: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """The document of an endpoint."""
    resource = Resource(body)
    fields = resource.fields
    document = {"name": name, **resource.take_common()}
    mode = fields.take_text("authMode")
    if mode is not None:
        document["auth_mode"] = _AUTH_MODES.get(fold(mode.replace("_", "")), mode)
    defaults = fields.take_fields("defaults")
    deployment = defaults.take_text("deploymentName")
    defaults.refuse_rest()
    if deployment is not None:
        document["defaults"] = {"deployment_name": deployment}
    fields.drop("traffic", "keys")
    fields.refuse_rest()
    return document


_AUTH_MODES = {"aadtoken": "aad_token", "amltoken": "aml_token", "key": "key"}


def read_deployment(body: Mapping[str, Any], *, name: str, endpoint_name: str) -> dict[str, Any]:
    """The document of a deployment."""
    resource = Resource(body)
    fields = resource.fields
    document = {"name": name, "endpoint_name": endpoint_name, **resource.take_common()}
    fields.drop("deploymentConfiguration", "provisioningState")
    document |= given(
        {
            "model": _read_model(fields.take("model")),
            "code_configuration": _read_code(fields.take_fields("codeConfiguration")),
            "environment": _read_asset(fields.take_text("environmentId", "environment")),
            "compute": _read_compute(fields.take_text("compute")),
            "resources": _read_resources(fields.take_fields("resources")),
        }
    )
    settings = read_settings(fields)
    fields.refuse_rest()
    # ``type`` chooses the layout in which settings stand in a section of their own.
    return {**document, "type": "model", "settings": settings}


def read_settings(fields: Fields) -> dict[str, Any]:
    """Settings that stand beside others in ``fields``: those that were given."""
    older = fields.take_fields("outputConfiguration")
    settings = given(
        {
            "output_action": older.take_word("outputAction"),
            "output_file_name": older.take_text("appendRowFileName"),
        }
    )
    older.refuse_rest()
    for name in _SETTINGS:
        value = _read_setting(fields, name)
        if value is not None:
            settings[name] = value
    retries = fields.take_fields("retrySettings")
    found = given(
        {
            "max_retries": retries.take_number("maxRetries"),
            "timeout": retries.take_seconds("timeout"),
        }
    )
    retries.refuse_rest()
    if found:
        settings["retry_settings"] = found
    if fields.take("partitionKeys"):
        settings["partition_keys"] = True  # no such setting: its name is refused with the others
    return settings


def _read_setting(fields: Fields, name: str) -> Any:
    key = to_camel(name)
    if name in _SECONDS:
        return fields.take_seconds(key)
    if name in _FREE:
        return fields.take_map(key)
    if name == "output_action":
        return fields.take_word(key)
    value = fields.take(key)
    is_text = name in ("output_file_name", "output_table", "output_separator", "memory_limit")
    return value if is_text else as_number(value)


def _read_model(model: object) -> Any:
    """A path or id, or ``{referenceType, assetId}`` and the like."""
    if not isinstance(model, dict):
        return _read_asset(model) if isinstance(model, str) else model
    fields = Fields(model, "properties.model")
    fields.drop("referenceType")
    asset, path = fields.take_text("assetId"), fields.take_text("path")
    datastore = fields.take_text("datastoreId")
    fields.refuse_rest()
    if asset is not None:
        return _read_asset(asset)
    return None if path is None else {"path": join_datastore(path, datastore)}


def join_datastore(path: str, datastore: str | None) -> str:
    """A path, in a datastore if one is named."""
    if datastore is None:
        return read_asset_id(path)
    return f"azureml://datastores/{read_bare_id(datastore)}/paths/{path.lstrip('/')}"


def _read_code(fields: Fields) -> dict[str, Any] | None:
    code, script = fields.take_text("codeId", "code"), fields.take_text("scoringScript")
    fields.refuse_rest()
    if code is None and script is None:
        return None
    return given({"code": _read_asset(code), "scoring_script": script})


def _read_asset(text: str | None) -> str | None:
    return None if text is None else read_asset_id(text)


def _read_compute(text: str | None) -> str | None:
    """Paths of computes as ``azureml:<name>``; others as they are."""
    if text is None:
        return None
    name = read_bare_id(text)
    return f"azureml:{name}" if name != text or text.startswith("azureml:") else text


def _read_resources(fields: Fields) -> dict[str, Any] | None:
    found = given(
        {
            "instance_count": fields.take_number("instanceCount"),
            "instance_type": fields.take_text("instanceType"),
            "properties": fields.take_map("properties"),
            "shm_size": fields.take_text("shmSize"),
            "max_instance_count": fields.take_number("maxInstanceCount"),
            "docker_args": fields.take_text("dockerArgs"),
            "locations": fields.take("locations"),
        }
    )
    fields.refuse_rest()
    return found or None


def read_model(body: Mapping[str, Any], *, name: str, version: str) -> dict[str, Any]:
    """The document of a model's version."""
    resource = Resource(body)
    fields = resource.fields
    common = resource.take_common()
    type_ = fields.take_word("modelType", "modelFormat", "type")
    path, datastore = fields.take_text("modelUri", "path"), fields.take_text("datastoreId")
    flavors, stage = fields.take_map("flavors"), fields.take_text("stage")
    fields.drop("jobName")
    fields.refuse_rest()
    document = {
        "type": _MODEL_TYPES.get(type_ or "", type_),
        "path": None if path is None else join_datastore(path, datastore),
        "flavors": flavors,
        "stage": stage,
    }
    return {"name": name, "version": version, **common, **given(document)}


_MODEL_TYPES = {"custom": "custom_model", "mlflow": "mlflow_model", "triton": "triton_model"}


def read_code(body: Mapping[str, Any]) -> dict[str, Any]:
    """What ``code.create`` takes but the name: ``path``, description, tags, properties."""
    resource = Resource(body)
    fields = resource.fields
    common = resource.take_common()
    path, datastore = fields.take_text("codeUri", "path"), fields.take_text("datastoreId")
    fields.refuse_rest()
    return {**common, **given({"path": join_datastore(path, datastore) if path else None})}


def read_data(body: Mapping[str, Any], *, name: str, version: str) -> dict[str, Any]:
    """The document of a data asset's version, also in the words of 2021's datasets."""
    resource = Resource(body)
    fields = resource.fields
    common = resource.take_common()
    type_ = fields.take_word("dataType", "datasetType", "type")
    path, datastore = fields.take_text("dataUri", "path", "uri"), fields.take_text("datastoreId")
    paths = fields.take("paths")
    fields.refuse_rest()
    if path is None and isinstance(paths, list) and len(paths) == 1 and isinstance(paths[0], dict):
        one = Fields(paths[0], "properties.paths[0]")
        folder, file = one.take_text("folder"), one.take_text("file")
        one.refuse_rest()
        path, type_ = folder or file, type_ or ("uri_folder" if folder else "uri_file")
        paths = None
    document = {
        "type": _DATA_TYPES.get(type_ or "", type_),
        "path": None if path is None else join_datastore(path, datastore),
        "paths": paths,
    }
    return {"name": name, "version": version, **common, **given(document)}


_DATA_TYPES = {"simple": "uri_folder", "folder": "uri_folder", "file": "uri_file"}


def read_compute(body: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """The document of a compute."""
    resource = Resource(body)
    outer = resource.fields
    common = resource.take_common(with_properties=False)
    type_ = outer.take_text("computeType")
    outer.drop("computeLocation", "disableLocalAuth", "isAttachedCompute", "resourceId")
    outer.drop("createdOn", "modifiedOn", "provisioningErrors")
    inner = outer.take_fields("properties")
    outer.refuse_rest()
    inner.drop(*_COMPUTE_IGNORED)
    scale = inner.take_fields("scaleSettings")
    document = {
        "type": fold(type_) if type_ is not None else None,
        "size": inner.take_text("vmSize"),
        "tier": inner.take_word("vmPriority"),
        "min_instances": scale.take_number("minNodeCount"),
        "max_instances": scale.take_number("maxNodeCount"),
        "idle_time_before_scale_down": scale.take_seconds("nodeIdleTimeBeforeScaleDown"),
        "master": inner.take_text("master"),
        "shared_paths": inner.take("sharedPaths"),
        "spark_conf": inner.take_map("sparkConf"),
    }
    for key in ("minInstances", "maxInstances"):
        if inner.has(key):
            document[to_snake(key)] = inner.take_number(key)
    for key in PLATFORM_KEYS:
        if inner.has(to_camel(key)):
            document[key] = inner.take(to_camel(key))
    scale.refuse_rest()
    inner.refuse_rest()
    return {"name": name, **common, **given(document)}


_COMPUTE_IGNORED = (
    *("osType", "remoteLoginPortPublicAccess", "enableNodePublicIp", "isolatedNetwork", "subnet"),
    *("allocationState", "allocationStateTransitionTime", "currentNodeCount", "targetNodeCount"),
    *("nodeStateCounts", "errors", "virtualMachineImage", "userAccountCredentials"),
    *("propertyBag", OPERATION_KEY),
)


def read_datastore(body: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """The document of a datastore; 2021's had what it consists of in ``contents``."""
    resource = Resource(body)
    fields = resource.fields
    common = resource.take_common()
    fields.drop("isDefault", "serviceDataAccessAuthIdentity", "resourceGroup", "subscriptionId")
    contents = fields.take_fields("contents")
    older = contents.take_word("contentsType")
    type_ = fields.take_word("datastoreType") or older
    document: dict[str, Any] = {"type": type_}
    for source in (contents, fields):
        credentials = source.take_fields("credentials")
        kind = credentials.take_text("credentialsType")
        if list(credentials.iter_rest()) or fold(kind or "None") != "none":
            document["credentials"] = {"type": kind or "credentials"}
        source.drop("uri", "serviceDataAccessAuthIdentity", "resourceGroup", "subscriptionId")
        for key in _DATASTORE_KEYS:
            value = source.take(to_camel(key))
            document[key] = document.get(key) if value is None else value
        source.refuse_rest()
    return {"name": name, **common, **given(document)}


_DATASTORE_KEYS = (
    *("account_name", "container_name", "filesystem", "bucket", "protocol", "endpoint", "path"),
    *("region", "profile", "anonymous"),
)
