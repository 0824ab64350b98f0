"""The server tells of ends of jobs too: those it starts, and those that were left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control.webhooks.outbox import Outbox
from sparkscore.control.workspace import Workspace
from sparkscore.control.workspace_config import CONFIG_FILE
from tests.rest.processes import serving_process
from tests.rest.serving import Client
from tests.rest.test_own_api import STORE, wait_for
from tests.servers.receiver import SECRET, Receiver, receiving


@pytest.fixture
def receiver(workspace: Workspace) -> Iterator[Receiver]:
    """One that the workspace's ``sparkscore.toml`` names."""
    file = workspace.folder / CONFIG_FILE
    text = file.read_text().replace("log_jobs = true", "log_jobs = false")
    with receiving() as found:
        file.write_text(
            f'{text}\n[webhooks.team]\nurl = "{found.url}"\nsecret_variable = "HOOK_SECRET"\n'
        )
        yield found
        file.write_text(text)


def start_job(url: str) -> str:
    answer = Client(url, "/api/v1").post("/endpoints/mood/invoke", {"input": f"{STORE}/in"})
    assert answer.status == 201, answer.raw
    name: str = answer.json["name"]
    return name


def read_outcomes(workspace: Workspace, name: str) -> str:
    file: Path = workspace.jobs.get_local_folder(name) / "webhooks.jsonl"
    return file.read_text() if file.exists() else ""


@pytest.mark.slow
def test_server__tells_of_jobs_and_of_what_was_left(
    workspace: Workspace, receiver: Receiver
) -> None:
    with serving_process(workspace.folder, "--no-auth") as served:
        name = start_job(served.url)
        wait_for(lambda: '"waiting"' in read_outcomes(workspace, name))
    assert receiver.received == []
    environment = {"HOOK_SECRET": SECRET}
    with serving_process(workspace.folder, "--no-auth", environment=environment) as served:
        wait_for(lambda: receiver.received)
        other = start_job(served.url)
        wait_for(lambda: '"delivered"' in read_outcomes(workspace, other))
        listed = Client(served.url, "/api/v1").get(f"/jobs/{other}/files").json["value"]
        assert "artifacts/webhooks.jsonl" in [one["path"] for one in listed]
    assert [one.content["data"]["name"] for one in receiver.received] == [name, other]
    assert all(one.is_signed_with(SECRET) for one in receiver.received)
    assert receiver.received[0].content["data"]["url"].startswith("http://127.0.0.1:")
    wait_for(lambda: not Outbox(workspace.folder).list_webhooks())
