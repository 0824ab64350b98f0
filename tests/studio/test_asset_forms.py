"""What the forms of assets say, as documents, and where their errors stand."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import FormData

from sparkscore.control.access.places import PlacePolicy
from sparkscore.control.workspace import Workspace
from sparkscore.studio.assets import KINDS, fill_form, get_form_keys, register
from sparkscore.studio.forms import Form

SPARK = {"name": "big", "type": "spark", "master": "spark://10.0.0.1:7077", "shared_paths": "true"}


def fill(**fields: str) -> Form:
    return Form(FormData(fields))


def make(workspace: Workspace, kind: str, **fields: str) -> tuple[Any, dict[str, str]]:
    form = fill(**fields)
    return register(KINDS[kind], workspace, form), form.errors


def test_model__comes_from_a_path_or_an_upload(workspace: Workspace) -> None:
    root = "azureml://datastores/workspaceblobstore/paths"
    made, errors = make(workspace, "models", name="a", source="path", path=f"{root}/model")
    assert (errors, made.version, made.type) == ({}, "1", "custom_model")
    made, errors = make(
        workspace, "models", name="a", uploaded=f"{root}/model/weights.bin", tags="team=vision\n"
    )
    assert (errors, made.version, made.tags) == ({}, "2", {"team": "vision"})


def test_data__of_an_upload_has_its_type(workspace: Workspace) -> None:
    place = "azureml://datastores/workspaceblobstore/paths/in/1.txt"
    made, errors = make(
        workspace, "data", name="d", uploaded=place, uploaded_kind="file", type="uri_folder"
    )
    assert (errors, made.type) == ({}, "uri_file")


def test_environment__has_the_content_of_a_conda_file(workspace: Workspace) -> None:
    made, errors = make(
        workspace, "environments", name="e", conda_file="dependencies: [numpy]", image="img"
    )
    assert errors == {}
    assert made.document["conda_file"] == {"dependencies": ["numpy"]}


def test_environment__has_requirements_line_by_line(workspace: Workspace) -> None:
    lines = "# first\r\nnumpy\r\n\r\n pandas>=2,<3\r\n"
    made, errors = make(
        workspace, "environments", name="e", requirements=lines, python_version="3.12"
    )
    assert errors == {}
    assert made.document["requirements"] == ["numpy", "pandas>=2,<3"]
    assert made.document["python_version"] == "3.12"


def test_compute__has_what_fits_its_type(workspace: Workspace) -> None:
    given = {**SPARK, "size": "of another type", "max_instances": "3", "min_instances": ""}
    made, errors = make(workspace, "computes", **given, spark_conf="spark.executor.memory=4g")
    assert errors == {}
    assert (made.max_instances, made.shared_paths) == (3, True)
    assert made.spark_conf == {"spark.executor.memory": "4g"}
    assert "size" not in made.document
    made, _ = make(workspace, "computes", **{**SPARK, "shared_paths": ""})
    assert made.shared_paths is False


def test_datastore__has_the_fields_of_its_type(workspace: Workspace) -> None:
    made, errors = make(
        workspace, "datastores", name="s", type="s3", s3_bucket="b", gcs_bucket="other", s3_path="x"
    )
    assert (errors, made.uri) == ({}, "s3://b/x")


@pytest.mark.parametrize(
    ("kind", "fields", "wrong"),
    [
        ("models", {}, {"name", "uploaded"}),
        ("models", {"name": "a b", "source": "path", "path": "x"}, {"name"}),
        ("models", {"name": "a", "source": "path", "path": "/etc"}, {"path"}),
        ("models", {"name": "a", "source": "path", "path": "file:///etc/passwd"}, {"path"}),
        ("models", {"name": "a", "source": "path", "path": "http://127.0.0.1/x"}, {"path"}),
        ("models", {"name": "a", "source": "path", "path": "https://u:p@x/y"}, {"path"}),
        ("models", {"name": "a", "source": "path", "path": "azureml://datastores/z/paths/a"}, 0),
        ("models", {"name": "a", "version": "-", "source": "path", "path": "x"}, {"version"}),
        (
            "models",
            {"name": "a", "source": "path", "path": "{in}", "type": "mlflow_model"},
            {"type"},
        ),
        (
            "models",
            {"name": "weights", "version": "1", "source": "path", "path": "{in}"},
            {"version"},
        ),
        ("models", {"name": "a", "uploaded": "x", "tags": "no pair"}, {"tags"}),
        ("data", {"name": "a", "source": "path", "path": "/nowhere"}, {"path"}),
        ("data", {"name": "a", "source": "path", "path": "{in}", "type": "uri_file"}, 0),
        ("data", {"name": "a", "source": "path", "path": "azureml:d:1"}, {"path"}),
        ("data", {"name": "a", "uploaded": "/etc/passwd"}, {"uploaded"}),
        ("environments", {"name": "e"}, {"conda_file"}),
        ("environments", {"name": "e", "python_version": "3.12"}, {"conda_file"}),
        (
            "environments",
            {"name": "e", "requirements": "a", "python_version": "new"},
            {"python_version"},
        ),
        ("environments", {"name": "e", "conda_file": "a: ["}, {"conda_file"}),
        ("environments", {"name": "e", "conda_file": "/etc/passwd"}, {"conda_file"}),
        ("environments", {"name": "e", "conda_file": "- a"}, {"conda_file"}),
        ("computes", {}, {"name", "master"}),
        ("computes", {"name": "c", "type": "spark"}, {"master"}),
        ("computes", {"name": "c", "type": "spark", "master": "x"}, {"master"}),
        ("computes", {**SPARK, "min_instances": "a", "master": "x"}, {"min_instances", "master"}),
        ("computes", {**SPARK, "min_instances": "3", "max_instances": "2"}, {"max_instances"}),
        ("computes", {**SPARK, "spark_conf": "spark.master=x"}, {"spark_conf"}),
        ("computes", {**SPARK, "name": "local"}, {"name"}),
        ("computes", {"name": "c", "type": "aks"}, {"type"}),
        ("datastores", {"name": "s", "type": "s3"}, {"s3_bucket"}),
        ("datastores", {"name": "s", "type": "s3", "s3_bucket": "a/b"}, {"s3_bucket"}),
        ("datastores", {"name": "s", "type": "local", "local_path": "/etc"}, {"local_path"}),
        ("datastores", {"name": "s", "type": "uri", "uri_path": "s3://k:s@b"}, {"uri_path"}),
        ("datastores", {"name": "s", "type": "uri", "uri_path": "http://10.0.0.1/"}, {"uri_path"}),
        ("datastores", {"name": "workspaceblobstore", "type": "s3", "s3_bucket": "b"}, {"name"}),
    ],
)
def test_errors__stand_beside_their_fields(
    workspace: Workspace, kind: str, fields: dict[str, str], wrong: Any
) -> None:
    workspace.places = PlacePolicy()
    root = "azureml://datastores/workspaceblobstore/paths/in"
    filled = {name: text.replace("{in}", root) for name, text in fields.items()}
    made, errors = make(workspace, kind, **filled)
    if wrong == 0:  # wherever it stands, or taken: the place is looked at by whoever uses it
        assert (made is None) == bool(errors)
        return
    assert made is None
    assert set(errors) == wrong
    assert all(errors.values())


def test_change__keeps_what_was_there(workspace: Workspace) -> None:
    made, _ = make(workspace, "computes", **SPARK, tags="a=b", spark_conf="spark.x=1 = 2")
    again, errors = make(workspace, "computes", **fill_form(KINDS["computes"], made))
    assert errors == {}
    assert again.document == made.document
    store, _ = make(workspace, "datastores", name="s", type="gcs", gcs_bucket="b", anonymous="true")
    again, _ = make(workspace, "datastores", **fill_form(KINDS["datastores"], store))
    assert again.document == store.document


def test_form_keys__are_those_of_the_type() -> None:
    assert "master" in get_form_keys(KINDS["computes"], "spark")
    assert "tier" not in get_form_keys(KINDS["computes"], "amlcompute")
    assert "bucket" in get_form_keys(KINDS["datastores"], "gcs")
