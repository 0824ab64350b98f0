"""Endpoints, deployments, assets, computes and datastores in the words of the reference."""

from __future__ import annotations

from typing import Any

import pytest

from sparkscore.control.workspace import Workspace
from tests.rest.serving import Client

LONG = (
    "/subscriptions/5b1c/resourceGroups/team/providers/Microsoft.MachineLearningServices"
    "/workspaces/ws"
)
STORE = "azureml://datastores/workspaceblobstore/paths"
ENDPOINT = {"properties": {"authMode": "aadToken"}, "location": "westus"}
DEPLOYMENT = """{
    "location": "westus",
    "properties": {
        "model": {
            "referenceType": "Id",
            "assetId": "%(prefix)s/models/weights/versions/1"
        },
        "codeConfiguration": {
            "codeId": "%(prefix)s/codes/score/versions/1",
            "scoringScript": "score.py"
        },
        "compute": "%(prefix)s/computes/cpu-cluster",
        "resources": {
            "instanceCount": 1
        },
        "maxConcurrencyPerInstance": "4",
        "retrySettings": {
            "maxRetries": 3,
            "timeout": "PT1M30S"
        },
        "errorThreshold": "10",
        "loggingLevel": "info",
        "miniBatchSize": "5",
        "outputAction": "AppendRow",
        "outputFileName": "out.csv",
    }
}"""


@pytest.mark.parametrize("prefix", [LONG, "/workspaces/ws", "/workspaces/WS", LONG.lower()])
def test_endpoint__made_shown_changed_and_deleted(server: str, prefix: str) -> None:
    client = Client(server, prefix)
    made = client.put("/batchEndpoints/digits?api-version=2021-10-01", ENDPOINT)
    assert made.status == 201
    assert made.json["id"] == f"{prefix}/batchEndpoints/digits"
    assert made.json["name"] == "digits"
    assert made.json["type"] == "Microsoft.MachineLearningServices/workspaces/batchEndpoints"
    assert made.json["properties"]["provisioningState"] == "Succeeded"
    assert set(made.json["systemData"]) == {"createdAt", "lastModifiedAt"}
    assert client.put("/batchEndpoints/digits", ENDPOINT).status == 200
    patched = client.patch("/batchEndpoints/digits", {"properties": {"description": "for clerks"}})
    assert (patched.status, patched.json["properties"]["description"]) == (200, "for clerks")
    assert client.get("/batchEndpoints/digits").json == patched.json
    assert client.delete("/batchEndpoints/digits").status == 200
    assert client.delete("/batchEndpoints/digits").status == 204
    gone = client.get("/batchEndpoints/digits")
    assert (gone.status, gone.code) == (404, "ENDPOINT_NOT_FOUND")


def test_endpoint__tags_and_nulls_are_merged(client: Client) -> None:
    body = {**ENDPOINT, "tags": {"team": "a", "cost": "1"}}
    body["properties"] = {"description": "text", "properties": {"x": "y"}}
    client.put("/batchEndpoints/digits", body)
    change = {"tags": {"cost": None, "stage": "test"}, "properties": {"description": None}}
    patched = client.patch("/batchEndpoints/digits", change).json
    assert patched["tags"] == {"team": "a", "stage": "test"}
    assert patched["properties"]["description"] is None
    assert patched["properties"]["properties"]["x"] == "y"


def test_endpoint__default_deployment_set_and_cleared(client: Client) -> None:
    shown = client.get("/batchEndpoints/mood").json
    assert shown["properties"]["defaults"] == {"deploymentName": "mood-v1"}
    body: dict[str, Any] = {"properties": {"defaults": {"deploymentName": None}}}
    patched = client.patch("/batchEndpoints/mood", body).json
    assert patched["properties"]["defaults"] == {"deploymentName": None}
    body = {"properties": {"defaults": {"deploymentName": "mood-v1"}}}
    for answer in (
        client.patch("/batchEndpoints/mood", body),
        client.put("/batchEndpoints/mood", body),
    ):
        assert answer.json["properties"]["defaults"] == {"deploymentName": "mood-v1"}
    wrong = client.patch(
        "/batchEndpoints/mood", {"properties": {"defaults": {"deploymentName": "no-such"}}}
    )
    assert (wrong.status, wrong.code) == (404, "DEPLOYMENT_NOT_FOUND")


def test_endpoint__keys_are_no_way_in(client: Client) -> None:
    answer = client.put("/batchEndpoints/digits", {"properties": {"authMode": "Key"}})
    assert (answer.status, answer.code) == (400, "INVALID_FIELD")
    assert client.get("/batchEndpoints/digits").status == 404


