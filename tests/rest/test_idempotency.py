"""``Idempotency-Key``: what makes something makes it once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.access.answers import Answers
from sparkscore.control.workspace import Workspace
from sparkscore.errors import StateError
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import Client, serving
from tests.rest.test_own_api import STORE

KEY = {"Idempotency-Key": "monday"}
DEPLOYMENT = {
    "name": "mood-v2",
    "model": "azureml:weights:1",
    "code_configuration": {"code": "azureml:score:1", "scoring_script": "score.py"},
}
MAKING: list[tuple[str, dict[str, Any]]] = [
    ("/endpoints", {"name": "digits"}),
    ("/endpoints/mood/deployments", DEPLOYMENT),
    ("/models", {"name": "thing", "path": f"{STORE}/model"}),
    ("/environments", {"name": "thing", "image": "a/b"}),
    ("/data", {"name": "thing", "path": f"{STORE}/in"}),
    ("/code", {"name": "thing", "path": f"{STORE}/code"}),
    ("/computes", {"name": "big", "type": "local", "max_instances": 2}),
    ("/datastores", {"name": "blobs", "type": "uri", "path": "s3://bucket/x"}),
]


@pytest.mark.parametrize(("path", "document"), MAKING)
def test_key__makes_one_thing(api: Client, path: str, document: dict[str, Any]) -> None:
    first, second = (api.post(path, {"document": document}, **KEY) for _ in range(2))
    assert (first.status, second.status) == (201, 200), first.raw
    assert first.json == second.json
    other = {"document": {**document, "description": "another"}}
    reused = api.post(path, other, **KEY)
    assert (reused.status, reused.code) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert api.post(path, other, **{"Idempotency-Key": "tuesday"}).status in (200, 201)


def test_key__of_a_request_that_failed_may_be_used_again(api: Client) -> None:
    body = {"document": {"name": "thing", "path": f"{STORE}/none"}}
    assert api.post("/models", body, **KEY).status == 400
    assert api.post("/models", body, **KEY).status == 400
    body["document"]["path"] = f"{STORE}/model"
    assert api.post("/models", body, **KEY).status == 201


def test_key__without_one_each_request_makes_a_version(api: Client) -> None:
    body = {"document": {"name": "thing", "image": "a/b"}}
    versions = [api.post("/environments", body).json["version"] for _ in range(2)]
    assert versions == ["1", "2"]
    assert api.post("/environments", body, **{"Idempotency-Key": ""}).json["version"] == "3"


def test_key__at_the_same_time(api: Client) -> None:
    body = {"document": {"name": "thing", "image": "a/b"}}

    def make(_: int) -> tuple[int, str | None]:
        answer = api.post("/environments", body, **KEY)
        if answer.status == 409:
            return answer.status, answer.code
        return answer.status, answer.json["version"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(make, range(16)))
    assert set(answers) <= {(201, "1"), (200, "1"), (409, "IDEMPOTENCY_KEY_IN_USE")}
    assert answers.count((201, "1")) == 1
    assert len(api.get("/environments?name=thing").json["value"]) == 1


def test_key__is_its_callers_own(workspace: Workspace) -> None:
    with serving(create_app(workspace, ServerConfig())) as address:
        body = {"document": {"name": "thing", "image": "a/b"}}
        tokens = [workspace.tokens.create(role="contributor").secret for _ in range(2)]
        first, second = (Client(address, "/api/v1", token=token) for token in tokens)
        assert first.post("/environments", body, **KEY).json["version"] == "1"
        assert second.post("/environments", body, **KEY).json["version"] == "2"
        assert first.post("/environments", body, **KEY).json["version"] == "1"


def test_key__opens_nothing_for_who_may_not(workspace: Workspace) -> None:
    with serving(create_app(workspace, ServerConfig())) as address:
        maker = Client(address, "/api/v1", token=workspace.tokens.create(role="owner").secret)
        body = {"document": {"name": "thing", "image": "a/b"}}
        assert maker.post("/environments", body, **KEY).status == 201
        reader = workspace.tokens.create(role="reader").secret
        refused = Client(address, "/api/v1", token=reader).post("/environments", body, **KEY)
        assert refused.status == 403


def test_key__of_a_token_gives_it_once(api: Client, workspace: Workspace) -> None:
    made = api.post("/tokens", {"role": "reader"}, **KEY)
    assert made.status == 201
    again = api.post("/tokens", {"role": "reader"}, **KEY)
    assert (again.status, again.code) == (409, "TOKEN_EXISTS")
    assert [token["name"] for token in api.get("/tokens").json["value"]] == [made.json["name"]]
    secret = made.json["token"].rpartition(".")[2].encode()
    kept = [path for path in workspace.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if secret in path.read_bytes()] == []


def test_answers__stay_for_a_day(tmp_path: Path) -> None:
    now = 1_000_000_000.0
    answers = Answers(tmp_path, clock=lambda: now)
    with answers.taking("a") as kept:
        assert kept.content is None
        kept.keep({"x": 1})
    now += 86_400
    with answers.taking("a") as kept:
        assert kept.content == {"x": 1}
    now += 86_400
    with answers.taking("a") as kept:
        assert kept.content is None
    days = [path.name for path in (tmp_path / "cache" / "answers").iterdir()]
    assert len(days) <= 2


def test_answers__half_written_count_for_nothing(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    with answers.taking("a") as kept:
        kept.keep({"x": "long enough to be cut"})
    (file,) = (tmp_path / "cache" / "answers").rglob("a.json")
    file.write_bytes(file.read_bytes()[:-5])
    with answers.taking("a") as kept:
        assert kept.content is None
        kept.keep({})
    assert file.read_bytes() == b"{}"


def test_answers__are_taken_by_one(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    with answers.taking("a"), answers.taking("b"):
        with pytest.raises(StateError) as caught, Answers(tmp_path).taking("a"):
            pass
        assert caught.value.condition == "IDEMPOTENCY_KEY_IN_USE"
    with answers.taking("a"):
        pass
