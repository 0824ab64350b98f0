"""The kinds of assets that have pages of their own, and what their forms say. Control plane."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sparkscore.control.workspace import Workspace
from sparkscore.errors import MalformedDocumentError, SparkscoreError, SpecError
from sparkscore.rest.datastore_paths import settle_path
from sparkscore.rest.environment_bodies import get_plain
from sparkscore.spec import ComputeSpec, load_document
from sparkscore.spec.document import parse_document
from sparkscore.studio.compute_fields import find_type, get_field, is_default, is_needed, list_keys
from sparkscore.studio.forms import Form
from sparkscore.studio.pairs import read_pairs, render_pairs
from sparkscore.studio.setting_fields import SettingField

Document = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of asset: ``key`` is its address and its part of the workspace.

    ``fields`` are form fields by the condition of an error that belongs to them.
    """

    key: str
    title: str
    one: str
    about: str
    read: Callable[[Form], Document]
    required: tuple[str, ...]
    fields: dict[str, str]
    is_versioned: bool = True
    is_of_owners: bool = False

    def get_part(self, workspace: Workspace) -> Any:
        """The part of the workspace that keeps it."""
        return getattr(workspace, self.key)


def _read_common(form: Form) -> Document:
    document: Document = {"name": form.find("name"), "version": form.find("version")}
    document["description"] = form.find("description")
    document["tags"] = _read_pairs(form, "tags")
    return document


def _read_place(form: Form) -> Document:
    """The path of what was uploaded, or as typed."""
    source = form.get("source", "upload")
    field = "uploaded" if source == "upload" else "path"
    path = form.find(field)
    if path is None:
        form.refuse(field, "Upload something, or choose to give a path.")
    return {"path": path}


def read_model(form: Form) -> Document:
    """The document of a model."""
    return {**_read_common(form), "type": form.find("type"), **_read_place(form)}


def read_data(form: Form) -> Document:
    """The document of data; a type is not needed for an upload."""
    document = {**_read_common(form), "type": form.find("type"), **_read_place(form)}
    if form.get("source", "upload") == "upload":
        kind = form.find("uploaded_kind")
        document["type"] = None if kind is None else f"uri_{kind}"
    return document


def read_environment(form: Form) -> Document:
    """The document of an environment; its conda file is YAML in a field."""
    document = {**_read_common(form), "image": form.find("image")}
    lines = [line.strip() for line in form.get("requirements").splitlines()]
    document["requirements"] = [line for line in lines if line and line[0] != "#"] or None
    document["python_version"] = form.find("python_version")
    conda = form.find("conda_file")
    if conda is None and document["image"] is None and document["requirements"] is None:
        form.refuse("conda_file", "Give a conda file, requirements or an image.")
    if conda is not None:
        document["conda_file"] = _read_conda(form, conda)
    return document


def _read_conda(form: Form, text: str) -> Any:
    try:
        content = get_plain(parse_document(text, source="conda file", kind="conda"))
    except MalformedDocumentError as error:
        form.refuse("conda_file", error.message)
        return None
    if not isinstance(content, dict):
        form.refuse("conda_file", "This must be a mapping, such as dependencies: [numpy]")
        return None
    return content


DATASTORE_FIELDS = {
    "local": ("path",),
    "azure_blob": ("account_name", "container_name", "path", "endpoint", "profile"),
    "azure_data_lake_gen2": ("account_name", "filesystem", "path", "endpoint", "profile"),
    "s3": ("bucket", "path", "region", "endpoint", "profile"),
    "gcs": ("bucket", "path", "endpoint", "profile"),
    "uri": ("path", "region", "endpoint", "profile"),
}
"""Fields of a datastore's form by type, in the order of the form."""


