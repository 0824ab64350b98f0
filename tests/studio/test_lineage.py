"""What a job came from, as boxes with links."""

from __future__ import annotations

import pytest

from sparkscore.control.jobs import Job
from sparkscore.control.workspace import Workspace
from sparkscore.studio.lineage import Step, find_asset_address, list_lineage, shorten
from tests.studio.finished_jobs import make_record


def test_lineage__from_endpoint_to_output(workspace: Workspace) -> None:
    summary = {"output": {"path": "/data/out/moods.csv", "format": "csv"}}
    record = make_record(workspace, "a b", summary=summary, retry_of="first")
    assert list_lineage(Job(record, workspace, retried_by=("later",))) == [
        Step("Endpoint", "mood", "/endpoints/mood"),
        Step("Deployment", "mood-v1", "/endpoints/mood/deployments/mood-v1"),
        Step("Model", "weights, version 1", "/models/weights/1"),
        Step("Data", "pics, version 1", "/data/pics/1"),
        Step("Failed inputs of", "first", "/jobs/first"),
        Step("Job", "a b", "/jobs/a%20b"),
        Step("Output", "moods.csv", "/jobs/a%20b/outputs"),
        Step("Retried by", "later", "/jobs/later"),
    ]


def test_lineage__of_a_job_that_published_nothing(workspace: Workspace) -> None:
    record = make_record(workspace, endpoint_name=None, summary=None, inputs={}, deployment={})
    assert [step.kind for step in list_lineage(Job(record, workspace))] == ["Job"]


@pytest.mark.parametrize(
    ("reference", "address", "shown"),
    [
        ("azureml:m:2", "/models/m/2", "m, version 2"),
        ("models:/m/2", "/models/m/2", "m, version 2"),
        ("azureml://datastores/d/paths/p", None, "azureml://datastores/d/paths/p"),
        ("azureml:m@latest", None, "azureml:m@latest"),
        ("/a/b", None, "/a/b"),
        ("https://h/a:1", None, "https://h/a:1"),
    ],
)
def test_reference__leads_to_its_page(reference: str, address: str | None, shown: str) -> None:
    assert find_asset_address("models", reference) == address
    assert shorten(reference) == shown
