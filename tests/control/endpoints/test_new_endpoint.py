"""An endpoint that is made with its first deployment, and all endpoints at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from sparkscore.control.endpoints.precondition import Precondition
from sparkscore.control.endpoints.registration import register_deployment
from sparkscore.control.endpoints.summaries import summarize_endpoints
from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    InvalidFieldError,
    NotFoundError,
    PreconditionFailedError,
    SparkscoreError,
    UnresolvedReferenceError,
)
from tests.control.endpoints.samples import deployment, make_endpoint
from tests.state.records import make_job


def list_names(workspace: Workspace) -> list[str]:
    return [endpoint.name for endpoint in workspace.batch_endpoints.list()]


def test_create__endpoint_and_deployment_at_once(workspace: Workspace) -> None:
    made = workspace.batch_deployments.create(
        deployment("mood-v1"),
        set_default=True,
        new_endpoint={"description": "Moods.", "tags": {"team": "a"}},
    )
    endpoint = workspace.batch_endpoints.get("mood")
    assert (made.is_default, endpoint.default_deployment) == (True, "mood-v1")
    assert (endpoint.record.description, endpoint.record.tags) == ("Moods.", {"team": "a"})


@pytest.mark.parametrize(
    ("change", "endpoint", "error"),
    [
        ({"model": "azureml:nothing:1"}, {}, NotFoundError),
        (
            {"code_configuration": {"code": "code", "scoring_script": "no.py"}},
            {},
            UnresolvedReferenceError,
        ),
        ({}, {"tags": {"a": ["b"]}}, InvalidFieldError),
        ({}, {"auth_mode": "key"}, InvalidFieldError),
    ],
)
def test_create__neither_if_something_is_wrong(
    change: dict[str, Any],
    endpoint: dict[str, Any],
    error: type[SparkscoreError],
    workspace: Workspace,
) -> None:
    document = deployment("mood-v1", **change)
    with pytest.raises(error):
        workspace.batch_deployments.create(document, new_endpoint=endpoint)
    assert list_names(workspace) == []
    checked = workspace.batch_deployments.validate(document, new_endpoint=endpoint)
    assert checked["result"] == "Failed"
    assert list_names(workspace) == []


def test_create__endpoint_of_that_name_in_any_case_stays(workspace: Workspace) -> None:
    workspace.batch_endpoints.create(name="mood")
    document = deployment("mood-v1", endpoint_name="MOOD")
    with pytest.raises(PreconditionFailedError) as raised:
        workspace.batch_deployments.create(document, new_endpoint={})
    assert raised.value.condition == "ALREADY_THERE"
    assert workspace.batch_deployments.list("mood") == []
    (error,) = workspace.batch_deployments.validate(document, new_endpoint={})["errors"]
    assert error["condition"] == "ALREADY_THERE"


def test_create__somebody_else_makes_the_endpoint_meanwhile(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register_late(*args: Any, **others: Any) -> dict[str, Any]:
        document = register_deployment(*args, **others)
        workspace.batch_endpoints.create(name="mood")
        return document

    place = "sparkscore.control.endpoints.batch_deployments.register_deployment"
    monkeypatch.setattr(place, register_late)
    with pytest.raises(PreconditionFailedError):
        workspace.batch_deployments.create(deployment("mood-v1"), new_endpoint={})
    assert workspace.batch_deployments.list("mood") == []


def test_create__not_over_an_existing_deployment(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    with pytest.raises(PreconditionFailedError):
        workspace.batch_deployments.create(
            deployment("mood-v1"), precondition=Precondition(is_absent=True)
        )


def test_validate__new_endpoint_need_not_be_there(workspace: Workspace) -> None:
    deployments = workspace.batch_deployments
    assert deployments.validate(deployment("mood-v1"))["result"] == "Failed"
    checked = deployments.validate(deployment("mood-v1"), new_endpoint={"description": "x"})
    assert checked == {"result": "Succeeded", "errors": []}


def test_summarize__on_each_database(any_workspace: Workspace) -> None:
    workspace = any_workspace
    workspace.batch_endpoints.create(name="Alone")
    for name in ("mood-v1", "mood-v2"):
        workspace.batch_deployments.create(deployment(name))
    with workspace.store.writing() as writer:
        for name, status in (("one", "Completed"), ("two", "Failed"), ("gone", "Running")):
            endpoint = "gone" if name == "gone" else "MOOD"
            writer.add_job(make_job(name, endpoint_name=endpoint, status=status))
        hidden = make_job("hidden", endpoint_name="mood", status="Canceled", is_archived=True)
        writer.add_job(hidden)
    found = [
        (
            one.endpoint.name,
            one.deployment_count,
            one.newest_job and (one.newest_job.name, one.newest_job.status),
        )
        for one in summarize_endpoints(workspace)
    ]
    assert found == [("Alone", 0, None), ("mood", 2, ("two", "Failed"))]
