"""Runs on a workspace, through the real client against a server that speaks the same HTTP."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import MissingDependencyError, SubmitError
from sparkscore.targets.base import RemoteStatus, RunState
from sparkscore.targets.databricks import DatabricksTarget, platform_for, submit
from sparkscore.targets.databricks.credentials import find_profile
from sparkscore.targets.databricks.run_status import read_status
from sparkscore.targets.databricks.submit import DatabricksPlatform, make_token
from tests.servers.databricks import TOKEN, Workspace, databricks_workspace
from tests.targets.test_databricks_compile import COMPUTE, plan

COMPILED = DatabricksTarget().compile(plan())
HOST = "https://adb-1.2.azuredatabricks.net"
VARIABLES = (
    *("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD"),
    *("CONFIG_FILE", "CONFIG_PROFILE"),
)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Workspace]:
    with databricks_workspace(tmp_path) as running:
        for name, value in running.client_environment.items():
            monkeypatch.setenv(name, value)
        yield running


KEYS = st.sampled_from(
    [
        *("state", "status", "tasks", "run_page_url", "life_cycle_state", "result_state"),
        *("state_message", "termination_details", "code", "message"),
    ]
)


def open_platform(workspace: Workspace) -> DatabricksPlatform:
    platform = platform_for({**COMPUTE, "host": workspace.url})
    assert isinstance(platform, DatabricksPlatform)
    return platform


def test_submit__from_start_to_end(workspace: Workspace) -> None:
    platform = open_platform(workspace)
    run = platform.submit(COMPILED, name="nightly")
    number = int(run.run_id)
    assert run.url == f"{workspace.url}/?o=1#job/1/run/{number}"
    assert platform.get_status(run.run_id).state == "pending"
    workspace.move(number, "RUNNING", message="In run")
    assert platform.get_status(run.run_id) == RemoteStatus("running", "In run", run.url)
    workspace.move(number, "TERMINATED", "SUCCESS")
    assert platform.get_status(run.run_id) == RemoteStatus("succeeded", "", run.url)


def test_submit__sends_the_compiled_body(workspace: Workspace) -> None:
    open_platform(workspace).submit(COMPILED, name="nightly")
    ((method, path, body),) = [one for one in workspace.requests if one[1].endswith("/submit")]
    assert (method, path) == ("POST", "/api/2.2/jobs/runs/submit")
    assert len(body.pop("idempotency_token")) <= 64
    assert body == json.loads(COMPILED.files["submit.json"])


def test_submit__again_is_the_same_run(workspace: Workspace) -> None:
    platform = open_platform(workspace)
    first = platform.submit(COMPILED, name="nightly")
    workspace.move(int(first.run_id), "TERMINATED", "FAILED")
    assert platform.submit(COMPILED, name="nightly") == first
    assert open_platform(workspace).submit(COMPILED, name="nightly") == first
    assert platform.submit(COMPILED, name="nightly-r2") != first
    assert len(workspace.runs) == 2


def test_submit__an_answer_that_was_lost_starts_no_second_run(workspace: Workspace) -> None:
    platform = open_platform(workspace)
    platform.submit(COMPILED, name="nightly")
    workspace.answers.append((200, {}, b"{half an answer"))
    with pytest.raises(SubmitError) as caught:
        platform.submit(COMPILED, name="nightly")
    assert caught.value.condition == "PLATFORM_UNREACHABLE"
    platform.submit(COMPILED, name="nightly")
    assert len(workspace.runs) == 1


def test_cancel__may_be_repeated(workspace: Workspace) -> None:
    platform = open_platform(workspace)
    run = platform.submit(COMPILED, name="nightly")
    for _ in range(2):
        platform.cancel(run.run_id)
        assert platform.get_status(run.run_id).state == "canceled"
    assert platform.get_status(run.run_id).message.startswith("Run cancelled")


@pytest.mark.parametrize("status", [429, 503])
def test_requests__a_busy_workspace_is_asked_again(workspace: Workspace, status: int) -> None:
    platform = open_platform(workspace)
    busy = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "too many"}
    workspace.answers += [(status, {"Retry-After": "0"}, busy)] * 2
    assert platform.submit(COMPILED, name="nightly").run_id in map(str, workspace.runs)


def test_requests__a_workspace_that_stays_busy(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "RETRY_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(submit, "LONGEST_WAIT_SECONDS", 0.2)
    busy = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "too many"}
    workspace.answers += [(429, {"Retry-After": "3600"}, busy)] * 20
    with pytest.raises(SubmitError) as caught:
        open_platform(workspace).submit(COMPILED, name="nightly")
    assert caught.value.condition == "PLATFORM_UNREACHABLE"


def error(code: str) -> dict[str, str]:
    return {"error_code": code, "message": f"it says {code}"}


@pytest.mark.parametrize(
    ("answer", "condition"),
    [
        ((401, error("UNAUTHENTICATED")), "PLATFORM_DENIED"),
        ((403, error("PERMISSION_DENIED")), "PLATFORM_DENIED"),
        ((400, error("INVALID_PARAMETER_VALUE")), "RUN_REFUSED"),
        ((404, error("RESOURCE_DOES_NOT_EXIST")), "RUN_REFUSED"),
        ((404, b"<html>no such page</html>"), "PLATFORM_UNREACHABLE"),
        ((500, error("INTERNAL_ERROR")), "PLATFORM_UNREACHABLE"),
        ((502, b"bad gateway"), "PLATFORM_UNREACHABLE"),
        ((200, b"<html>log in</html>"), "PLATFORM_UNREACHABLE"),
        ((200, []), "PLATFORM_UNREACHABLE"),
        ((200, {}), "PLATFORM_UNREACHABLE"),
    ],
)
def test_submit__errors(workspace: Workspace, answer: tuple[int, Any], condition: str) -> None:
    workspace.answers.append((answer[0], {}, answer[1]))
    with pytest.raises(SubmitError) as caught:
        open_platform(workspace).submit(COMPILED, name="nightly")
    assert caught.value.condition == condition
    assert caught.value.attributes["host"] == workspace.url
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["get_status", "cancel"])
def test_run__that_the_workspace_lost(workspace: Workspace, method: str) -> None:
    with pytest.raises(SubmitError) as caught:
        getattr(open_platform(workspace), method)("77")
    assert caught.value.condition == "RUN_NOT_FOUND"
    assert caught.value.attributes == {"run_id": "77"}


def test_platform__nobody_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(submit, "RETRY_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(submit, "PROBE_TIMEOUT_SECONDS", 1)
    with databricks_workspace(tmp_path) as gone:
        pass
    for name, value in gone.client_environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SubmitError) as caught:
        open_platform(gone).submit(COMPILED, name="nightly")
    assert caught.value.condition == "PLATFORM_UNREACHABLE"
    assert caught.value.attributes == {"host": gone.url, "was_sent": False}


def test_platform__gone_after_a_try_may_have_done_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "LONGEST_WAIT_SECONDS", 0.1)
    busy = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "too many"}
    workspace.answers.append((503, {"Retry-After": "1"}, busy))
    workspace.last_request = 1
    with pytest.raises(SubmitError) as caught:
        open_platform(workspace).submit(COMPILED, name="nightly")
    assert "Connection refused" in caught.value.message
    assert caught.value.attributes["was_sent"] is True


def test_platform__wrong_token(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-of-somebody-else")
    with pytest.raises(SubmitError) as caught:
        open_platform(workspace).submit(COMPILED, name="nightly")
    assert caught.value.condition == "PLATFORM_DENIED"
    assert "somebody-else" not in str(caught.value)


def test_platform__host_without_token(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRICKS_TOKEN")
    with pytest.raises(SubmitError) as caught:
        open_platform(workspace).submit(COMPILED, name="nightly")
    assert caught.value.condition == "PLATFORM_DENIED"


def test_platform__token_of_another_host_is_sent_nowhere(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", HOST)
    with pytest.raises(SubmitError) as caught:
        open_platform(workspace).submit(COMPILED, name="nightly")
    assert caught.value.condition == "PLATFORM_DENIED"
    assert workspace.requests == []


def test_platform__profile_of_the_host(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in workspace.client_environment:
        monkeypatch.delenv(name)
    file = tmp_path / ".databrickscfg"
    file.write_text(
        f"[DEFAULT]\nhost = {HOST}\ntoken = other\n"
        f"[mine]\nhost = {workspace.url}\ntoken = {TOKEN}\n"
    )
    run = open_platform(workspace).submit(COMPILED, name="nightly")
    assert workspace.get_run(int(run.run_id)).name == "nightly"


def test_platform__without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as caught:
        platform_for(COMPUTE).get_status("1")
    assert caught.value.condition == "DATABRICKS_SDK_MISSING"


@pytest.mark.parametrize(
    ("variables", "profile"),
    [
        ({"DATABRICKS_HOST": HOST}, None),
        ({"DATABRICKS_HOST": "ADB-1.2.azuredatabricks.net/"}, None),
        ({"DATABRICKS_CONFIG_FILE": "FILE"}, "second"),
        (
            {
                "DATABRICKS_HOST": HOST,
                "DATABRICKS_CONFIG_FILE": "FILE",
                "DATABRICKS_CONFIG_PROFILE": "third",
            },
            "third",
        ),
        ({"DATABRICKS_CONFIG_FILE": "FILE", "DATABRICKS_CONFIG_PROFILE": "third"}, "third"),
    ],
)
def test_credentials__found(tmp_path: Path, variables: dict[str, str], profile: str | None) -> None:
    file = tmp_path / "file"
    file.write_text(
        f"[first]\nhost = https://other\n[second]\nhost = {HOST}/\n[third]\nhost = {HOST}\n"
    )
    given = {name: str(file) if value == "FILE" else value for name, value in variables.items()}
    assert find_profile(HOST, given) == profile


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DATABRICKS_TOKEN": "without a host"},
        {"DATABRICKS_HOST": "https://adb-1.2.azuredatabricks.net.evil.example"},
        {"DATABRICKS_HOST": "http://adb-1.2.azuredatabricks.net"},
        {"DATABRICKS_CONFIG_FILE": "FILE", "DATABRICKS_CONFIG_PROFILE": "first"},
        {"DATABRICKS_CONFIG_FILE": "FILE", "DATABRICKS_CONFIG_PROFILE": "missing"},
        {"DATABRICKS_CONFIG_FILE": "FILE", "DATABRICKS_TOKEN": "of another host"},
        {
            "DATABRICKS_HOST": HOST,
            "DATABRICKS_CONFIG_FILE": "FILE",
            "DATABRICKS_CONFIG_PROFILE": "first",
        },
        {"DATABRICKS_CONFIG_FILE": "DAMAGED"},
    ],
)
def test_credentials__none_for_this_host(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "FILE").write_text(f"[first]\nhost = https://other\n[second]\nhost = {HOST}\n")
    (tmp_path / "DAMAGED").write_text("host = no section")
    files = {"DATABRICKS_CONFIG_FILE"}
    given = {
        name: str(tmp_path / value) if name in files else value for name, value in variables.items()
    }
    with pytest.raises(SubmitError) as caught:
        find_profile(HOST, given)
    assert caught.value.condition == "PLATFORM_DENIED"
    assert "for it" not in caught.value.message.partition(": ")[0]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"state": {"life_cycle_state": "QUEUED"}}, ("pending", "")),
        ({"state": {"life_cycle_state": "WAITING_FOR_RETRY"}}, ("pending", "")),
        ({"state": {"life_cycle_state": "TERMINATING"}}, ("running", "")),
        ({"status": {"state": "BLOCKED"}}, ("pending", "")),
        (
            {"status": {"state": "TERMINATED", "termination_details": {"code": "SUCCESS"}}},
            ("succeeded", ""),
        ),
        (
            {
                "status": {
                    "state": "TERMINATED",
                    "termination_details": {"code": "USER_CANCELED", "message": "by a user"},
                }
            },
            ("canceled", "by a user"),
        ),
        (
            {
                "status": {
                    "state": "TERMINATED",
                    "termination_details": {"code": "CLUSTER_ERROR", "message": "no machines"},
                }
            },
            ("failed", "no machines (CLUSTER_ERROR)"),
        ),
        (
            {"state": {"life_cycle_state": "TERMINATED", "result_state": "TIMEDOUT"}},
            ("failed", "TIMEDOUT"),
        ),
        (
            {"state": {"life_cycle_state": "INTERNAL_ERROR", "state_message": "Task failed"}},
            ("failed", "Task failed (INTERNAL_ERROR)"),
        ),
        (
            {"state": {"life_cycle_state": "NEWER_WORD"}},
            ("unknown", "the platform says NEWER_WORD"),
        ),
        ({"state": None, "tasks": None}, ("unknown", "the platform says nothing")),
        (
            {
                "state": {"life_cycle_state": "RUNNING"},
                "tasks": [{"state": {"life_cycle_state": "PENDING", "state_message": "waiting"}}],
            },
            ("pending", "waiting"),
        ),
        (
            {
                "state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED"},
                "tasks": [{"state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED"}}],
            },
            ("failed", "FAILED"),
        ),
    ],
)
def test_status__words_of_the_platform(run: dict[str, Any], expected: tuple[str, str]) -> None:
    status = read_status(run)
    assert (status.state, status.message) == expected


WORDS = st.sampled_from(["TERMINATED", "RUNNING", "SUCCESS", "CANCELED", "https://h/#job", "?"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, ANYTHING))
def test_status__of_any_answer(run: dict[str, Any]) -> None:
    status = read_status(run)
    assert status.state in get_args(RunState)
    assert status.url is None or status.url.startswith("https://")
    assert isinstance(status.message, str)


def test_status__only_links_are_links() -> None:
    assert read_status({"run_page_url": "javascript:alert(1)"}).url is None
    assert read_status({"run_page_url": f"{HOST}/#job"}).url == f"{HOST}/#job"


def test_token__is_short_and_tells_jobs_apart() -> None:
    body = json.loads(COMPILED.files["submit.json"])
    other = json.loads(COMPILED.files["submit.json"])
    other["tasks"][0]["spark_python_task"]["parameters"] = ["s3://elsewhere/launch.json"]
    tokens = {make_token(name, body) for name in ("a", "b", "x" * 200, "x" * 201)}
    tokens.add(make_token("a", other))
    assert len(tokens) == 5
    assert all(len(token) <= 64 and token.isascii() for token in tokens)
    assert make_token("a", body) == make_token("a", json.loads(COMPILED.files["submit.json"]))
