"""Whole runs: an operator on the tests' server starts, repeats and ends real processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.targets.base import RemoteStatus
from sparkscore.targets.kubernetes import platform_for
from tests.servers.kubernetes import KubernetesServer, kubernetes_server
from tests.servers.operator_words import AskedRun
from tests.servers.spark_operator import MakeCommand, find_in_image, spark_operator
from tests.targets.kubernetes_samples import IMAGE, compile_sample

DEADLINE_SECONDS = 60.0
KEY = ("sparkoperator.k8s.io", "default", "nightly")
EACH_OPERATOR = pytest.mark.parametrize("operator", ["kubeflow", "apache"])
SECRETS = {"environment_from_secrets": ["store"]}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesServer]:
    with kubernetes_server() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.write_kubeconfig(tmp_path / "config")))
        yield server


def run_python(code: str) -> MakeCommand:
    """A driver that is a few lines of Python; it gets the arguments of the real one."""

    def make_command(asked: AskedRun, folder: Path) -> list[str]:
        assert find_in_image(asked.entry_point).is_file()
        return [sys.executable, "-c", code, *asked.arguments]

    return make_command


def run_job(until: str, **compute: Any) -> RemoteStatus:
    """Submit the job and wait until it has the state."""
    platform = platform_for({"image": IMAGE, **compute})
    run = platform.submit(compile_sample(compute=compute), name="nightly")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (status := platform.get_status(run.run_id)).state != until:
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


@EACH_OPERATOR
def test_run__completes(server: KubernetesServer, tmp_path: Path, operator: str) -> None:
    server.secrets["store"] = {"STORE_KEY": "a-key"}
    code = "import os, sys; print(sys.argv[1], os.environ['STORE_KEY'])"
    with spark_operator(server, tmp_path, make_command=run_python(code)):
        status = run_job("succeeded", operator=operator, **SECRETS)
    assert status.message == {"kubeflow": "COMPLETED", "apache": "Succeeded"}[operator]
    log = server.logs["default", "nightly-driver"]
    assert log == "s3://bucket/staging/nightly/launch.json a-key\n"


@EACH_OPERATOR
def test_run__is_repeated_after_a_failure(
    server: KubernetesServer, tmp_path: Path, operator: str
) -> None:
    code = (
        "import sys, pathlib\n"
        "mark = pathlib.Path('mark')\n"
        "if mark.exists(): sys.exit(0)\n"
        "mark.touch()\n"
        "sys.exit(1)\n"
    )
    with spark_operator(server, tmp_path, make_command=run_python(code)):
        assert run_job("succeeded", operator=operator).state == "succeeded"
    assert sorted(file.name for file in tmp_path.glob("*.log")) == [
        "nightly-driver-0.log",
        "nightly-driver-1.log",
    ]


@EACH_OPERATOR
def test_run__fails_when_retries_are_used_up(
    server: KubernetesServer, tmp_path: Path, operator: str
) -> None:
    code = "import sys; print('sparkscore: NO_SUCCESSFUL_INPUT: none of 8'); sys.exit(4)"
    with spark_operator(server, tmp_path, make_command=run_python(code)):
        status = run_job("failed", operator=operator)
    word = {"kubeflow": "FAILED", "apache": "Failed"}[operator]
    assert status.message.split("; ") == [
        f"{word}: driver container failed with ExitCode: 4, Reason: Error",
        "pod nightly-driver: Error, exit code 4",
        "its log ends with: sparkscore: NO_SUCCESSFUL_INPUT: none of 8",
    ]
    assert len(list(tmp_path.glob("*.log"))) == 2


@pytest.mark.parametrize(
    ("compute", "reason"),
    [({"image": "another:1"}, "ImagePullBackOff"), (SECRETS, "CreateContainerConfigError")],
)
def test_run__waits_for_what_is_missing(
    server: KubernetesServer, tmp_path: Path, compute: dict[str, Any], reason: str
) -> None:
    platform = platform_for({"image": IMAGE})
    with spark_operator(server, tmp_path, make_command=run_python("")):
        run = platform.submit(compile_sample(compute=compute), name="nightly")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while reason not in (status := platform.get_status(run.run_id)).message:
            assert time.monotonic() < deadline, status
            time.sleep(0.05)
    assert status.state == "pending"


def test_cancel__ends_the_driver(server: KubernetesServer, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('told', flush=True)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    platform = platform_for({"image": IMAGE})
    with spark_operator(server, tmp_path, make_command=run_python(code)) as operator:
        run_job("running")
        log = tmp_path / "nightly-driver-0.log"
        deadline = time.monotonic() + DEADLINE_SECONDS
        while "ready" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        platform.cancel("default/nightly")
        assert operator.processes[KEY].wait(DEADLINE_SECONDS) == 0
        assert log.read_text() == "ready\ntold\n"
    assert server.resources == {}