def read_compute(form: Form) -> Document:
    """The document of a compute: what fits its type."""
    type_ = form.get("type", "spark")
    document: Document = {"name": form.find("name"), "type": type_}
    known = find_type(type_)
    for key in list_keys(known):
        value = _read_field(form, get_field(known, key))
        document[key] = None if value in ("", {}, []) else value
    if "shared_paths" in document:
        document["shared_paths"] = form.is_on("shared_paths")
    document["description"] = form.find("description")
    document["tags"] = _read_pairs(form, "tags")
    return document


def read_datastore(form: Form) -> Document:
    """The document of a datastore: what fits its type."""
    type_ = form.get("type", "azure_blob")
    document: Document = {"name": form.find("name"), "type": type_}
    for field in DATASTORE_FIELDS.get(type_, ()):
        document[field] = form.find(f"{type_}_{field}")
    if type_ != "local" and form.is_on("anonymous"):
        document["anonymous"] = True
    document["description"] = form.find("description")
    document["tags"] = _read_pairs(form, "tags")
    return document


def _read_field(form: Form, field: SettingField) -> Any:
    """The value of a setting; what cannot be read stands beside it."""
    try:
        return field.read(form.get(field.name))
    except ValueError as error:
        form.refuse(field.name, f"{error}: write each line as NAME=VALUE")
        return None


def _read_pairs(form: Form, field: str) -> dict[str, str] | None:
    """Lines of NAME=VALUE, None for no line; what is no such line stands beside the field."""
    try:
        return read_pairs(form.get(field)) or None
    except ValueError as error:
        form.refuse(field, f"{error}: write each line as NAME=VALUE")
        return None


_VERSION_EXISTS = {
    "MODEL_VERSION_EXISTS": "version",
    "DATA_VERSION_EXISTS": "version",
    "ENVIRONMENT_VERSION_EXISTS": "version",
}
_PLACE_PROBLEMS = dict.fromkeys(
    (
        *("LOCAL_PATH_NOT_ALLOWED", "SCHEME_NOT_ALLOWED", "HOST_NOT_ALLOWED", "MODEL_NOT_FOUND"),
        *("MODEL_EMPTY", "MODEL_NOT_FETCHED", "DATA_PATH_NOT_FOUND", "DATASTORE_NOT_FOUND"),
        *("CREDENTIALS_IN_URI", "INVALID_REFERENCE", "PATH_LEAVES_DATASTORE", "UNKNOWN_SCHEME"),
    ),
    "path",
)

KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            key="models",
            title="Models",
            one="model",
            about="A model is what a deployment scores with. MLflow models need no script.",
            read=read_model,
            required=("name",),
            fields={**_VERSION_EXISTS, **_PLACE_PROBLEMS, "MODEL_NOT_MLFLOW": "type"},
        ),
        Kind(
            key="data",
            title="Data",
            one="data asset",
            about="A data asset is a folder or file with a name, which jobs can score.",
            read=read_data,
            required=("name",),
            fields={**_VERSION_EXISTS, **_PLACE_PROBLEMS},
        ),
        Kind(
            key="environments",
            title="Environments",
            one="environment",
            about="An environment says which packages a scoring script needs.",
            read=read_environment,
            required=("name",),
            fields={**_VERSION_EXISTS},
        ),
        Kind(
            key="datastores",
            title="Datastores",
            one="datastore",
            about="A datastore is a folder, bucket or container with a name. It holds no secrets.",
            read=read_datastore,
            required=("name", "type"),
            fields={"DATASTORE_BUILT_IN": "name"},
            is_versioned=False,
            is_of_owners=True,
        ),
        Kind(
            key="computes",
            title="Compute",
            one="compute",
            about="A compute is a named place to run jobs.",
            read=read_compute,
            required=("name", "type"),
            fields={"COMPUTE_BUILT_IN": "name"},
            is_versioned=False,
        ),
    )
}


def register(kind: Kind, workspace: Workspace, form: Form) -> Any:
    """Make what a form says; None if something in it is wrong, which the form then says."""
    document = {key: value for key, value in kind.read(form).items() if value is not None}
    for field in kind.required:
        if field not in document:
            form.refuse(field, "This is needed.")
    if kind.key == "computes":
        _check_compute(kind, form, document)
    if form.errors:
        return None
    settle_path(workspace, document)
    try:
        return kind.get_part(workspace).create(document)
    except SparkscoreError as error:
        if error.http_status >= 500:
            raise
        _take(kind, form, error)
        return None


