"""Documents other than deployments: samples, every key, and what is refused by name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from sparkscore.errors import (
    InvalidFieldError,
    SpecError,
    UnknownFieldError,
    UnresolvedReferenceError,
)
from sparkscore.spec import (
    DOCUMENTS,
    BatchEndpointSpec,
    ComputeSpec,
    DataSpec,
    EnvironmentAssetSpec,
    InvokeSpec,
    ModelSpec,
    document_json_schema,
    iter_fields,
    load_document,
)

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*/*.yml"))
OTHERS = [kind for kind in DOCUMENTS if kind != "deployment"]

BASES: dict[str, dict[str, Any]] = {
    "endpoint": {"name": "digits"},
    "model": {"name": "digits", "path": "./model"},
    "environment": {"name": "digits-env"},
    "data": {"name": "digits", "path": "./images"},
    "datastore": {"name": "images", "type": "local", "path": "./images"},
    "compute": {"name": "cluster", "type": "local"},
    "invoke": {"inputs": {"a": {"path": "./images"}}},
}


def load(kind: str, tmp_path: Path, addition: dict[str, Any], *, alone: bool = False) -> Any:
    document = addition if alone else {**BASES[kind], **addition}
    file = tmp_path / f"{kind}.yml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return load_document(DOCUMENTS[kind], file).spec


def get_error(kind: str, tmp_path: Path, addition: dict[str, Any], **keywords: Any) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(kind, tmp_path, addition, **keywords)
    return caught.value


def name_sample(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", SAMPLES, ids=name_sample)
def test_sample__loads_again_from_what_it_stores(path):
    model = DOCUMENTS[path.parent.name]
    loaded = load_document(model, path)
    assert (loaded.file, loaded.source, loaded.folder) == (path, str(path), path.parent)
    stored = loaded.spec.to_document()
    again = load_document(model, stored)
    assert again.spec == loaded.spec
    assert again.spec.to_document() == stored
    assert again.file is None


@pytest.mark.parametrize("path", SAMPLES, ids=name_sample)
def test_sample__fits_the_schema(path):
    validator = Draft202012Validator(document_json_schema(DOCUMENTS[path.parent.name]))
    assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize("kind", OTHERS)
def test_samples__have_every_key(kind):
    written = [yaml.safe_load(path.read_text()) for path in SAMPLES if path.parent.name == kind]
    keys = {key for document in written for key in document}
    assert {field.path[0] for field in iter_fields(DOCUMENTS[kind])} - keys == set()


def test_endpoint__defaults():
    spec = load_document(BatchEndpointSpec, {"name": "digits"}).spec
    assert spec.to_document() == {
        "name": "digits",
        "auth_mode": "aad_token",
        "defaults": {},
        "tags": {},
        "properties": {},
        "identity": {},
    }


def test_assets__defaults(tmp_path):
    assert load("model", tmp_path, {}).type == "custom_model"
    assert load("model", tmp_path, {"version": 1.10}).version == "1.1"
    assert load("data", tmp_path, {}).type == "uri_folder"
    assert load("environment", tmp_path, {}).os_type == "linux"
    compute = load("compute", tmp_path, {})
    assert (compute.min_instances, compute.max_instances, compute.shared_paths) == (0, None, True)


def test_version__keeps_what_was_written(tmp_path):
    file = tmp_path / "model.yml"
    file.write_text("name: a\nlocal_path: m\nversion: 1.10\n")
    spec = load_document(ModelSpec, file).spec
    assert (spec.version, spec.path) == ("1.10", "m")


def test_compute__tier_in_any_case(tmp_path):
    for tier in ("low_priority", "LowPriority", "lowpriority"):
        assert load("compute", tmp_path, {"type": "amlcompute", "tier": tier}).tier == (
            "low_priority"
        )


_WITHOUT_NODES = {
    "type": "databricks",
    "host": "https://adb-1.2.azuredatabricks.net",
    "staging": "/Volumes/main/team/jobs",
    "spark_version": "16.4.x-scala2.12",
}
_DATABRICKS = {**_WITHOUT_NODES, "node_type_id": "Standard_D4ds_v5"}

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("endpoint", {"auth_mode": "key"}, "auth_mode", "INVALID_FIELD"),
    ("endpoint", {"auth_mode": "aml_token"}, "auth_mode", "INVALID_FIELD"),
    ("endpoint", {"type": "batch"}, "type", "INVALID_FIELD"),
    ("endpoint", {"traffic": {"a": 100}}, "traffic", "INVALID_FIELD"),
    ("endpoint", {"deployments": [{"name": "a"}]}, "deployments", "INVALID_FIELD"),
    ("endpoint", {"name": "ab"}, "name", "INVALID_FIELD"),
    ("endpoint", {"name": "a_b_c"}, "name", "INVALID_FIELD"),
    ("endpoint", {"defaults": {"deployment_name": "-"}}, "defaults.deployment_name", ""),
    ("model", {"type": "triton_model"}, "type", "INVALID_FIELD"),
    ("model", {"name": "a b"}, "name", "INVALID_FIELD"),
    ("model", {"name": ".a"}, "name", "INVALID_FIELD"),
    ("model", {"name": "a" * 256}, "name", "INVALID_FIELD"),
    ("model", {"version": "a/b"}, "version", "INVALID_FIELD"),
    ("model", {"path": "https://a/b?sig=abc"}, "path", "CREDENTIALS_IN_URI"),
    ("environment", {"os_type": "macos"}, "os_type", "INVALID_FIELD"),
    ("data", {"type": "mltable"}, "type", "TABULAR_DATA_NOT_SUPPORTED"),
    ("data", {"type": "tabular"}, "type", "TABULAR_DATA_NOT_SUPPORTED"),
    ("data", {"paths": [{"folder": "a"}]}, "paths", "INVALID_FIELD"),
    ("data", {"path": "https://u:p@a/b"}, "path", "CREDENTIALS_IN_URI"),
    ("datastore", {"type": "azure_file"}, "type", "INVALID_FIELD"),
    ("datastore", {"type": "azure_data_lake_gen1"}, "type", "INVALID_FIELD"),
    ("datastore", {"type": "one_lake"}, "type", "INVALID_FIELD"),
    ("datastore", {"credentials": {"account_key": "abc"}}, "credentials", "INVALID_FIELD"),
    ("datastore", {"credentials": "abc"}, "credentials", "INVALID_FIELD"),
    ("datastore", {"bucket": "a"}, "bucket", "INVALID_FIELD"),
    ("datastore", {"path": "s3://a"}, "path", "INVALID_FIELD"),
    ("datastore", {"type": "uri"}, "path", "INVALID_FIELD"),
    ("datastore", {"type": "uri", "path": "s3://u:p@a"}, "path", "CREDENTIALS_IN_URI"),
    ("datastore", {"type": "s3"}, "bucket", "MISSING_FIELD"),
    ("datastore", {"type": "s3", "bucket": "a", "path": "../b"}, "path", "INVALID_FIELD"),
    ("datastore", {"type": "s3", "bucket": "a/b"}, "bucket", "INVALID_FIELD"),
    ("datastore", {"type": "azure_blob", "account_name": "a"}, "container_name", "MISSING_FIELD"),
    (
        "datastore",
        {"type": "gcs", "bucket": "a", "profile": "p", "anonymous": True},
        "profile",
        "INVALID_FIELD",
    ),
    ("compute", {"type": "computeinstance"}, "type", "INVALID_FIELD"),
    ("compute", {"type": "spark"}, "master", "MISSING_FIELD"),
    ("compute", {"type": "spark", "master": "local[2]"}, "master", "INVALID_FIELD"),
    ("compute", {"master": "spark://a:1"}, "master", "INVALID_FIELD"),
    ("compute", {"min_instances": 3, "max_instances": 2}, "max_instances", "INVALID_FIELD"),
    ("compute", {"spark_conf": {"spark.master": "x"}}, "spark_conf.spark.master", ""),
    ("compute", {"type": "kubernetes", "staging": "s3://a/b"}, "image", "MISSING_FIELD"),
    ("compute", {"type": "kubernetes", "image": "a"}, "staging", "MISSING_FIELD"),
    ("compute", {**_DATABRICKS, "staging": "jobs"}, "staging", "INVALID_FIELD"),
    ("compute", {**_DATABRICKS, "staging": "s3://u:p@a/b"}, "staging", "CREDENTIALS_IN_URI"),
    ("compute", _WITHOUT_NODES, "node_type_id", "MISSING_FIELD"),
    ("compute", {**_DATABRICKS, "host": "https://a.net/?o=1"}, "host", "INVALID_FIELD"),
    ("compute", {**_DATABRICKS, "namespace": "team"}, "namespace", "INVALID_FIELD"),
    (
        "compute",
        {**_DATABRICKS, "spark_env_vars": {"AWS_SECRET_ACCESS_KEY": "abc"}},
        "spark_env_vars.AWS_SECRET_ACCESS_KEY",
        "SECRET_IN_COMPUTE",
    ),
    (
        "compute",
        {"type": "amlcompute", "ssh_settings": {"admin_password": "abc"}},
        "ssh_settings.admin_password",
        "INVALID_FIELD",
    ),
    ("invoke", {"inputs": {"a": {}}}, "inputs.a.path", "MISSING_FIELD"),
    ("invoke", {"inputs": {"a b": {"path": "x"}}}, "inputs.a b", "INVALID_FIELD"),
    ("invoke", {"inputs": {"a": {"path": "x"}, "b": {"path": "x"}}}, "inputs.b", ""),
    ("invoke", {"outputs": {"a": {}, "b": {}}}, "outputs.b", "INVALID_FIELD"),
    ("invoke", {"outputs": {"a": {"mode": "ro_mount"}}}, "outputs.a.mode", "INVALID_FIELD"),
    ("invoke", {"inputs": {"a": "./images"}}, "inputs.a", "INVALID_FIELD"),
    (
        "invoke",
        {"inputs": {"a": {"type": "mltable", "path": "x"}}},
        "inputs.a.type",
        "TABULAR_DATA_NOT_SUPPORTED",
    ),
    (
        "invoke",
        {"inputs": {"a": {"path": "x", "default": 3}}},
        "inputs.a.default",
        "LITERAL_INPUT_NOT_SUPPORTED",
    ),
    ("invoke", {"inputs": {"a": {"path": "s3://a:b@c"}}}, "inputs.a.path", "CREDENTIALS_IN_URI"),
    *(
        (
            "invoke",
            {"inputs": {"a": {"type": type_, "default": 1}}},
            "inputs.a.type",
            "LITERAL_INPUT_NOT_SUPPORTED",
        )
        for type_ in ("string", "integer", "number", "boolean")
    ),
]


@pytest.mark.parametrize(("kind", "addition", "key", "condition"), REFUSED)
def test_refused__names_file_line_and_key(tmp_path, kind, addition, key, condition):
    error = get_error(kind, tmp_path, addition)
    assert type(error) is InvalidFieldError
    assert error.condition == (condition or "INVALID_FIELD")
    assert error.attributes["key"] == key
    assert error.attributes["file"] == str(tmp_path / f"{kind}.yml")
    assert error.attributes["line"] >= 1
    assert "abc" not in f"{error} {error.attributes}"


@pytest.mark.parametrize("kind", OTHERS)
def test_refused_by_name__says_what_to_write(tmp_path, kind):
    hints: dict[str, tuple[dict[str, Any], str]] = {
        "endpoint": ({"traffic": {"a": 100}}, "defaults: {deployment_name"),
        "model": ({"type": "triton_model"}, "custom_model"),
        "environment": ({"conda": "a.yml"}, "conda_file"),
        "data": ({"type": "mltable"}, "uri_folder"),
        "datastore": ({"credentials": {"sas_token": "?"}}, "AZURE_STORAGE_SAS_TOKEN"),
        "compute": ({"type": "virtualmachine"}, "amlcompute"),
        "invoke": ({"inputs": {"a": {"type": "string"}}}, "environment_variables"),
    }
    addition, hint = hints[kind]
    assert hint in get_error(kind, tmp_path, addition).message


UNKNOWN = [
    ("endpoint", {"descripton": "a"}, "descripton", "description"),
    ("endpoint", {"deployment_name": "abc"}, "deployment_name", "defaults.deployment_name"),
    (
        "endpoint",
        {"defaults": {"deployment": "a"}},
        "defaults.deployment",
        "defaults.deployment_name",
    ),
    ("model", {"localpath": "a"}, "localpath", "local_path"),
    ("model", {"flavours": {}}, "flavours", "flavors"),
    ("environment", {"condafile": "a"}, "condafile", "conda_file"),
    ("data", {"typ": "uri_file"}, "typ", "type"),
    ("datastore", {"container": "a"}, "container", "container_name"),
    ("datastore", {"acount_name": "a"}, "acount_name", "account_name"),
    ("compute", {"max_instance": 3}, "max_instance", "max_instances"),
    ("compute", {"zzz": 3}, "zzz", None),
    ("invoke", {"input": {}}, "input", "inputs"),
    ("invoke", {"inputs": {"images": {"pth": "a"}}}, "inputs.images.pth", "inputs.images.path"),
    ("invoke", {"path": "a"}, "path", None),
]


@pytest.mark.parametrize(("kind", "addition", "key", "nearest"), UNKNOWN)
def test_unknown_key__names_the_nearest(tmp_path, kind, addition, key, nearest):
    error = get_error(kind, tmp_path, addition)
    found = [error.attributes, *error.attributes["others"]]
    assert type(error) is UnknownFieldError
    assert key in [problem["key"] for problem in found]
    assert error.attributes["nearest"] == nearest
    advice = "known keys here" if kind == "invoke" else f"sparkscore schema {kind}"
    assert (nearest or advice) in error.message


@pytest.mark.parametrize("kind", OTHERS)
def test_missing_key__is_checked_last(tmp_path, kind):
    model = DOCUMENTS[kind]
    file = tmp_path / f"{kind}.yml"
    file.write_text("{}")
    if kind == "invoke":
        assert load_document(model, file).spec == InvokeSpec()
        return
    with pytest.raises(InvalidFieldError) as caught:
        load_document(model, file)
    assert caught.value.condition == "MISSING_FIELD"
    flags = {key: value for key, value in BASES[kind].items() if key != "path"}
    overrides = [f"path={BASES[kind]['path']}"] if "path" in BASES[kind] else []
    spec = load_document(model, file, overrides=overrides, flags=flags).spec
    assert spec == load_document(model, BASES[kind]).spec


@pytest.mark.parametrize("kind", OTHERS)
def test_file__absent(tmp_path, kind):
    with pytest.raises(UnresolvedReferenceError) as caught:
        load_document(DOCUMENTS[kind], tmp_path / "none.yml")
    assert caught.value.condition == f"{kind.upper()}_FILE_NOT_FOUND"


@pytest.mark.parametrize("kind", ["model", "data"])
def test_path_given_twice__is_an_error(tmp_path, kind):
    error = get_error(kind, tmp_path, {"local_path": "b"})
    assert (error.attributes["key"], error.attributes["line"]) == ("local_path", 3)


def test_number__infinite_is_refused_where_all_else_is_free(tmp_path):
    error = get_error("compute", tmp_path, {"type": "amlcompute", "identity": {"a": math.inf}})
    assert error.attributes["key"] == "identity.a"
    assert load("compute", tmp_path, {"tags": {"a": math.inf}}).tags == {"a": ".inf"}


BEYOND_SCHEMA = {
    *("path", "max_instances", "profile", "spark_conf.spark.master"),
    *("staging", "node_type_id", "spark_env_vars.AWS_SECRET_ACCESS_KEY"),
    *("inputs.a.path", "inputs.a.default", "inputs.a b", "inputs.b", "outputs.b"),
}
"""Keys of REFUSED that are refused for what stands elsewhere or within a text."""


@pytest.mark.parametrize(
    ("kind", "addition"), [case[:2] for case in REFUSED if case[2] not in BEYOND_SCHEMA]
)
def test_schema__refuses_what_loading_refuses(kind, addition):
    validator = Draft202012Validator(document_json_schema(DOCUMENTS[kind]))
    assert list(validator.iter_errors(BASES[kind])) == []
    assert list(validator.iter_errors({**BASES[kind], **addition})) != []


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_schema__every_key_is_described(kind):
    schema = document_json_schema(DOCUMENTS[kind])
    Draft202012Validator.check_schema(schema)
    sections = [schema, *schema.get("$defs", {}).values()]
    described = [
        (key, value.get("description"))
        for section in sections
        for key, value in section.get("properties", {}).items()
    ]
    assert [key for key, description in described if not description] == []
    assert {"$schema"} <= {key for key, _ in described}


def test_environment__is_the_inline_one_with_a_name():
    inline = {"image": "a", "conda_file": {"dependencies": ["python"]}}
    spec = load_document(EnvironmentAssetSpec, inline, flags={"name": "b"}).spec
    assert (spec.name, spec.image) == ("b", "a")


def test_invoke__overrides_alone_make_an_input():
    overrides = ["inputs.images.type=uri_file", "inputs.images.path=a.png"]
    spec = load_document(InvokeSpec, None, overrides=overrides).spec
    assert spec.inputs["images"].type == "uri_file"
    assert spec.inputs["images"].path == "a.png"


def test_invoke__unknown_member_of_an_input_names_the_nearest():
    with pytest.raises(UnknownFieldError) as caught:
        load_document(InvokeSpec, None, overrides=["inputs.images.pth=a"])
    assert caught.value.attributes["nearest"] == "inputs.images.path"


def test_compute__bounds(tmp_path):
    spec = load_document(ComputeSpec, {"name": "a", "type": "amlcompute", "max_instances": 5}).spec
    assert (spec.min_instances, spec.max_instances) == (0, 5)


def test_data__registered_in_2021_form():
    spec = load_document(DataSpec, {"name": "a", "local_path": "images"}).spec
    assert spec.path == "images"
