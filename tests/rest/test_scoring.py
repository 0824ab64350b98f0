"""Jobs at the scoring URI: old and new bodies, the deployment header, polling, retries."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sparkscore.control.workspace import Workspace
from tests.rest.serving import Answer, Client

STORE = "azureml://datastores/workspaceblobstore/paths"
LONG = (
    "/subscriptions/5b1c/resourceGroups/team/providers/Microsoft.MachineLearningServices"
    "/workspaces/ws"
)
FOLDER = {"properties": {"InputData": {"x": {"JobInputType": "UriFolder", "Uri": f"{STORE}/in"}}}}


@pytest.fixture
def scoring_uri(client: Client) -> str:
    uri: str = client.get("/batchEndpoints/mood").json["properties"]["scoringUri"]
    return uri


def poll(client: Client, uri: str, *statuses: str) -> dict[str, Any]:
    """The job once it has one of these statuses, or has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = client.get(uri)
        assert answer.status == 200, answer.raw
        job: dict[str, Any] = answer.json
        if job["properties"]["status"] in ("Completed", "Failed", "Canceled", *statuses):
            return job
        time.sleep(0.1)
    raise AssertionError("the job did not end")


def get_input(answer: Answer) -> str:
    (given,) = answer.json["properties"]["inputData"].values()
    uri: str = given["uri"]
    return uri


def test_scoring_uri__starts_a_job_that_can_be_polled(client: Client, scoring_uri: str) -> None:
    assert scoring_uri.endswith("/batchEndpoints/mood/jobs")
    started = client.post(scoring_uri, FOLDER)
    assert started.status == 201, started.raw
    name = started.json["id"].rpartition("/")[2]
    assert started.headers["Location"] == f"{scoring_uri}/{name}"
    assert started.json["properties"]["status"] in ("NotStarted", "Queued", "Starting", "Running")
    assert started.json["properties"]["properties"]["azureml.endpointname"] == "mood"
    assert started.json["properties"]["properties"]["azureml.deploymentname"] == "mood-v1"
    ended = poll(client, f"{scoring_uri}/{name}")
    assert ended["properties"]["status"] == "Completed"
    assert ended["properties"]["output"] == {
        "datastoreId": "/workspaces/ws/datastores/workspaceblobstore",
        "path": f"{name}/predictions.csv",
    }
    endpoint = ended["properties"]["interactionEndpoints"]["Studio"]["endpoint"]
    assert endpoint.endswith(f"/jobs/{name}")
    assert [job["name"] for job in client.get(scoring_uri).json["value"]] == [name]
    assert client.get(f"/jobs/{name}").json == ended
    assert client.get("/batchEndpoints/other/jobs/" + name).status == 404


@pytest.mark.parametrize(
    "dataset",
    [
        {"dataInputType": "DataUrl", "Path": f"{STORE}/in"},
        {"dataInputType": "DatasetVersion", "datasetName": "numbers", "datasetVersion": "1"},
        {"dataInputType": "DatasetVersion", "datasetName": "numbers", "datasetVersion": 1},
        {"dataInputType": "DatasetId", "datasetId": f"{LONG}/datasets/numbers/versions/1"},
        {"dataInputType": "DatasetId", "datasetId": "azureml:numbers:1"},
    ],
)
def test_body_of_2021__input_and_output(
    client: Client, scoring_uri: str, dataset: dict[str, Any]
) -> None:
    client.put(
        "/datasets/numbers/versions/1",
        {"properties": {"dataUri": f"{STORE}/in", "dataType": "uri_folder"}},
    )
    body = {
        "properties": {
            "dataset": dataset,
            "outputDataset": {
                "datastoreId": f"{LONG}/datastores/workspaceblobstore",
                "path": "results/monday",
            },
            "outputFileName": "out.csv",
        }
    }
    started = client.post(scoring_uri, body)
    assert started.status == 201, started.raw
    if dataset["dataInputType"] == "DataUrl":
        assert get_input(started).startswith("azureml:") or get_input(started).endswith("/in")
    else:
        assert get_input(started) == "azureml:numbers:1"
    assert started.json["properties"]["output"]["path"] == "results/monday/out.csv"