def test_endpoint__what_is_shown_can_be_sent_back(client: Client) -> None:
    shown = client.get("/batchEndpoints/mood").json
    again = client.put("/batchEndpoints/mood", shown)
    assert again.status == 200
    assert again.json["properties"] == shown["properties"]


@pytest.mark.parametrize("prefix", [LONG, "/workspaces/ws"])
def test_deployment__as_the_official_script_sends_it(server: str, prefix: str) -> None:
    client = Client(server, prefix)
    made = client.put("/batchEndpoints/mood/deployments/mood-v2", DEPLOYMENT % {"prefix": prefix})
    assert made.status == 201, made.raw
    properties = made.json["properties"]
    assert made.json["id"] == f"{prefix}/batchEndpoints/mood/deployments/mood-v2"
    assert properties["model"]["assetId"] == f"{prefix}/models/weights/versions/1"
    assert properties["codeConfiguration"]["codeId"] == f"{prefix}/codes/score/versions/1"
    assert properties["compute"] == f"{prefix}/computes/cpu-cluster"
    assert properties["retrySettings"] == {"maxRetries": 3, "timeout": "PT90S"}
    assert properties["maxConcurrencyPerInstance"] == 4
    assert (properties["errorThreshold"], properties["miniBatchSize"]) == (10, 5)
    assert (properties["outputAction"], properties["loggingLevel"]) == ("AppendRow", "Info")
    assert properties["outputFileName"] == "out.csv"
    assert properties["resources"]["instanceCount"] == 1


def test_deployment__what_is_shown_can_be_sent_back(client: Client, workspace: Workspace) -> None:
    before = workspace.batch_deployments.get("mood-v1", "mood").record.document
    shown = client.get("/batchEndpoints/mood/deployments/mood-v1").json
    again = client.put("/batchEndpoints/mood/deployments/mood-v1", shown)
    assert again.status == 200, again.raw
    assert workspace.batch_deployments.get("mood-v1", "mood").record.document == before


def test_deployment__patch_changes_what_is_given(client: Client) -> None:
    path = "/batchEndpoints/mood/deployments/mood-v1"
    body = {"properties": {"miniBatchSize": "3", "retrySettings": {"timeout": "PT10S"}}}
    patched = client.patch(path, body)
    assert patched.status == 200, patched.raw
    properties = patched.json["properties"]
    assert (properties["miniBatchSize"], properties["outputAction"]) == (3, "AppendRow")
    assert properties["retrySettings"] == {"maxRetries": 3, "timeout": "PT10S"}


def test_deployment__unknown_and_wrong_fields(client: Client) -> None:
    path = "/batchEndpoints/mood/deployments/mood-v1"
    body = {"properties": {"model": "azureml:weights:1", "minibatchSise": 5}}
    answer = client.put(path, body)
    assert (answer.status, answer.code) == (400, "UNKNOWN_FIELD")
    assert "miniBatchSize" in answer.json["error"]["message"]
    body = {"properties": {"model": "azureml:weights:1", "retrySettings": {"timeout": "soon"}}}
    assert client.put(path, body).code == "INVALID_FIELD"
    body = {"properties": {"model": "azureml:nothing:1"}}
    answer = client.put(path, body)
    assert (answer.status, answer.code) == (404, "MODEL_NOT_FOUND")


def test_deployment__deleting_the_default_one(client: Client) -> None:
    path = "/batchEndpoints/mood/deployments"
    body = {
        "properties": {
            "model": "azureml:weights:1",
            "codeConfiguration": {"codeId": "azureml:score:1", "scoringScript": "score.py"},
        }
    }
    assert client.put(f"{path}/mood-v2", body).status == 201
    listed = client.get(path).json["value"]
    assert [one["name"] for one in listed] == ["mood-v1", "mood-v2"]
    refused = client.delete(f"{path}/mood-v1")
    assert (refused.status, refused.code) == (409, "NEW_DEFAULT_NEEDED")
    assert client.delete(f"{path}/mood-v1?newDefault=mood-v2").status == 200
    assert client.delete(f"{path}/mood-v1").status == 204
    shown = client.get("/batchEndpoints/mood").json
    assert shown["properties"]["defaults"]["deploymentName"] == "mood-v2"


