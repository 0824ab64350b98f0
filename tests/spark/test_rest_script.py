"""The calls of the reference's REST script, one after the other, with its bodies as they are.

The default datastore is in Azure Blob Storage; the job is a real one.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import Client, serving
from tests.servers.store import StoreServer

pytestmark = [pytest.mark.spark, pytest.mark.slow]

RESOURCES = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/team"
    "/providers/Microsoft.MachineLearningServices/workspaces/ws"
)
VERSION = "api-version=2022-05-01"
FOLDER = "rest-script"
SCRIPT = b"""\
import os
from pathlib import Path

def init():
    global words
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    words = next(root.rglob("good.txt")).read_text().split()

def run(mini_batch):
    return [{"file": Path(path).name, "good": score(Path(path))} for path in mini_batch]

def score(path):
    return sum(word in words for word in path.read_text(encoding="utf-8").split())
"""
CONDA = {"name": "mnist-env", "dependencies": ["python=3.10", {"pip": ["pandas"]}]}


@pytest.fixture
def workspace(
    abfss_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """An empty workspace whose default datastore is the container."""
    for name, value in abfss_store.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text(f'[datastore]\nuri = "{abfss_store.uri}"\n')
    opened = Workspace.open(tmp_path / "ws")
    yield opened
    for job in opened.jobs.list():
        if not job.is_ended:
            opened.jobs.cancel(job.name).wait(60)
    opened.close()


@pytest.fixture
def client(workspace: Workspace) -> Iterator[Client]:
    """A client with a contributor's token, as the script's user has one."""
    token = workspace.tokens.create(role="contributor", name="script").secret
    with serving(create_app(workspace, ServerConfig())) as address:
        yield Client(address, token=token)


def wait_for_completion(client: Client, uri: str) -> str:
    """The status at ``.status`` or ``.properties.status`` once it is a last one."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        body = client.get(uri).json
        status: str = body.get("status") or body["properties"]["status"]
        if status in ("Completed", "Succeeded", "Failed", "Canceled"):
            return status
        time.sleep(0.5)
    raise AssertionError("no end came")


def put(client: Client, path: str, body: str) -> dict[str, Any]:
    answer = client.put(f"{RESOURCES}{path}?{VERSION}", body)
    assert answer.status == 201, answer.raw
    made: dict[str, Any] = answer.json
    return made


def register(client: Client, account: str, container: str, datastore: str) -> None:
    """Code, model and environment."""
    web = f"https://{account}.blob.core.windows.net/{container}/{FOLDER}"
    put(
        client,
        "/codes/score-mnist/versions/1",
        f'{{"properties": {{"description": "Score code", "codeUri": "{web}/score"}}}}',
    )
    model_uri = (
        "azureml://subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/team"
        f"/workspaces/ws/datastores/{datastore}/paths/{FOLDER}/model"
    )
    put(client, "/models/mnist/versions/1", f'{{"properties": {{"modelUri":"{model_uri}"}}}}')
    conda = json.dumps(CONDA).replace('"', '\\"')
    put(
        client,
        "/environments/mnist-env/versions/1",
        f'{{"properties":{{"condaFile": "{conda}", '
        '"image": "mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:latest"}}',
    )