def test_later_body__file_input_and_output(client: Client, scoring_uri: str) -> None:
    body = {
        "properties": {
            "InputData": {"one": {"JobInputType": "UriFile", "Uri": f"{STORE}/in/3.txt"}},
            "OutputData": {"two": {"JobOutputType": "UriFile", "Uri": f"{STORE}/out/score.csv"}},
        }
    }
    started = client.post(scoring_uri, body)
    assert started.status == 201, started.raw
    properties = started.json["properties"]
    assert properties["output"]["path"] == "out/score.csv"
    assert properties["inputData"]["input"]["jobInputType"] == "UriFile"


def test_later_body__folder_output_as_the_sample_sends_it(client: Client, scoring_uri: str) -> None:
    body = {
        "properties": {
            **FOLDER["properties"],
            "OutputData": {"customOutput": {"JobOutputType": "UriFolder", "Uri": f"{STORE}/out"}},
        }
    }
    started = client.post(scoring_uri, body)
    assert started.status == 201, started.raw
    assert started.json["properties"]["output"]["path"] == "out/predictions.csv"


def test_overrides__of_one_job(client: Client, scoring_uri: str, workspace: Workspace) -> None:
    body = {
        "properties": {
            **FOLDER["properties"],
            "miniBatchSize": "4",
            "errorThreshold": 2,
            "retrySettings": {"maxRetries": "1", "timeout": "PT45S"},
            "maxConcurrencyPerInstance": 2,
            "loggingLevel": "Debug",
            "compute": {"instanceCount": "2"},
            "outputFileName": 'odd [name], "quoted".csv'.replace('"', "'"),
            "properties": {"experimentName": "trial"},
            "description": "a job",
            "tags": {"team": "a"},
        }
    }
    started = client.post(scoring_uri, body)
    assert started.status == 201, started.raw
    record = workspace.jobs.get(started.json["name"]).record
    settings = record.deployment["settings"]
    assert (settings["mini_batch_size"], settings["error_threshold"]) == (4, 2)
    assert settings["retry_settings"] == {"max_retries": 1, "timeout": 45}
    assert (settings["max_concurrency_per_instance"], settings["logging_level"]) == (2, "debug")
    assert record.deployment["resources"]["instance_count"] == 2
    assert settings["output_file_name"] == "odd [name], 'quoted'.csv"
    assert (record.experiment_name, record.description) == ("trial", "a job")
    assert record.tags == {"team": "a"}


def test_header__picks_a_deployment(client: Client, scoring_uri: str) -> None:
    shown = client.get("/batchEndpoints/mood/deployments/mood-v1").json
    assert client.put("/batchEndpoints/mood/deployments/mood-v2", shown).status == 201
    started = client.post(scoring_uri, FOLDER, **{"azureml-model-deployment": "mood-v2"})
    assert started.json["properties"]["deploymentName"] == "mood-v2"
    assert client.post(scoring_uri, FOLDER).json["properties"]["deploymentName"] == "mood-v1"
    wrong = client.post(scoring_uri, FOLDER, **{"azureml-model-deployment": "mood-v3"})
    assert (wrong.status, wrong.code) == (404, "DEPLOYMENT_NOT_FOUND")
    of_one = client.get("/batchEndpoints/mood/deployments/mood-v2/jobs").json["value"]
    assert [job["name"] for job in of_one] == [started.json["name"]]


