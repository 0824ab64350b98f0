"""A deployment as the fields of a form: its document, and what is wrong, field by field.

Control plane, pure. Fields of the spec have their key as name; the rest are those of FIELDS.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from sparkscore.errors import SparkscoreError
from sparkscore.studio.setting_fields import INSTANCE_COUNT, get_fields

NO, YES = "no", "yes"
REGISTERED, UPLOAD, PLACE = "registered", "upload", "path"
LOCAL_COMPUTE = "azureml:local"
MLFLOW = "mlflow_model"

SCRIPT_FIELDS = (
    *("use_script", "code_from", "code", "code_uploaded", "code_uploaded_kind"),
    *("code_uploaded_summary", "code_uploaded_way", "code_path", "scoring_script", "environment"),
)
FIELDS = ("model", "model_type", *SCRIPT_FIELDS, "compute")

_FIRST = (
    *("name", "endpoint_name", "type", "description", "tags", "model"),
    *("code_configuration", "environment", "compute", "resources"),
)
"""The keys in the order in which people read them; the rest, such as settings, come after."""

_DEFAULTS = {"use_script": NO, "code_from": REGISTERED, "compute": LOCAL_COMPUTE}
_BY_KEY = {
    "code_configuration.code": "code",
    "code_configuration.scoring_script": "scoring_script",
    "code_configuration": "code",
    "settings.instance_count": INSTANCE_COUNT,
    **{name: name for name in ("model", "environment", "compute")},
}
_BY_CONDITION = (
    ("MODEL_WITHOUT_", "use_script"),
    ("SCRIPT_", "scoring_script"),
    ("CODE_", "code"),
    ("MODEL_", "model"),
    ("ENVIRONMENT_", "environment"),
    ("COMPUTE_", "compute"),
    ("INSTANCE_COUNT_", INSTANCE_COUNT),
    ("ENDPOINT_", "endpoint_name"),
)


def list_defaults() -> dict[str, str]:
    """Every field as a new form has it."""
    settings = {name: field.default for name, field in get_fields().items()}
    return {**settings, **dict.fromkeys(FIELDS, ""), **_DEFAULTS}


def read_document(document: Mapping[str, Any]) -> dict[str, str]:
    """Every field as a registered deployment has it."""
    values = list_defaults()
    for name, field in get_fields().items():
        values[name] = field.render(_find(document, name))
    if not values[INSTANCE_COUNT]:
        settings_count = _find(document, "settings.instance_count")
        values[INSTANCE_COUNT] = "" if settings_count is None else str(settings_count)
    for name in ("model", "environment", "compute"):
        values[name] = str(document.get(name) or "")
    code = document.get("code_configuration")
    if code:
        values.update(use_script=YES, code=code["code"], scoring_script=code["scoring_script"])
    return values


def write_document(
    values: Mapping[str, str], base: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The document that the fields say, laid over ``base``, and what cannot be read, by field.

    What is as by default is left out.
    """
    document: dict[str, Any] = copy.deepcopy(dict(base or {}))
    document.get("settings", {}).pop("instance_count", None)
    wrong = {}
    for name, field in get_fields().items():
        text = values.get(name, "")
        try:
            value = None if text == field.default else field.read(text)
        except ValueError as error:
            wrong[name] = f"{error}: write one NAME=VALUE a line"
            continue
        _put(document, name, value)
    for name in ("model", "environment", "compute"):
        _put(document, name, values.get(name) or None)
    code = {"code": values.get("code"), "scoring_script": values.get("scoring_script")}
    given = {key: text for key, text in code.items() if text}
    _put(document, "code_configuration", (given if uses_script(values) else None) or None)
    order = [*_FIRST, *(key for key in document if key not in _FIRST)]
    return {key: document[key] for key in order if key in document}, wrong


def uses_script(values: Mapping[str, str]) -> bool:
    """Whether a scoring script is to run; without one the model must be one of MLflow's."""
    return values.get("use_script") == YES or values.get("model_type") != MLFLOW


def iter_refusals(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Field and words for each thing that an error says; ``found`` as ``validate`` gives it."""
    others = found.get("others") or []
    message = str(found["message"]).removeprefix(f"{found.get('file')}: ")
    if others:
        message = message.partition("; also ")[0]
    yield find_field(found), _name_field(message, found)
    for other in others:
        yield find_field(other), _name_field(str(other["message"]), other)


def describe_error(error: SparkscoreError) -> dict[str, Any]:
    """An error as ``validate`` gives it."""
    return {"condition": error.condition, "message": error.message, **error.attributes}


def find_field(found: Mapping[str, Any]) -> str:
    """The field that an error belongs to, ``""`` if it belongs to none."""
    key = str(found.get("key") or "")
    while key:
        if key in _BY_KEY or key in get_fields():
            return _BY_KEY.get(key, key)
        key = key.rpartition(".")[0]
    condition = str(found.get("condition") or "")
    return next((name for start, name in _BY_CONDITION if condition.startswith(start)), "")


def _name_field(message: str, found: Mapping[str, Any]) -> str:
    """The words with the field's label in the place of its key."""
    key = str(found.get("key") or "")
    field = get_fields().get(find_field(found))
    if field is None or not message.startswith(f"{key} ") or not key.startswith(field.name):
        return message
    member = key.removeprefix(field.name).lstrip(".")
    label = f"{field.label}: {member}" if member else field.label
    return f"{label}{message.removeprefix(key)}"


def _find(document: Mapping[str, Any], key: str) -> Any:
    value: Any = document
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _put(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a member, or remove it with the sections that are empty then."""
    name, _, rest = key.partition(".")
    if rest:
        section = document.setdefault(name, {})
        _put(section, rest, value)
        if not section:
            del document[name]
    elif value is None:
        document.pop(name, None)
    else:
        document[name] = value
