"""Jobs as people ask for them in a form. Control plane, pure but for looking up the workspace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.datastructures import FormData

from sparkscore.control import InvokeRequest, Job, Workspace
from sparkscore.errors import SparkscoreError
from sparkscore.rest.datastore_paths import find_datastore_path
from sparkscore.spec.settings import RetrySettings, SettingsSpec
from sparkscore.studio.forms import Form

SETTINGS = (
    *("mini_batch_size", "error_threshold", "max_retries", "timeout"),
    *("max_concurrency_per_instance", "logging_level", "output_file_name"),
)
"""Settings of the deployment that the form can change for one job."""

INPUT_KINDS = {
    "asset": "Registered data asset",
    "datastore": "Path in a datastore",
    "uri": "URI",
    "upload": "Upload from this computer",
}

_INPUT_CONDITIONS = frozenset(
    {
        *("NO_INPUT", "INPUT_NOT_FOUND", "EMPTY_INPUT", "INPUT_NOT_READABLE", "INVALID_REFERENCE"),
        *("INPUT_KIND_MISMATCH", "INVALID_INPUT_TYPE", "TABULAR_DATA_NOT_SUPPORTED"),
        *("LOCAL_DATA_NOT_REACHABLE", "DATA_NOT_FOUND", "HOST_NOT_ALLOWED", "SCHEME_NOT_ALLOWED"),
    }
)
_OUTPUT_CONDITIONS = frozenset(
    {"OUTPUT_EXISTS", "OUTPUT_IN_INPUT", "OUTPUT_NOT_WRITABLE", "OUTPUT_NOT_SUPPORTED"}
)


def read_request(form: Form) -> InvokeRequest:
    """The request that a form makes. What no use case would refuse is refused in ``form``."""
    return InvokeRequest(
        deployment_name=form.find("deployment"),
        input=_read_input(form),
        output_path=_read_output(form),
        overrides=tuple(_iter_overrides(form)),
        instance_count=_read_number(form, "instance_count"),
        job_name=form.find("job_name"),
        display_name=form.find("display_name"),
        description=form.find("description"),
        experiment_name=form.find("experiment_name"),
        include=tuple(form.get("include").split()),
        exclude=tuple(form.get("exclude").split()),
        limit=_read_number(form, "limit"),
        compute=form.find("compute"),
        tags=_read_tags(form),
    )


def take_error(form: Form, error: SparkscoreError) -> None:
    """Put an error of ``plan`` or ``invoke`` beside the field that it is about."""
    input_field = f"input_{form.get('input_kind', 'asset')}"
    fields = {
        **dict.fromkeys(_INPUT_CONDITIONS, input_field),
        **dict.fromkeys(_OUTPUT_CONDITIONS, "output_path"),
        **{name: name for name in SETTINGS},
        "JOB_NAME_CONFLICT": "job_name",
        "JOB_EXISTS": "job_name",
        "INVALID_JOB_NAME": "job_name",
        "DATASTORE_NOT_FOUND": "input_datastore",
        "DEPLOYMENT_NOT_FOUND": "deployment",
        "NO_DEFAULT_DEPLOYMENT": "deployment",
        "COMPUTE_NOT_FOUND": "compute",
    }
    if not form.is_on("chooses_output"):
        fields["LOCAL_PATH_NOT_ALLOWED"] = input_field
    form.take(error, fields)


def list_fields() -> list[str]:
    """Fields that may have an error beside them."""
    inputs = (f"input_{kind}" for kind in INPUT_KINDS if kind != "upload")
    others = ("deployment", "output_path", "job_name", "compute", "instance_count", "limit", "tags")
    return [*inputs, *others, *SETTINGS]


def get_hints() -> dict[str, str]:
    """What the deployment's specification says of each of SETTINGS."""
    known: dict[str, Any] = {**SettingsSpec.model_fields, **RetrySettings.model_fields}
    return {name: str(known[name].description or "") for name in SETTINGS}


def get_settings(document: Mapping[str, Any]) -> dict[str, str]:
    """SETTINGS that a deployment's document gives, as texts of a form."""
    settings: Mapping[str, Any] = document.get("settings") or {}
    found = {**settings, **(settings.get("retry_settings") or {})}
    return {name: _as_text(found[name]) for name in SETTINGS if found.get(name) is not None}


def repeat(workspace: Workspace, job: Job, registered: Mapping[str, Any]) -> Form:
    """The form that asks for a job again; ``registered`` is the deployment's document now.

    Its output goes to a new place, since that of the job is taken.
    """
    record = job.record
    source = record.inputs.get("input") or {}
    reference, uri = str(source.get("path") or ""), str(source.get("uri") or "")
    fields = {"deployment": record.deployment_name or "", "experiment_name": record.experiment_name}
    place = find_datastore_path(workspace, uri)
    if reference:
        fields |= {"input_kind": "asset", "input_asset": reference}
    elif place is not None:
        fields |= {"input_kind": "datastore", "input_datastore_name": place[0]}
        fields["input_datastore"] = place[1]
    else:
        fields |= {"input_kind": "uri", "input_uri": uri}
    used, default = get_settings(record.deployment), get_settings(registered)
    changed = {name: text for name, text in used.items() if default.get(name) != text}
    if changed:
        fields |= {"overrides_settings": "true", **changed}
    return Form(FormData([(name, value) for name, value in fields.items() if value]))


def _read_input(form: Form) -> str | None:
    kind = form.get("input_kind", "asset")
    if kind == "datastore":
        return _join(form.get("input_datastore_name"), form.get("input_datastore"))
    return form.find(f"input_{kind}")


def _read_output(form: Form) -> str | None:
    if not form.is_on("chooses_output"):
        return None
    if form.find("output_path") is None:
        form.refuse("output_path", "Name a folder that is not there yet.")
    return _join(form.get("output_datastore_name"), form.get("output_path"))


def _join(datastore: str, path: str) -> str:
    return f"azureml://datastores/{datastore}/paths/{path.strip('/')}"


def _iter_overrides(form: Form) -> Iterator[str]:
    if not form.is_on("overrides_settings"):
        return
    for name in SETTINGS:
        text = form.find(name)
        if text is not None:
            yield f"{name}={json.dumps(text) if name == 'output_file_name' else text}"


def _read_number(form: Form, name: str) -> int | None:
    text = form.find(name)
    if text is None or (text.isdecimal() and len(text) < 20):
        return None if text is None else int(text)
    form.refuse(name, f"{text} is no whole number.")
    return None


def _read_tags(form: Form) -> dict[str, str]:
    """Lines of ``name=value``."""
    tags = {}
    for line in form.get("tags").splitlines():
        name, equals, value = line.partition("=")
        if line.strip() and not (equals and name.strip()):
            form.refuse("tags", f"{line.strip()}: write name=value, one on a line.")
        elif line.strip():
            tags[name.strip()] = value.strip()
    return tags


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
