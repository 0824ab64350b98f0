"""Logs of jobs over HTTP: so far, and followed to the job's end."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sparkscore.control.workspace import Workspace
from tests.rest.serving import Client
from tests.rest.test_own_api import STORE, wait_for

SCRIPT_LOG = "logs/user/stdout/worker.txt"


@pytest.fixture
def running(api: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a job that runs until there is a file ``go`` in it."""
    monkeypatch.setenv("FAKE_DRIVER", "wait_for_go")
    name = api.post("/endpoints/mood/invoke", {"input": f"{STORE}/in"}).json["name"]
    wait_for(lambda: api.get(f"/jobs/{name}").json["status"] == "Running")
    folder = workspace.jobs.get_local_folder(name)
    (folder / SCRIPT_LOG).parent.mkdir(parents=True)
    say(folder, "[mb 000001 try 1] one")
    return folder


def say(folder: Path, text: str, *, end: str = "\n") -> None:
    with (folder / SCRIPT_LOG).open("a") as log:
        log.write(f"{text}{end}")


@contextmanager
def following(
    server: str, path: str, **headers: str
) -> Iterator[tuple[http.client.HTTPResponse, Iterator[str]]]:
    """A response and its lines as they come."""
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)
    connection.request("GET", f"/api/v1{path}", headers=headers)
    with connection.getresponse() as response:
        yield response, (line.decode().rstrip("\n") for line in response)
    connection.close()


def read_until(lines: Iterator[str], text: str) -> list[str]:
    """The lines up to the first with the text."""
    read = []
    for line in lines:
        read.append(line)
        if text in line:
            return read
    raise AssertionError(f"{text} never came: {read}")


def test_follow__gives_lines_as_they_come_and_ends_with_the_job(server: str, running: Path) -> None:
    path = f"/jobs/{running.name}/logs?follow=true"
    with following(server, path) as (response, lines):
        assert response.getheader("Content-Type") == "text/plain; charset=utf-8"
        read = read_until(lines, "one")
        assert f"==> {SCRIPT_LOG} <==" in read
        say(running, "[mb 000002 try 1] two")
        assert read_until(lines, "two")[-1] == "[mb 000002 try 1] two"
        say(running, "[mb 000002 try 1] half", end="")
        say(running, " and half")
        assert read_until(lines, "half")[-1].endswith("half and half")
        say(running, "last, without an end", end="")
        (running / "go").touch()
        assert list(lines)[-1] == "last, without an end"


def test_follow__one_mini_batch(server: str, running: Path) -> None:
    path = f"/jobs/{running.name}/logs?follow=true&mini_batch=2"
    with following(server, path) as (_, lines):
        say(running, "[mb 000002 try 1] two")
        assert read_until(lines, "two") == [f"==> {SCRIPT_LOG} <==", "[mb 000002 try 1] two"]
        (running / "go").touch()
        assert list(lines) == []


def test_follow__as_events(server: str, running: Path) -> None:
    path = f"/jobs/{running.name}/logs?follow=true"
    with following(server, path, Accept="text/event-stream") as (response, lines):
        assert response.getheader("Content-Type", "").startswith("text/event-stream")
        read = read_until(lines, "one")
        assert read[0] == "event: lines"
        assert {line.partition(":")[0] for line in read} <= {"event", "data", ""}
        say(running, "50 %\r60 %\rdata: fake\revent: end")
        (running / "go").touch()
        rest = list(lines)
    said = rest.index("data: 50 %")
    assert rest[said + 1 : said + 4] == ["data: 60 %", "data: data: fake", "data: event: end"]
    assert rest[-3:-1] == ["event: end", f"data: {json.dumps({'status': 'Completed'})}"]


def test_follow__of_an_ended_job_is_what_there_is(api: Client, running: Path) -> None:
    (running / "go").touch()
    wait_for(lambda: api.get(f"/jobs/{running.name}").json["end_time"])
    path = f"/jobs/{running.name}/logs"
    whole = api.get(path)
    # The launcher may still be leaving.
    assert api.get(f"{path}?follow=true").raw[-20:] == whole.raw[-20:]
    assert api.get(f"{path}?mini_batch=1").raw.decode().splitlines()[1:] == [
        "[mb 000001 try 1] one"
    ]
    assert api.get(f"{path}?mini_batch=3").raw == b""
    beyond = api.get(f"{path}?mini_batch=4")
    assert (beyond.status, beyond.code) == (404, "MINI_BATCH_NOT_FOUND")
    assert api.get(f"{path}?follow=true&mini_batch=4").code == "MINI_BATCH_NOT_FOUND"
    assert api.get(f"{path}?mini_batch=-1").code == "INVALID_REQUEST"
    assert api.get("/jobs/none/logs?follow=true").code == "JOB_NOT_FOUND"


def test_follow__a_hundred_at_once_hold_nobody_up(server: str, api: Client, running: Path) -> None:
    path = f"/jobs/{running.name}/logs?follow=true"

    def follow(_: int) -> list[str]:
        with following(server, path) as (_response, lines):
            read = read_until(lines, "one")
            return [*read, *lines]

    with ThreadPoolExecutor(100) as pool:
        followers = [pool.submit(follow, number) for number in range(100)]
        try:
            assert api.get(f"/jobs/{running.name}").json["status"] == "Running"
            say(running, "[mb 000002 try 1] two")
            assert api.get("/endpoints").status == 200
        finally:
            (running / "go").touch()
        assert all("[mb 000002 try 1] two" in follower.result(60) for follower in followers)


def test_follow__by_who_goes_away(server: str, api: Client, running: Path) -> None:
    for _ in range(60):
        with following(server, f"/jobs/{running.name}/logs?follow=true") as (_response, lines):
            read_until(lines, "one")
    assert api.get(f"/jobs/{running.name}/logs").status == 200
    (running / "go").touch()
