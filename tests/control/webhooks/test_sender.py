"""The process that sends webhooks: real receivers, and none."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.webhooks import request
from sparkscore.control.webhooks.outbox import Delivery, Outbox
from sparkscore.control.webhooks.sender import DELAYS_SECONDS, GIVE_UP_SECONDS, Courier
from sparkscore.control.workspace_config import CONFIG_FILE
from tests.servers.receiver import SECRET, Receiver, receiving

ENVIRONMENT = {"HOOK_SECRET": SECRET}


class Clock:
    """Time that passes when somebody sleeps."""

    now = 1_000_000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds * 60


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(tmp_path: Path, receiver: Receiver) -> Outbox:
    """That of a workspace that knows the receiver as ``team``."""
    configure(tmp_path, receiver.url)
    (tmp_path / "job").mkdir()
    return Outbox(tmp_path)


def configure(folder: Path, url: str) -> None:
    text = f'[webhooks.team]\nurl = "{url}"\nsecret_variable = "HOOK_SECRET"\n'
    (folder / CONFIG_FILE).write_text(text)


def put(outbox: Outbox, clock: Clock, name: str = "a", **changes: Any) -> Delivery:
    delivery = Delivery(
        **{
            "id": f"msg_{name}",
            "webhook": "team",
            "job": "job",
            "job_folder": str(outbox.folder.parent / "job"),
            "type": "job.completed",
            "body": '{"type":"job.completed"}',
            "made_at": clock.now,
            "next_at": clock.now,
            **changes,
        }
    )
    outbox.put(delivery)
    return delivery


def run(outbox: Outbox, clock: Clock, **environment: str) -> None:
    Courier(
        outbox,
        "team",
        environment=environment or ENVIRONMENT,
        clock=lambda: clock.now,
        sleep=clock.sleep,
    ).run()


def read_outcomes(outbox: Outbox) -> list[dict[str, Any]]:
    text = (outbox.folder.parent / "job" / "webhooks.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_message__is_signed_and_taken(outbox: Outbox, receiver: Receiver, clock: Clock) -> None:
    put(outbox, clock)
    run(outbox, clock)
    (received,) = receiver.received
    assert received.path == "/jobs?key=a"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-timestamp"] == "1000000"
    assert received.id == "msg_a"
    assert received.is_signed_with(SECRET)
    assert outbox.list_waiting("team") == []
    (outcome,) = read_outcomes(outbox)
    assert (outcome["outcome"], outcome["status"], outcome["attempt"]) == ("delivered", 204, 1)
    assert (outcome["webhook"], outcome["id"]) == ("team", "msg_a")
    assert "key=a" not in json.dumps(outcome)


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_receiver__that_fails_is_tried_again(
    outbox: Outbox, receiver: Receiver, clock: Clock, status: int
) -> None:
    receiver.answers = [(status, {"Location": "/elsewhere"})] * 3
    put(outbox, clock)
    run(outbox, clock)
    assert {one.id for one in receiver.received} == {"msg_a"}
    assert {one.path for one in receiver.received} == {"/jobs?key=a"}
    assert len(receiver.received) == 4
    times = [int(one.headers["webhook-timestamp"]) for one in receiver.received]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= int(delay) for gap, delay in zip(gaps, DELAYS_SECONDS, strict=False))
    assert all(one.is_signed_with(SECRET) for one in receiver.received)
    outcomes = read_outcomes(outbox)
    assert [one["outcome"] for one in outcomes] == [*["failed"] * 3, "delivered"]
    assert [one["status"] for one in outcomes] == [*[status] * 3, 204]
    assert outcomes[0]["next_attempt_at"] > outcomes[0]["at"]


def test_receiver__says_when_it_wants_to_be_asked(
    outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [(503, {"Retry-After": "900"}), (503, {"Retry-After": "soon"})]
    put(outbox, clock)
    run(outbox, clock)
    first, second, third = (int(one.headers["webhook-timestamp"]) for one in receiver.received)
    assert second - first >= 900
    assert third - second >= DELAYS_SECONDS[1]


def test_receiver__that_is_gone_is_given_up(
    outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [(410, {})]
    put(outbox, clock)
    run(outbox, clock)
    assert [one["outcome"] for one in read_outcomes(outbox)] == ["given up"]
    assert outbox.list_waiting("team") == []


def test_receiver__that_never_answers_is_given_up_after_days(outbox: Outbox, clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    configure(outbox.folder.parent, f"http://127.0.0.1:{port}/")
    begun = clock.now
    put(outbox, clock)
    put(outbox, clock, "b", made_at=clock.now + 1)
    run(outbox, clock)
    outcomes = read_outcomes(outbox)
    given_up = [one["id"] for one in outcomes if one["outcome"] == "given up"]
    assert sorted(given_up) == ["msg_a", "msg_b"]
    assert GIVE_UP_SECONDS - 2 * DELAYS_SECONDS[-1] < clock.now - begun < GIVE_UP_SECONDS * 2
    # While nobody answers for the one, the other one leaves it alone too.
    assert 60 < len(outcomes) < 90
    assert {one["status"] for one in outcomes} == {None}
    assert "not reached" in outcomes[0]["problem"]


def test_receiver__that_drips_holds_nobody_up_for_ever(
    outbox: Outbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "LIMIT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        configure(outbox.folder.parent, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        put(outbox, clock, made_at=clock.now - GIVE_UP_SECONDS)
        run(outbox, clock)
    (outcome,) = read_outcomes(outbox)
    assert (outcome["outcome"], outcome["problem"]) == ("given up", "no answer within 0.2 s")


@pytest.mark.parametrize("environment", [{"OTHER": "x"}, {"HOOK_SECRET": "short"}])
def test_secret__that_is_missing_leaves_it_to_another_process(
    outbox: Outbox, receiver: Receiver, clock: Clock, environment: dict[str, str]
) -> None:
    put(outbox, clock)
    run(outbox, clock, **environment)
    assert receiver.received == []
    assert len(outbox.list_waiting("team")) == 1
    (outcome,) = read_outcomes(outbox)
    assert (outcome["outcome"], outcome["attempt"]) == ("waiting", 0)
    assert "HOOK_SECRET" in outcome["problem"]
    run(outbox, clock)
    assert len(receiver.received) == 1


def test_webhook__that_is_taken_out_of_the_settings(
    outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    put(outbox, clock)
    (outbox.folder.parent / CONFIG_FILE).write_text("")
    run(outbox, clock)
    assert receiver.received == []
    assert [one["outcome"] for one in read_outcomes(outbox)] == ["dropped"]
    assert outbox.list_waiting("team") == []


def test_job_folder__that_is_gone_hinders_nothing(
    outbox: Outbox, receiver: Receiver, clock: Clock, tmp_path: Path
) -> None:
    put(outbox, clock, job_folder=str(tmp_path / "pruned"))
    run(outbox, clock)
    assert len(receiver.received) == 1
    assert not (tmp_path / "pruned").exists()


def test_files__that_are_none_of_ours_are_left(
    outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    put(outbox, clock)
    folder = outbox.folder / "waiting" / "team"
    (folder / "half.json").write_text('{"id": ')
    (folder / "other.json").write_text('{"kind": 1}')
    run(outbox, clock)
    assert len(receiver.received) == 1
    assert outbox.list_webhooks() == []


def test_sender__is_one_for_each_webhook(outbox: Outbox, receiver: Receiver, clock: Clock) -> None:
    put(outbox, clock)
    with outbox.serving("team") as is_alone:
        assert is_alone
        run(outbox, clock)
        assert receiver.received == []
    run(outbox, clock)
    assert len(receiver.received) == 1


def test_sender__is_a_small_process_that_ends(
    outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    put(outbox, clock, next_at=0.0)
    code = (
        "import sys; from sparkscore.control.webhooks import sender\n"
        "code = sender.main(sys.argv[1:])\n"
        "heavy = {'pydantic', 'sqlalchemy', 'yaml', 'pandas', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(code or ','.join(sorted(heavy)) or 0)"
    )
    command = [sys.executable, "-c", code, str(outbox.folder.parent)]
    subprocess.run(command, env={**os.environ, **ENVIRONMENT}, timeout=60, check=True)
    assert len(receiver.received) == 1


def test_sender__finds_what_comes_while_it_gives_the_lock_back(
    outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    original = outbox.serving

    @contextmanager
    def serving(webhook: str) -> Iterator[bool]:
        with original(webhook) as is_alone:
            yield is_alone
            if len(receiver.received) == 1:
                put(outbox, clock, "b")

    outbox.serving = serving  # type: ignore[method-assign]
    put(outbox, clock)
    run(outbox, clock)
    assert [one.id for one in receiver.received] == ["msg_a", "msg_b"]