def deploy(client: Client) -> str:
    """Compute, endpoint and deployment; gives the scoring URI."""
    compute = put(
        client,
        "/computes/batch-cluster",
        """{
        "properties":{
            "computeType": "AmlCompute",
            "properties": {
                "osType": "Linux",
                "vmSize": "STANDARD_D2_V2",
                "scaleSettings": {"maxNodeCount": 5, "minNodeCount": 0},
                "remoteLoginPortPublicAccess": "NotSpecified"
            },
        },
        "location": "westus"
    }""",
    )
    endpoint = put(
        client,
        "/batchEndpoints/mnist-batch",
        '{"properties": {"authMode": "aadToken"}, "location": "westus"}',
    )
    deployment = put(
        client,
        "/batchEndpoints/mnist-batch/deployments/nonmlflowedp",
        f"""{{
        "location": "westus",
        "properties": {{
            "model": {{
                "referenceType": "Id",
                "assetId": "{RESOURCES}/models/mnist/versions/1"
            }},
            "codeConfiguration": {{
                "codeId": "{RESOURCES}/codes/score-mnist/versions/1",
                "scoringScript": "digit_identification.py"
            }},
            "environmentId": "{RESOURCES}/environments/mnist-env/versions/1",
            "compute": "{RESOURCES}/computes/batch-cluster",
            "resources": {{
                "instanceCount": 1
            }},
            "maxConcurrencyPerInstance": "2",
            "retrySettings": {{
                "maxRetries": 3,
                "timeout": "PT30S"
            }},
            "errorThreshold": "10",
            "loggingLevel": "info",
            "miniBatchSize": "5",
        }}
    }}""",
    )
    for made in (compute, endpoint, deployment):
        operation = made["properties"]["properties"]["AzureAsyncOperationUri"]
        assert wait_for_completion(client, operation) == "Succeeded"
    shown = client.get(f"{RESOURCES}/batchEndpoints/mnist-batch?{VERSION}").json
    uri: str = shown["properties"]["scoringUri"]
    return uri


def test_rest_script__from_register_to_results(
    client: Client, workspace: Workspace, abfss_store: StoreServer
) -> None:
    listed = client.get(f"{RESOURCES}/datastores?{VERSION}&isDefault=true").json["value"][0]
    store = listed["properties"]
    abfss_store.put(f"{FOLDER}/score/digit_identification.py", SCRIPT)
    abfss_store.put(f"{FOLDER}/model/good.txt", b"good great")
    for name, text in {"a.txt": b"a good day", "b.txt": b"a day", "c.txt": b"\xff"}.items():
        abfss_store.put(f"{FOLDER}/in/{name}", text)
    register(client, store["accountName"], store["containerName"], listed["name"])
    scoring_uri = deploy(client)

    body = f"""{{
        "properties": {{
            "InputData": {{
                "mnistinput": {{
                    "JobInputType" : "UriFolder",
                    "Uri":  "https://{store["accountName"]}.blob.core.windows.net/\
{store["containerName"]}/{FOLDER}/in"
                }}
            }},
            "OutputData": {{
                "customOutput": {{
                    "JobOutputType": "UriFolder",
                    "Uri": "azureml://datastores/{listed["name"]}/paths/mnist-batch/mnistOutput"
                }}
            }}
        }}
    }}"""
    header = {"azureml-model-deployment": "nonmlflowedp"}
    started = client.post(scoring_uri, body, **header)
    assert started.status == 201, started.raw
    job_name = started.json["id"].rpartition("/")[2]
    assert wait_for_completion(client, f"{scoring_uri}/{job_name}") == "Completed"

    job = client.get(f"{scoring_uri}/{job_name}").json["properties"]
    assert job["inputCounts"] == {"total": 3, "succeeded": 2, "failed": 1, "unprocessed": 0}
    assert job["output"]["datastoreId"] == f"/workspaces/ws/datastores/{listed['name']}"
    files = f"/api/v1/jobs/{job_name}/files"
    listed_files = {file["path"]: file for file in client.get(files).json["value"]}
    results = "named-outputs/score/predictions.csv"
    assert {results, "artifacts/summary.json"} <= set(listed_files)
    answer = client.get(f"{files}/{results}")
    assert len(answer.raw) == listed_files[results]["byte_count"]
    assert client.get(f"{files}/{results}", Range="bytes=-4").raw == answer.raw[-4:]
    table = answer.raw.decode()
    rows = {row["file"]: row["good"] for row in csv.DictReader(io.StringIO(table))}
    assert rows == {"a.txt": "1", "b.txt": "0"}

    endpoint = f"{RESOURCES}/batchEndpoints/mnist-batch"
    for path in (f"{endpoint}/deployments/nonmlflowedp", endpoint):
        assert client.delete(f"{path}?{VERSION}").status == 200
    assert client.get(f"{scoring_uri}/{job_name}").status == 200
    assert not any(secret.encode() in started.raw for secret in abfss_store.secrets)
