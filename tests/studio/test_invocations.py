"""What a form asks for."""

from __future__ import annotations

import pytest
from starlette.datastructures import FormData

from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, PlanError
from sparkscore.studio.forms import Form
from sparkscore.studio.invocations import (
    SETTINGS,
    get_hints,
    get_settings,
    read_request,
    repeat,
    take_error,
)
from tests.studio.jobs import INPUT, invoke_and_wait


def fill(**fields: str) -> Form:
    return Form(FormData(list(fields.items())))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input_kind": "asset", "input_asset": "azureml:a:1"}, "azureml:a:1"),
        ({"input_kind": "uri", "input_uri": " s3://b/k "}, "s3://b/k"),
        (
            {"input_kind": "datastore", "input_datastore_name": "d", "input_datastore": "/x/y/"},
            "azureml://datastores/d/paths/x/y",
        ),
        ({"input_kind": "upload", "input_upload": "azureml://u"}, "azureml://u"),
        ({"input_kind": "upload", "input_asset": "azureml:a:1"}, None),
        ({}, None),
    ],
)
def test_request__input_of_the_chosen_kind(fields: dict[str, str], expected: str | None) -> None:
    assert read_request(fill(**fields)).input == expected


def test_request__settings_only_where_they_are_overridden() -> None:
    form = fill(mini_batch_size="7", timeout="9", output_file_name="1.csv")
    assert read_request(form).overrides == ()
    form = fill(
        overrides_settings="true", mini_batch_size="7", timeout="9", output_file_name="1.csv"
    )
    assert read_request(form).overrides == (
        "mini_batch_size=7",
        "timeout=9",
        'output_file_name="1.csv"',
    )


def test_request__output_only_where_it_is_chosen() -> None:
    fields = {"output_datastore_name": "d", "output_path": "out/1"}
    assert read_request(fill(**fields)).output_path is None
    chosen = read_request(fill(chooses_output="true", **fields))
    assert chosen.output_path == "azureml://datastores/d/paths/out/1"
    form = fill(chooses_output="true", output_datastore_name="d", output_path="")
    read_request(form)
    assert "output_path" in form.errors


def test_request__what_is_wrong_stands_beside_its_field() -> None:
    form = fill(limit="many", tags="team=a\nnonsense")
    request = read_request(form)
    assert (request.limit, dict(request.tags)) == (None, {"team": "a"})
    assert set(form.errors) == {"limit", "tags"}


def test_errors__find_their_field() -> None:
    form = fill(input_kind="uri", mini_batch_size="0")
    take_error(form, InvalidFieldError("--set: too small", key="mini_batch_size"))
    take_error(form, PlanError("nothing there", condition="INPUT_NOT_FOUND"))
    take_error(form, PlanError("odd", condition="ODD"))
    assert form.errors == {
        "mini_batch_size": "too small",
        "input_uri": "nothing there",
        "": "odd",
    }


def test_hints__are_those_of_the_specification() -> None:
    assert all(get_hints()[name] for name in SETTINGS)


def test_repeat__asks_for_the_same(workspace: Workspace) -> None:
    job = invoke_and_wait(workspace, overrides=("mini_batch_size=3",))
    registered = workspace.batch_deployments.get("mood-v1", "mood").record.document
    form = repeat(workspace, job, registered)
    again, first = read_request(form), job.record
    assert again.deployment_name == first.deployment_name
    assert again.input == INPUT
    assert again.overrides == ("mini_batch_size=3",)
    assert again.output_path is None
    assert get_settings(registered).get("mini_batch_size") != "3"
