"""Bodies that start a job, in the words of 2021 and in the later ones. Control plane, pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.errors import InvalidFieldError
from sparkscore.rest.fields import Fields, fold, to_snake
from sparkscore.rest.ids import read_asset_id
from sparkscore.rest.resource_bodies import join_datastore, read_settings
from sparkscore.rest.rights import HARMLESS
from sparkscore.spec import InvokeSpec, load_document

_LITERALS = {str: "string", bool: "boolean", int: "integer", float: "number"}
_READ_ONLY = (
    *("id", "type", "systemData", "location", "kind", "tags", "identity"),
    *("status", "provisioningState", "interactionEndpoints", "isArchived", "endpointId"),
)


@dataclass
class _Draft:
    """The request as far as it was read."""

    deployment_name: str | None
    job_name: str | None
    input: str | None = None
    input_type: str | None = None
    output_path: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def read_invocation(
    body: Mapping[str, Any], *, deployment_name: str | None, job_name: str | None
) -> InvokeRequest:
    """The request that a body makes; header fields win over what it says.

    Raises SpecError for fields that are unknown, wrong or given twice.
    """
    envelope = Fields(body)
    tags, named = envelope.take_map("tags"), envelope.take_text("name")
    fields = envelope.take_fields("properties")
    envelope.drop(*_READ_ONLY)
    envelope.refuse_rest()
    inner_tags = fields.take_map("tags")
    draft = _Draft(
        deployment_name=deployment_name or fields.take_text("deploymentName"),
        job_name=job_name or fields.take_text("jobName", "name") or named,
    )
    _read_input(fields, draft)
    _read_output(fields, draft)
    instance_count = _read_instance_count(fields)
    properties = Fields(fields.take_map("properties") or {}, "properties.properties")
    experiment = fields.take_text("experimentName") or properties.take_text("experimentName")
    display_name = fields.take_text("displayName")
    description = fields.take_text("description")
    draft.settings = {**read_settings(fields), **draft.settings}
    fields.drop(*_READ_ONLY)
    fields.refuse_rest()
    return InvokeRequest(
        deployment_name=draft.deployment_name,
        input=draft.input,
        input_type=draft.input_type,
        output_path=draft.output_path,
        overrides=tuple(_iter_overrides(draft.settings)),
        instance_count=instance_count,
        job_name=draft.job_name,
        experiment_name=experiment,
        display_name=display_name,
        description=description,
        tags=_as_texts(inner_tags if tags is None else tags),
    )


def _as_texts(tags: Mapping[str, Any] | None) -> dict[str, str]:
    for name, value in (tags or {}).items():
        if not isinstance(value, str):
            raise InvalidFieldError(f"tags.{name} must be a text", key=f"tags.{name}", value=value)
    return dict(tags or {})


def _read_instance_count(fields: Fields) -> Any:
    compute = fields.take_fields("compute")
    resources = fields.take_fields("resources")
    counts = [each.take_number("instanceCount") for each in (compute, resources)]
    compute.drop("target", "location", "isLocal", "instanceType")
    compute.refuse_rest()
    resources.refuse_rest()
    found = next((count for count in counts if count is not None), None)
    if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
        key = "properties.compute.instanceCount"
        raise InvalidFieldError(f"{key} must be a whole number", key=key, value=found)
    return found


def _read_input(fields: Fields, draft: _Draft) -> None:
    older = fields.take_map("dataset")
    later = fields.take_map("inputData", "inputs")
    if older is not None and later:
        raise _twice("properties.dataset", "properties.inputData")
    if older is not None:
        draft.input = _read_dataset(Fields(older, "properties.dataset"))
    elif later:
        draft.input, draft.input_type = _read_inputs(later)


def _read_dataset(fields: Fields) -> str | None:
    """A path, or a registered dataset by name and version or by id."""
    fields.drop("dataInputType")
    path, id_ = fields.take_text("path", "uri"), fields.take_text("datasetId", "assetId")
    name, version = fields.take_text("datasetName"), fields.take("datasetVersion")
    fields.refuse_rest()
    if id_ is not None:
        return read_asset_id(id_)
    if name is not None:
        return f"azureml:{name}@latest" if version is None else f"azureml:{name}:{version}"
    return None if path is None else read_asset_id(path)


def _read_inputs(inputs: Mapping[str, Any]) -> tuple[str | None, str | None]:
    content = {name: _read_job_input(value, name) for name, value in inputs.items()}
    spec = load_document(InvokeSpec, {"inputs": content}, source_name="properties").spec
    one = next(iter(spec.inputs.values()))
    return one.path, one.type


def _read_job_input(value: object, name: str) -> dict[str, Any]:
    fields = Fields(_as_object(value, f"properties.inputData.{name}"), f"inputData.{name}")
    kind = fields.take_text("jobInputType", "type") or "UriFolder"
    uri, literal = fields.take_text("uri", "path"), fields.take("value")
    mode = fields.take("mode")
    fields.drop("description")
    fields.refuse_rest()
    del mode
    if fold(kind) == "literal":
        return {"type": _LITERALS.get(type(literal), "string")}
    content: dict[str, Any] = {"type": to_snake(kind)}
    return content if uri is None else {**content, "path": read_asset_id(uri)}


def _read_output(fields: Fields, draft: _Draft) -> None:
    older = fields.take_map("outputDataset")
    later = fields.take_map("outputData", "outputs")
    if older is not None and later:
        raise _twice("properties.outputDataset", "properties.outputData")
    if older is not None:
        place = Fields(older, "properties.outputDataset")
        datastore, path = place.take_text("datastoreId"), place.take_text("path")
        place.refuse_rest()
        draft.output_path = join_datastore(path or "", datastore) if path or datastore else None
    elif later:
        _read_outputs(later, draft)


def _read_outputs(outputs: Mapping[str, Any], draft: _Draft) -> None:
    """A file is named by its whole path, a folder holds the file of the deployment's name."""
    content = {name: _read_job_output(value, name) for name, value in outputs.items()}
    spec = load_document(InvokeSpec, {"outputs": content}, source_name="properties").spec
    one = next(iter(spec.outputs.values()))
    if one.path is None:
        return
    if one.type != "uri_file":
        draft.output_path = one.path
        return
    draft.output_path, _, file_name = one.path.rpartition("/")
    draft.settings["output_file_name"] = file_name


def _read_job_output(value: object, name: str) -> dict[str, Any]:
    fields = Fields(_as_object(value, f"properties.outputData.{name}"), f"outputData.{name}")
    kind = fields.take_text("jobOutputType", "type") or "UriFolder"
    uri = fields.take_text("uri", "path")
    fields.drop("mode", "description")
    fields.refuse_rest()
    content: dict[str, Any] = {"type": to_snake(kind)}
    return content if uri is None else {**content, "path": read_asset_id(uri)}


def _as_object(value: object, key: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise InvalidFieldError(f"{key} must be an object", key=key, value=value)


def _iter_overrides(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if name not in HARMLESS:
            raise InvalidFieldError(
                f"{name} is the deployment's own, a call cannot set it: create another deployment",
                condition="NOT_AN_OVERRIDE",
                key=name,
            )
        if isinstance(value, dict):
            yield from (f"{name}.{key}={_quote(part)}" for key, part in value.items())
        else:
            yield f"{name}={_quote(value)}"


def _quote(value: object) -> str:
    """JSON, which is YAML too: nothing in it can be taken for something else."""
    return json.dumps(value, ensure_ascii=False)


def _twice(first: str, second: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"{first} and {second} both say it: remove one", condition="GIVEN_TWICE", key=first
    )
