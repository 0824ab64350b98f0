"""Runs of which nobody knows whether the platform took them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs import remote_run
from sparkscore.control.jobs.remote_compile import open_platform
from sparkscore.control.jobs.remote_run import RemoteHooks, _ask_for_run
from sparkscore.control.jobs.remote_store import RemoteStore
from sparkscore.control.watch import Cancellation
from sparkscore.errors import CanceledError, SubmitError
from sparkscore.messages.launch import CANCEL_FILE
from sparkscore.state import JobRecord
from sparkscore.targets.kubernetes import cluster
from tests.control.jobs.conftest import make_record
from tests.servers.kubernetes import KubernetesServer, kubernetes_server
from tests.targets.kubernetes_samples import IMAGE, compile_sample


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesServer]:
    with kubernetes_server() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.write_kubeconfig(tmp_path / "config")))
        monkeypatch.setattr(cluster, "_PAUSES_SECONDS", (0.01,))
        monkeypatch.setattr(remote_run, "SUBMIT_PAUSES_SECONDS", (0.01, 0.02))
        yield server


def make_job(**remote: Any) -> JobRecord:
    return make_record("nightly", remote={"platform": "kubernetes", "run": 0, **remote})


def ask(
    record: JobRecord, *, cancels: bool = False, context: str = "tests", told: Any = None
) -> Any:
    """``cancels``: while the launcher waits to ask again; ``told`` gets the record's messages."""
    cancellation = Cancellation()

    def note(change: Callable[[JobRecord], JobRecord]) -> JobRecord:
        changed = change(record)
        if told is not None and changed.remote is not None:
            told.append(changed.remote["message"])
        return changed

    hooks = RemoteHooks(
        change=note,
        poll=cancellation.request if cancels else lambda: None,
        say=lambda text: None,
        cancellation=cancellation,
        open_platform=open_platform,
    )
    document = {"type": "kubernetes", "image": IMAGE, "namespace": "scoring", "context": context}
    platform = open_platform(document)
    compiled = compile_sample(compute={"namespace": "scoring"})
    store = RemoteStore("memory://jobs/nightly", {})
    return _ask_for_run(record, compiled, platform, store, hooks)


def test_submit__lost_answers_are_asked_for_again(server: KubernetesServer, files: Any) -> None:
    server.lost_answers = 3
    assert ask(make_job()).run_id == "scoring/nightly"
    assert len(server.resources) == 1
    assert files.store == {}


def test_submit__out_of_reach_for_good(server: KubernetesServer, files: Any) -> None:
    server.faults = [(503, {})] * 6
    with pytest.raises(SubmitError) as caught:
        ask(make_job(run=2))
    assert caught.value.condition == "PLATFORM_UNREACHABLE"
    assert "nightly-r2" in caught.value.message
    content = files.cat_file(f"/jobs/nightly/{CANCEL_FILE}")
    assert json.loads(content)["run"] == 2
    assert server.faults == []


def test_submit__refused_after_a_lost_answer(server: KubernetesServer, files: Any) -> None:
    server.faults = [(503, {}), (503, {}), (403, {})]
    with pytest.raises(SubmitError) as caught:
        ask(make_job())
    assert caught.value.condition == "PLATFORM_DENIED"
    assert files.exists(f"/jobs/nightly/{CANCEL_FILE}")


def test_submit__refused_at_once(server: KubernetesServer, files: Any) -> None:
    server.faults = [(403, {})]
    with pytest.raises(SubmitError):
        ask(make_job())
    assert files.store == {}
    server.faults = [(403, {})]
    with pytest.raises(SubmitError):
        ask(make_job(is_asked_for=True))  # by a launcher that died
    assert files.exists(f"/jobs/nightly/{CANCEL_FILE}")


def test_submit__says_why_it_asks_again(server: KubernetesServer, files: Any) -> None:
    server.faults = [(503, {}), (503, {})]
    told: list[str] = []
    assert ask(make_job(), told=told).run_id == "scoring/nightly"
    (message,) = told
    assert message.startswith("PLATFORM_UNREACHABLE: ")
    assert message.endswith("; asks again")


def test_submit__nothing_was_ever_sent(server: KubernetesServer, files: Any) -> None:
    with pytest.raises(SubmitError) as caught:
        ask(make_job(), context="nowhere")
    assert caught.value.condition == "PLATFORM_UNREACHABLE"
    assert caught.value.attributes["was_sent"] is False
    assert files.store == {}  # no driver needs to be told


def test_cancel__where_nothing_was_ever_sent(server: KubernetesServer, files: Any) -> None:
    told: list[str] = []
    with pytest.raises(CanceledError):
        ask(make_job(), cancels=True, context="nowhere", told=told)
    assert len(told) == 1  # it was not asked again
    assert files.store == {}


def test_cancel__after_an_answer_that_was_lost(server: KubernetesServer, files: Any) -> None:
    """The run is looked for once more, and its driver told to stop, if there is one."""
    server.faults = [(503, {})] * 6
    with pytest.raises(CanceledError) as caught:
        ask(make_job(), cancels=True)
    assert "may have started" in caught.value.message
    assert files.exists(f"/jobs/nightly/{CANCEL_FILE}")
    assert len(server.faults) == 2


def test_cancel__after_an_answer_that_was_lost_of_a_run_that_is_there(
    server: KubernetesServer, files: Any
) -> None:
    server.lost_answers = 2
    assert ask(make_job(), cancels=True).run_id == "scoring/nightly"
    assert files.store == {}