ASSETS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "codes",
        {"codeUri": f"{STORE}/code", "description": "text"},
        {"description": "text"},
    ),
    (
        "codes",
        {"datastoreId": f"{LONG}/datastores/workspaceblobstore", "path": "code"},
        {"provisioningState": "Succeeded"},
    ),
    (
        "models",
        {
            "modelUri": "azureml://subscriptions/5b1c/resourceGroups/team/workspaces/ws"
            "/datastores/workspaceblobstore/paths/model",
            "modelType": "CustomModel",
        },
        {"modelType": "CustomModel"},
    ),
    (
        "environments",
        {"condaFile": '{"name": "mnist", "dependencies": ["python=3.10"]}', "image": "a/b:latest"},
        {"image": "a/b:latest", "osType": "Linux"},
    ),
    (
        "environments",
        {
            "condaFile": "name: mnist\ndependencies: [python=3.10]",
            "docker": {"dockerSpecificationType": "Image", "dockerImageUri": "a/b:latest"},
        },
        {"condaFile": '{"name": "mnist", "dependencies": ["python=3.10"]}', "image": "a/b:latest"},
    ),
    (
        "data",
        {"dataType": "uri_folder", "dataUri": f"{STORE}/in/"},
        {"dataType": "uri_folder"},
    ),
    (
        "datasets",
        {"datasetType": "Simple", "paths": [{"folder": f"{STORE}/in"}]},
        {"dataType": "uri_folder", "dataUri": f"{STORE}/in"},
    ),
]


@pytest.mark.parametrize(("kind", "properties", "shown"), ASSETS)
def test_assets__registered_shown_and_listed(
    client: Client, kind: str, properties: dict[str, Any], shown: dict[str, Any]
) -> None:
    body = {"properties": properties}
    path = f"/{kind}/mnist/versions/1"
    made = client.put(path, body)
    assert made.status == 201, made.raw
    assert made.json["id"] == f"/workspaces/ws/{kind}/mnist/versions/1"
    assert made.json["name"] == "1"
    assert made.json["type"] == f"Microsoft.MachineLearningServices/workspaces/{kind}/versions"
    assert {key: made.json["properties"].get(key) for key in shown} == shown
    assert client.put(path, body).status == 200
    assert client.get(path).json == made.json
    assert client.get(f"/{kind}/mnist/labels/latest").json == made.json
    assert [one["name"] for one in client.get(f"/{kind}/mnist/versions").json["value"]] == ["1"]
    assert client.get(f"/{kind}/mnist").json["properties"]["latestVersion"] == "1"
    assert "mnist" in [one["name"] for one in client.get(f"/{kind}").json["value"]]
    deleted = client.delete(path)
    if kind == "codes":
        assert deleted.status == 405
    else:
        assert (deleted.status, client.delete(path).status) == (200, 204)
        assert client.get(path).status == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/codes/score/versions/1",
            {"codeUri": f"{STORE}/in"},
        ),
        (
            "/models/weights/versions/1",
            {"modelUri": f"{STORE}/code"},
        ),
    ],
)
def test_assets__a_version_never_changes(client: Client, path: str, body: dict[str, Any]) -> None:
    answer = client.put(path, {"properties": body})
    assert answer.status == 409
    assert answer.code.endswith("_VERSION_EXISTS")


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("codes", {"codeUri": "/etc"}),
        ("codes", {"codeUri": "file:///etc"}),
        ("models", {"modelUri": "/etc/passwd"}),
        ("models", {"modelUri": f"{STORE}/../../store.db"}),
        ("data", {"dataUri": "/etc"}),
        ("environments", {"build": {"contextUri": "/etc"}}),
    ],
)
def test_assets__files_of_the_server_are_refused(
    client: Client, kind: str, properties: dict[str, Any]
) -> None:
    answer = client.put(f"/{kind}/stolen/versions/1", {"properties": properties})
    assert answer.status in (400, 403), answer.raw
    assert client.get(f"/{kind}/stolen").status == 404


def test_environment__a_conda_file_is_text_not_a_path(client: Client) -> None:
    answer = client.put(
        "/environments/env/versions/1", {"properties": {"condaFile": "/etc/passwd"}}
    )
    assert (answer.status, answer.code) == (400, "MALFORMED_DOCUMENT")