def test_endpoint_without_default__has_nowhere_to_route_to(client: Client) -> None:
    client.put("/batchEndpoints/empty", {"properties": {"authMode": "AADToken"}})
    uri = client.get("/batchEndpoints/empty").json["properties"]["scoringUri"]
    answer = client.post(uri, FOLDER)
    assert (answer.status, answer.code) == (404, "NO_DEFAULT_DEPLOYMENT")
    assert "No valid deployments to route to" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("properties", "status", "code"),
    [
        ({}, 400, "NO_INPUT"),
        (
            {"InputData": {"x": {"JobInputType": "UriFolder", "Uri": f"{STORE}/none"}}},
            400,
            "INPUT_NOT_FOUND",
        ),
        (
            {"InputData": {"x": {"JobInputType": "Literal", "Value": 5}}},
            400,
            "LITERAL_INPUT_NOT_SUPPORTED",
        ),
        (
            {"InputData": {"x": {"JobInputType": "MLTable", "Uri": f"{STORE}/in"}}},
            400,
            "TABULAR_DATA_NOT_SUPPORTED",
        ),
        (
            {"InputData": {"x": {"JobInputType": "UriFolder", "Uri": "/etc"}}},
            403,
            "LOCAL_PATH_NOT_ALLOWED",
        ),
        ({"inputdata": {"x": {"JobInputType": "UriFolder"}}}, 400, "MISSING_FIELD"),
        ({**FOLDER["properties"], "miniBatchSise": 3}, 400, "UNKNOWN_FIELD"),
        ({**FOLDER["properties"], "miniBatchSize": "many"}, 400, "INVALID_FIELD"),
        (
            {**FOLDER["properties"], "environmentVariables": {"PYTHONPATH": "/tmp"}},
            400,
            "NOT_AN_OVERRIDE",
        ),
        ({**FOLDER["properties"], "isolation": "inline"}, 400, "NOT_AN_OVERRIDE"),
        (
            {**FOLDER["properties"], "dataset": {"path": f"{STORE}/in"}},
            400,
            "GIVEN_TWICE",
        ),
    ],
)
def test_bodies__that_start_nothing(
    client: Client, scoring_uri: str, properties: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post(scoring_uri, {"properties": properties})
    assert (answer.status, answer.code) == (status, code), answer.raw
    assert client.get("/jobs").json["value"] == []


def test_body__that_is_no_json(client: Client, scoring_uri: str) -> None:
    answer = client.post(scoring_uri, '{"properties": ')
    assert (answer.status, answer.code) == (400, "MALFORMED_BODY")


@pytest.mark.parametrize("header", ["Idempotency-Key", "repeatability_request-id"])
def test_same_key__gives_the_same_job(client: Client, scoring_uri: str, header: str) -> None:
    key = {header: "7c9f8a52-91d6-4c5f-8f0e-0a2b8a1f3f11"}
    first, second = (client.post(scoring_uri, FOLDER, **key) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.json["name"] == second.json["name"]
    other = {"properties": {**FOLDER["properties"], "miniBatchSize": 2}}
    conflict = client.post(scoring_uri, other, **key)
    assert (conflict.status, conflict.code) == (409, "JOB_NAME_CONFLICT")
    assert len(client.get(scoring_uri).json["value"]) == 1


def test_job_name__in_the_body(client: Client, scoring_uri: str) -> None:
    body = {"properties": {**FOLDER["properties"], "jobName": "monday"}}
    first, second = (client.post(scoring_uri, body) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.json["name"] == second.json["name"] == "monday"


def test_cancel__a_running_job(
    client: Client, scoring_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait")
    name = client.post(scoring_uri, FOLDER).json["name"]
    running = poll(client, f"{scoring_uri}/{name}", "Running")
    assert running["properties"]["status"] == "Running"
    canceled = client.post(f"{scoring_uri}/{name}/cancel")
    assert canceled.status == 202, canceled.raw
    assert canceled.json["properties"]["status"] in ("CancelRequested", "Canceled")
    assert poll(client, f"{scoring_uri}/{name}")["properties"]["status"] == "Canceled"
    again = client.post(f"/jobs/{name}/cancel")
    assert (again.status, again.code) == (409, "JOB_ENDED")


def test_failed_job__tells_why(
    client: Client, scoring_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "fail")
    name = client.post(scoring_uri, FOLDER).json["name"]
    job = poll(client, f"{scoring_uri}/{name}")
    assert job["properties"]["status"] == "Failed"
    assert set(job["properties"]["error"]) == {"code", "message"}


def test_jobs__stay_when_their_endpoint_goes(client: Client, scoring_uri: str) -> None:
    name = client.post(scoring_uri, FOLDER).json["name"]
    poll(client, f"{scoring_uri}/{name}")
    assert client.delete("/batchEndpoints/mood").status == 200
    assert client.get(f"{scoring_uri}/{name}").status == 200
    assert [job["name"] for job in client.get(scoring_uri).json["value"]] == [name]
