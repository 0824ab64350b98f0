"""Many clients at once: nothing is lost, nothing made twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import Client, serving

STORE = "azureml://datastores/workspaceblobstore/paths"
BODY = {"properties": {"InputData": {"x": {"JobInputType": "UriFolder", "Uri": f"{STORE}/in"}}}}


def test_first_requests_at_once__open_the_workspace_once(workspace: Workspace) -> None:
    workspace.close()
    fresh = Workspace.open(workspace.folder)
    with serving(create_app(fresh, ServerConfig(no_auth=True))) as address:
        client = Client(address, "/workspaces/ws")
        paths = ["/batchEndpoints", "/jobs", "/models", "/data", "/computes", "/datastores"]
        with ThreadPoolExecutor(12) as pool:
            statuses = list(pool.map(lambda path: client.get(path).status, paths * 4))
    assert set(statuses) == {200}
    fresh.close()


def test_same_key_at_once__is_one_job(client: Client) -> None:
    uri = client.get("/batchEndpoints/mood").json["properties"]["scoringUri"]

    def start(_: int) -> tuple[int, str]:
        answer = client.post(uri, BODY, **{"Idempotency-Key": "one"})
        return answer.status, answer.json["name"]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(start, range(6)))
    assert {status for status, _ in found} <= {200, 201}
    assert len({name for _, name in found}) == 1
    assert len(client.get(uri).json["value"]) == 1


def test_versions_at_once__are_all_registered(client: Client, workspace: Workspace) -> None:
    store = Path(workspace.datastores.get_default().uri)

    def register(number: int) -> int:
        kind, uri = [("models", "modelUri"), ("codes", "codeUri"), ("data", "dataUri")][number % 3]
        folder = store / f"folder-{number}"
        folder.mkdir()
        (folder / "score.py").write_text(str(number))
        body = {"properties": {uri: f"{STORE}/folder-{number}"}}
        return client.put(f"/{kind}/many/versions/{number}", body).status

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(register, range(9))) == {201}
    for kind in ("models", "codes", "data"):
        assert len(client.get(f"/{kind}/many/versions").json["value"]) == 3


@pytest.mark.slow
def test_jobs_at_once__each_request_is_one(client: Client) -> None:
    uri = client.get("/batchEndpoints/mood").json["properties"]["scoringUri"]
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda _: client.post(uri, BODY).json["name"], range(8)))
    assert len(set(names)) == 8
    assert {job["name"] for job in client.get(uri).json["value"]} == set(names)