def test_compute__as_the_official_script_sends_it(client: Client) -> None:
    body = """{
    "properties":{
        "computeType": "AmlCompute",
        "properties": {
            "osType": "Linux",
            "vmSize": "STANDARD_D2_V2",
            "scaleSettings": {
                "maxNodeCount": "5",
                "minNodeCount": 0,
                "nodeIdleTimeBeforeScaleDown": "PT2M"
            },
            "remoteLoginPortPublicAccess": "NotSpecified"
        },
    },
    "location": "westus"
}"""
    made = client.put("/computes/batch-cluster", body)
    assert made.status == 201, made.raw
    properties = made.json["properties"]
    assert (properties["computeType"], properties["provisioningState"]) == (
        "AmlCompute",
        "Succeeded",
    )
    assert properties["properties"]["scaleSettings"] == {
        "minNodeCount": 0,
        "maxNodeCount": 5,
        "nodeIdleTimeBeforeScaleDown": "PT120S",
    }
    again = client.put("/computes/batch-cluster", made.json)
    assert (again.status, again.json["properties"]) == (200, properties)
    names = [one["name"] for one in client.get("/computes").json["value"]]
    assert names == ["batch-cluster", "cpu-cluster", "local"]
    assert client.delete("/computes/batch-cluster?underlyingResourceAction=Delete").status == 200
    assert client.delete("/computes/batch-cluster").status == 204


def test_compute__of_a_platform_comes_back_as_it_was_sent(client: Client) -> None:
    own = {
        "host": "https://adb-1.2.azuredatabricks.net",
        "staging": "s3://bucket/jobs",
        "sparkVersion": "16.4.x-scala2.12",
        "nodeTypeId": "Standard_D4ds_v5",
        "sparkEnvVars": {"TEAM": "one"},
        "maxPlatformRetries": 2,
        "maxInstances": 8,
    }
    body = {"properties": {"computeType": "Databricks", "properties": own}}
    made = client.put("/computes/lake", body)
    assert made.status == 201, made.raw
    properties = made.json["properties"]
    assert properties["computeType"] == "Databricks"
    assert own.items() <= properties["properties"].items()
    again = client.put("/computes/lake", made.json)
    assert (again.status, again.json["properties"]) == (200, properties)
    assert client.delete("/computes/lake").status in (200, 204)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/batchEndpoints/digits", ENDPOINT),
        (
            "PUT",
            "/batchEndpoints/mood/deployments/mood-v2",
            {
                "properties": {
                    "model": "azureml:weights:1",
                    "codeConfiguration": {"codeId": "azureml:score:1", "scoringScript": "score.py"},
                }
            },
        ),
        ("PUT", "/computes/batch-cluster", {"properties": {"computeType": "AmlCompute"}}),
    ],
)
def test_operations__are_polled_until_succeeded(
    client: Client, method: str, path: str, body: dict[str, Any]
) -> None:
    made = client.call(method, path, body)
    assert made.status == 201, made.raw
    inner = made.json["properties"]["properties"]
    operation = client.get(inner["AzureAsyncOperationUri"])
    assert (operation.status, operation.json["status"]) == (200, "Succeeded")
    assert operation.json["properties"]["resourceId"] == made.json["id"]
    assert made.headers["Azure-AsyncOperation"] == inner["AzureAsyncOperationUri"]
    assert client.delete(path).status == 200
    assert client.get(inner["AzureAsyncOperationUri"]).status == 404


def test_datastores__default_and_others(client: Client) -> None:
    body = {
        "properties": {
            "datastoreType": "AzureBlob",
            "accountName": "account",
            "containerName": "container",
            "endpoint": "core.windows.net",
            "protocol": "https",
            "credentials": {"credentialsType": "None"},
        }
    }
    made = client.put("/datastores/blobs", body)
    assert made.status == 201, made.raw
    assert made.json["properties"]["accountName"] == "account"
    assert made.json["properties"]["contents"]["containerName"] == "container"
    assert client.put("/datastores/blobs", made.json).status == 200
    default = client.get("/datastores?api-version=2022-05-01&isDefault=true").json["value"]
    assert [one["name"] for one in default] == ["workspaceblobstore"]
    assert default[0]["properties"]["isDefault"] is True
    others = client.get("/datastores?isDefault=false").json["value"]
    assert [one["name"] for one in others] == ["blobs"]


def test_datastores__credentials_are_refused(client: Client) -> None:
    properties = {
        "datastoreType": "AzureBlob",
        "accountName": "account",
        "containerName": "container",
        "credentials": {"credentialsType": "AccountKey", "secrets": {"key": "c2VjcmV0"}},
    }
    answer = client.put("/datastores/blobs", {"properties": properties})
    assert answer.status == 400
    assert b"c2VjcmV0" not in answer.raw


def test_unknown_paths_and_workspaces(client: Client, server: str) -> None:
    assert client.get("/nothing").status == 404
    assert Client(server).get("/models").status == 404
    answer = Client(server, "/workspaces/other").get("/models")
    assert (answer.status, answer.code) == (404, "WORKSPACE_NOT_FOUND")
