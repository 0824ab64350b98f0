"""ETags, pages and orders."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.rest.serving import Client

ENDPOINT = "/batchEndpoints/mood"
DEPLOYMENT = "/batchEndpoints/mood/deployments/mood-v1"
BODIES: dict[str, dict[str, Any]] = {
    ENDPOINT: {"properties": {"description": "new"}},
    DEPLOYMENT: {"properties": {"description": "new"}},
}
EACH = pytest.mark.parametrize("path", [ENDPOINT, DEPLOYMENT])


@EACH
def test_etag__changes_with_each_change(client: Client, path: str) -> None:
    first = client.get(path)
    assert client.get(path).headers["ETag"] == first.headers["ETag"]
    patched = client.patch(path, BODIES[path])
    assert patched.status == 200, patched.raw
    assert patched.headers["ETag"] != first.headers["ETag"]
    assert client.get(path).headers["ETag"] == patched.headers["ETag"]


@EACH
def test_if_none_match__saves_what_is_known(client: Client, path: str) -> None:
    tag = client.get(path).headers["ETag"]
    known = client.get(path, **{"If-None-Match": f'"other", {tag}'})
    assert (known.status, known.raw, known.headers["ETag"]) == (304, b"", tag)
    assert client.get(path, **{"If-None-Match": '"other"'}).status == 200


@EACH
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match__refuses_what_was_changed_meanwhile(
    client: Client, path: str, method: str
) -> None:
    shown = client.get(path)
    client.patch(path, {"properties": {"description": "somebody else's"}})
    body = None if method == "DELETE" else shown.json
    answer = client.call(method, path, body, {"If-Match": shown.headers["ETag"]})
    assert (answer.status, answer.code) == (412, "CHANGED_MEANWHILE")
    assert client.get(path).json["properties"]["description"] == "somebody else's"
    now = client.get(path).headers["ETag"]
    assert client.call(method, path, body, {"If-Match": now}).status == 200


def test_if_match__star_and_what_is_not_there(client: Client) -> None:
    body = {"properties": {"authMode": "AADToken"}}
    missing = client.put("/batchEndpoints/digits", body, **{"If-Match": "*"})
    assert (missing.status, missing.code) == (412, "NOT_THERE")
    fresh = {"If-None-Match": "*"}
    assert client.put("/batchEndpoints/digits", body, **fresh).status == 201
    again = client.put("/batchEndpoints/digits", body, **fresh)
    assert (again.status, again.code) == (412, "ALREADY_THERE")
    assert client.put("/batchEndpoints/digits", body, **{"If-Match": "*"}).status == 200


def test_if_match__one_of_many_writers_wins(client: Client) -> None:
    tag = client.get(ENDPOINT).headers["ETag"]

    def write(number: int) -> int:
        body = {"properties": {"description": str(number)}}
        return client.patch(ENDPOINT, body, **{"If-Match": tag}).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(write, range(8)))
    assert statuses == [200, *[412] * 7]


def test_patches_without_if_match__are_all_kept(client: Client) -> None:
    def write(number: int) -> int:
        return client.patch(ENDPOINT, {"tags": {f"n{number}": "x"}}).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(8))) == {200}
    assert set(client.get(ENDPOINT).json["tags"]) == {f"n{number}" for number in range(8)}


COMPUTE = "/computes/cpu-cluster"
DATASTORE = "/datastores/blobs"
MODEL = "/models/weights/versions/1"
CODE = "/codes/score/versions/1"
ENVIRONMENT = "/environments/plain/versions/1"
DATA = "/data/texts/versions/1"
PLACES: dict[str, dict[str, Any]] = {
    COMPUTE: {"properties": {"computeType": "AmlCompute", "description": "mine"}},
    DATASTORE: {"properties": {"datastoreType": "Uri", "path": "s3://bucket/mine"}},
}
ASSETS: dict[str, dict[str, Any]] = {
    ENVIRONMENT: {"properties": {"image": "a/b"}},
    DATA: {"properties": {"path": "azureml://datastores/workspaceblobstore/paths/in"}},
    MODEL: {},
    CODE: {},
}


@pytest.fixture
def things(client: Client) -> None:
    """There is one of each."""
    other = {"properties": {"datastoreType": "Uri", "path": "s3://bucket/first"}}
    for path, body in {DATASTORE: other, **ASSETS}.items():
        if body:
            assert client.put(path, body).status == 201


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("path", [*PLACES, *ASSETS, "/computes/local"])
def test_etag__of_everything_else(client: Client, path: str) -> None:
    tag = client.get(path).headers["ETag"]
    assert client.get(path).headers["ETag"] == tag
    known = client.get(path, **{"If-None-Match": tag})
    assert (known.status, known.raw, known.headers["ETag"]) == (304, b"", tag)
    assert client.get(path, **{"If-None-Match": '"other"'}).status == 200


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("path", PLACES)
def test_if_match__of_computes_and_datastores(client: Client, path: str) -> None:
    tag = client.get(path).headers["ETag"]
    made = client.put(path, PLACES[path], **{"If-Match": tag})
    assert (made.status, made.headers["ETag"]) == (200, client.get(path).headers["ETag"])
    for method, body in (("PUT", PLACES[path]), ("DELETE", None)):
        late = client.call(method, path, body, {"If-Match": tag})
        assert (late.status, late.code) == (412, "CHANGED_MEANWHILE")
    there = client.put(path, PLACES[path], **{"If-None-Match": "*"})
    assert (there.status, there.code) == (412, "ALREADY_THERE")
    now = {"If-Match": made.headers["ETag"]}
    assert client.call("DELETE", path, None, now).status == 200
    for method, body in (("PUT", PLACES[path]), ("DELETE", None)):
        gone = client.call(method, path, body, now)
        assert (gone.status, gone.code) == (412, "NOT_THERE")
    assert client.put(path, PLACES[path], **{"If-None-Match": "*"}).status == 201
    assert client.get(path).headers["ETag"] != made.headers["ETag"]


@pytest.mark.usefixtures("things")
def test_if_match__one_of_many_writers_of_a_compute_wins(client: Client) -> None:
    tag = client.get(COMPUTE).headers["ETag"]

    def write(number: int) -> int:
        body = {"properties": {"computeType": "AmlCompute", "description": str(number)}}
        return client.put(COMPUTE, body, **{"If-Match": tag}).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(write, range(8)))
    assert statuses == [200, *[412] * 7]


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("path", [MODEL, ENVIRONMENT, DATA])
def test_if_match__of_versions(client: Client, api: Client, path: str) -> None:
    _, kind, name, _, version = path.split("/")
    own = f"/{kind}/{name}"
    tag = api.get(f"{own}?version={version}").headers["ETag"]
    assert tag == client.get(path).headers["ETag"]
    assert api.post(f"{own}/archive?version={version}", **{"If-Match": tag}).status == 204
    for verb in ("archive", "restore"):
        late = api.post(f"{own}/{verb}?version={version}", **{"If-Match": tag})
        assert (late.status, late.code) == (412, "CHANGED_MEANWHILE")
    assert client.call("DELETE", path, None, {"If-Match": tag}).code == "CHANGED_MEANWHILE"
    assert api.delete(f"{own}?version={version}", **{"If-Match": tag}).status == 412
    now = api.get(f"{own}?version={version}").headers["ETag"]
    assert api.delete(f"{own}?version={version}", **{"If-Match": now}).status == 204


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("computes", {"name": "big", "type": "local", "max_instances": 2}),
        ("datastores", {"name": "blobs", "type": "uri", "path": "s3://bucket/x"}),
    ],
)
def test_if_match__below_our_own_paths(api: Client, kind: str, document: dict[str, Any]) -> None:
    made = api.post(f"/{kind}", {"document": document}, **{"If-None-Match": "*"})
    tag, one = made.headers["ETag"], f"/{kind}/{document['name']}"
    assert (made.status, api.get(one).headers["ETag"]) == (201, tag)
    assert api.post(f"/{kind}", {"document": document}, **{"If-None-Match": "*"}).status == 412
    assert api.post(f"{one}/archive", **{"If-Match": '"other"'}).status == 412
    assert api.post(f"{one}/archive", **{"If-Match": tag}).status == 204
    assert api.delete(one, **{"If-Match": tag}).code == "CHANGED_MEANWHILE"
    assert api.delete(one, **{"If-Match": api.get(one).headers["ETag"]}).status == 204


def make_endpoints(client: Client, count: int) -> list[str]:
    names = [f"endpoint-{number}" for number in range(count)]
    for name in names:
        client.put(f"/batchEndpoints/{name}", {"properties": {}})
    return sorted([*names, "mood"])


def read_pages(client: Client, path: str) -> list[list[str]]:
    """The names on each page, from one nextLink to the next."""
    pages = []
    link = path
    while link:
        answer = client.get(link)
        assert answer.status == 200, answer.raw
        pages.append([item["name"] for item in answer.json["value"]])
        link = answer.json.get("nextLink")
    return pages


def test_pages__follow_each_other(client: Client) -> None:
    names = make_endpoints(client, 4)
    assert read_pages(client, "/batchEndpoints?$top=2") == [names[:2], names[2:4], names[4:]]
    assert read_pages(client, "/batchEndpoints?$top=5") == [names]
    assert read_pages(client, "/batchEndpoints?$top=2&$skip=4") == [names[4:]]
    assert read_pages(client, "/batchEndpoints?$skip=9") == [[]]


def test_pages__next_link_keeps_the_long_prefix_and_the_query(server: str) -> None:
    prefix = (
        "/subscriptions/5b1c/resourceGroups/team/providers/Microsoft.MachineLearningServices"
        "/workspaces/ws"
    )
    client = Client(server, prefix)
    make_endpoints(client, 2)
    link = client.get("/batchEndpoints?api-version=2022-05-01&$top=1").json["nextLink"]
    assert link.startswith(f"{server}{prefix}/batchEndpoints?")
    assert "api-version=2022-05-01" in link


@pytest.mark.parametrize(
    ("order", "arrange"),
    [
        ("name", sorted),
        ("name desc", lambda names: sorted(names, reverse=True)),
        ("createdAt asc", lambda names: ["mood", *names[:-1]]),
        ("systemData/createdAt desc", lambda names: [*names[-2::-1], "mood"]),
    ],
)
def test_order__of_endpoints(
    client: Client, order: str, arrange: Callable[[list[str]], list[str]]
) -> None:
    names = make_endpoints(client, 3)
    found = client.get(f"/batchEndpoints?$orderBy={quote(order)}").json["value"]
    assert [item["name"] for item in found] == arrange(names)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("$orderBy=color", "UNKNOWN_ORDER"),
        ("$orderBy=name%20sideways", "UNKNOWN_ORDER"),
        ("$skip=some", "INVALID_FIELD"),
        ("$skip=-1", "INVALID_FIELD"),
        ("$top=0", "INVALID_REQUEST"),
        ("$top=many", "INVALID_REQUEST"),
    ],
)
def test_pages__that_make_no_sense(client: Client, query: str, code: str) -> None:
    answer = client.get(f"/batchEndpoints?{query}")
    assert (answer.status, answer.code) == (400, code)


def test_pages__of_jobs_are_stable_while_jobs_come(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait")
    uri = client.get(ENDPOINT).json["properties"]["scoringUri"]
    folder = "azureml://datastores/workspaceblobstore/paths/in"

    def start(name: str) -> None:
        body = {"properties": {"dataset": {"path": folder}, "jobName": name}}
        assert client.post(uri, body).status == 201

    for number in range(4):
        start(f"job-{number}")
    first = client.get(f"{uri}?$top=2").json
    start("job-4")
    second = client.get(first["nextLink"]).json
    assert [job["name"] for job in first["value"]] == ["job-3", "job-2"]
    assert [job["name"] for job in second["value"]] == ["job-1", "job-0"]
    assert "nextLink" not in second
    assert read_pages(client, f"{uri}?$top=2&$skip=1")[0] == ["job-3", "job-2"]
    assert client.get(f"{uri}?$skip=after:nothing").status == 404
