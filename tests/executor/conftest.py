"""Scoring scripts and the processes that run them, without Spark."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.host_environment import host_environment
from sparkscore.executor.host_launch import HostLaunch
from sparkscore.executor.inputs import InputStage
from sparkscore.executor.runner import MiniBatchRunner
from sparkscore.executor.script_host import ScriptHost
from sparkscore.executor.script_log import ScriptLog, open_script_log
from sparkscore.messages.launch import ScoringMessage
from tests.launches import make_scoring as scoring_message

MakeScoring = Callable[..., ScoringMessage]
MakeRunner = Callable[..., MiniBatchRunner]


@pytest.fixture
def make_scoring(tmp_path: Path) -> MakeScoring:
    """Writes a scoring script and gives the message to run it; ``init`` is added if missing."""

    def make(script: str, **changes: object) -> ScoringMessage:
        code = tmp_path / "code"
        code.mkdir(exist_ok=True)
        text = textwrap.dedent(script)
        if "def init" not in text:
            text += "\ndef init():\n    pass\n"
        (code / "score.py").write_text(text)
        message: dict[str, object] = {
            "model_folder": str(tmp_path / "model"),
            "code_folder": str(code),
            "mini_batch_size": 4,
            "timeout_seconds": 10,
            "init_timeout_seconds": 20,
        }
        return scoring_message(**message | changes)

    return make


@pytest.fixture
def script_host(tmp_path: Path) -> Iterator[ScriptHost]:
    """A host whose guard is opened by its first use and ended afterwards."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    launch = HostLaunch(
        environment, str(tmp_path), str(tmp_path / "stdout.txt"), str(tmp_path / "stderr.txt")
    )
    host = ScriptHost()
    host.use(launch)
    yield host
    host.close()


@pytest.fixture
def script_log(tmp_path: Path) -> Iterator[ScriptLog]:
    """The log of a worker's scripts below the test's folder."""
    log = open_script_log(str(tmp_path / "logs"), raw=str(tmp_path / ".log"))
    yield log
    log.close()


@pytest.fixture
def make_runner(tmp_path: Path, script_log: ScriptLog) -> Iterator[MakeRunner]:
    """Runners over real guards and hosts, all ended afterwards."""
    opened: list[MiniBatchRunner] = []
    hosts: list[ScriptHost] = []

    def make(scoring: ScoringMessage) -> MiniBatchRunner:
        folders = AttemptFolders(str(tmp_path / "files"))
        environment = host_environment(
            scoring,
            worker=os.environ,
            input_root=str(tmp_path),
            output_folder=folders.current,
            cpus=1,
        )
        launch = HostLaunch(
            environment,
            str(tmp_path),
            script_log.stdout,
            script_log.stderr,
            python=sys.executable,
            memory_limit_bytes=scoring.memory_limit_bytes,
            stack=script_log.stack,
            log=script_log.order,
        )
        host = ScriptHost()
        host.use(launch, on_wait=script_log.follow)
        hosts.append(host)
        runner = MiniBatchRunner(host, scoring, folders=folders, log=script_log)
        opened.append(runner)
        return runner

    yield make
    for runner in opened:
        runner.close()
    for host in hosts:
        host.close()


@pytest.fixture
def inputs(tmp_path: Path) -> InputStage:
    """Inputs that lie below the test's folder."""
    return InputStage(str(tmp_path), "direct", scratch=str(tmp_path))