def _check_compute(kind: Kind, form: Form, document: Document) -> None:
    """Beside each field all that is wrong, what is missing too: a form is long."""
    type_ = find_type(str(document["type"]))
    for key in list_keys(type_):
        if is_needed(type_, key) and key not in document:
            form.refuse(get_field(type_, key).name, "This is needed.")
    try:
        load_document(ComputeSpec, document)
    except SpecError as error:
        _take(kind, form, error)


def _take(kind: Kind, form: Form, error: SparkscoreError) -> None:
    """Beside the fields that it names: of a document there may be several."""
    key = error.attributes.get("key")
    others = error.attributes.get("others") or []
    first = error.message.removeprefix(f"{error.attributes.get('file')}: ")
    named = [(key, first.partition("; also ")[0]), *_iter_others(others)]
    type_ = form.get("type")
    prefix = f"{type_}_" if kind.key == "datastores" else ""
    place = "uploaded" if form.get("source", "upload") == "upload" else "path"
    known = {name: name for name in ("name", "version", "type", "description", "tags")}
    for name, message in named:
        if not isinstance(name, str):
            continue
        field = name.partition(".")[0]
        if field == "path" and not prefix:
            field = place
        if kind.key == "computes" and field not in known:
            field, message = _find_setting(type_, field, message)
        form.refuse(known.get(field, f"{prefix}{field}"), message)
    if not isinstance(key, str):
        fields = {**kind.fields}
        if kind.is_versioned:
            fields = {name: place if field == "path" else field for name, field in fields.items()}
        elif prefix:
            fields |= dict.fromkeys(_PLACE_PROBLEMS, f"{prefix}path")
        form.take(error, fields=fields)


def _find_setting(type_: str, key: str, message: str) -> tuple[str, str]:
    """The field of a compute's key, and the words of an error with the field's label."""
    field = get_field(find_type(type_), key)
    words = message.partition(": add it, or give --set ")[0]
    if words.startswith(f"{key} "):
        words = field.label + words.removeprefix(key)
    return field.name, words


def _iter_others(others: Iterable[Any]) -> Iterable[tuple[Any, str]]:
    for other in others:
        if isinstance(other, dict):
            yield other.get("key"), str(other.get("message", ""))


def find_lost_keys(kind: Kind, entity: Any) -> set[str]:
    """The keys of an entity that the form of its kind lacks, and would lose."""
    document: Document = entity.document
    given = {key for key, value in document.items() if value not in (None, "", {}, [], False)}
    lost = given - get_form_keys(kind, entity.type)
    if kind.key == "computes":
        lost -= {key for key in lost if is_default(key, document[key])}
    return lost


def get_form_keys(kind: Kind, type_: str) -> set[str]:
    """The keys of a document of this type that the form of its kind has."""
    common = {"name", "type", "description", "tags"}
    if kind.key == "computes":
        return common.union(list_keys(find_type(type_)))
    return common | {"anonymous", *DATASTORE_FIELDS.get(type_, ())}


def fill_form(kind: Kind, entity: Any) -> dict[str, str]:
    """The fields of the form that makes the entity as it is."""
    fields = {}
    for key, value in {"name": entity.name, "type": entity.type, **entity.document}.items():
        name, text = key, str(value)
        if kind.key == "computes" and key in list_keys(entity.type):
            field = get_field(entity.type, key)
            name, text = field.name, field.render(value)
        elif isinstance(value, dict):
            text = render_pairs(value)
        elif isinstance(value, bool):
            text = "true" if value else ""
        elif key in DATASTORE_FIELDS.get(entity.type, ()):
            name = f"{entity.type}_{key}"
        if value is not None and text:
            fields[name] = text
    return fields
