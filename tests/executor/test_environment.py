"""Script hosts that run in another Python than their worker's, with other packages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sparkscore.control.environments.build import Environment
from sparkscore.control.environments.pack import pack_environment
from sparkscore.errors import StorageError
from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.environment import HostPython, open_environment
from sparkscore.executor.host_environment import host_environment
from sparkscore.executor.host_launch import HostLaunch
from sparkscore.executor.runner import MiniBatchRunner, ScoredMiniBatch
from sparkscore.executor.script_host import ScriptHost
from sparkscore.executor.script_log import ScriptLog
from sparkscore.messages.launch import EnvironmentMessage
from sparkscore.messages.mini_batch import MiniBatch
from tests.built_environments import OWN_PYTHON, get_other_environment, get_other_request

PATHS = ("a.txt", "b.txt", "c.txt")
SCRIPT = """
import sys, ssl, pandas as pd, six

def run(mini_batch):
    row = {"python": "%d.%d" % sys.version_info[:2], "pandas": pd.__version__,
           "six": six.__version__, "prefix": sys.prefix}
    frame = pd.DataFrame([row] * len(mini_batch))
    frame["when"] = pd.Timestamp("2024-02-29 12:00:00.123456")
    frame["kind"] = pd.Categorical(["a"] * len(mini_batch))
    frame["maybe"] = pd.array([None, 2**62 + 1, 3], dtype="Int64")
    return frame
"""

Score = Callable[..., ScoredMiniBatch]


@pytest.fixture
def score(tmp_path: Path, make_scoring: Any, inputs: Any, script_log: ScriptLog) -> Iterator[Score]:
    """Scores one mini-batch with a script in a host of this Python."""
    opened: list[tuple[MiniBatchRunner, ScriptHost]] = []

    def score_with(script: str, python: HostPython, **variables: str) -> ScoredMiniBatch:
        scoring = make_scoring(script, environment_variables=variables)
        folders = AttemptFolders(str(tmp_path / "files"))
        environment = host_environment(
            scoring,
            worker={**os.environ, "VIRTUAL_ENV": sys.prefix},
            input_root=str(tmp_path),
            output_folder=folders.current,
            cpus=1,
        )
        host = ScriptHost()
        launch = HostLaunch(
            python.adapt(environment),
            str(tmp_path),
            script_log.stdout,
            script_log.stderr,
            python=python.path,
            stack=script_log.stack,
            log=script_log.order,
        )
        host.use(launch, on_wait=script_log.follow)
        runner = MiniBatchRunner(host, scoring, folders=folders, log=script_log)
        opened.append((runner, host))
        return runner.score(MiniBatch(1, PATHS), inputs, schema=None)

    yield score_with
    for runner, host in opened:
        runner.close()
        host.close()


def read_rows(scored: ScoredMiniBatch) -> dict[str, list[Any]]:
    assert scored.outcome.status == "succeeded", scored.outcome
    (payload,) = scored.payloads
    columns: dict[str, list[Any]] = pa.ipc.open_stream(pa.py_buffer(payload)).read_all().to_pydict()
    return columns


def open_built(environment: Environment) -> HostPython:
    message = EnvironmentMessage("digest00", environment.python)
    return open_environment(message, job_folder="/none")


@pytest.mark.slow
def test_host__runs_in_the_python_of_its_environment(score: Score) -> None:
    environment = get_other_environment()
    rows = read_rows(score(SCRIPT, open_built(environment)))
    assert set(rows["python"]) == {get_other_request().python} != {OWN_PYTHON}
    assert set(rows["prefix"]) == {str(environment.folder)}


@pytest.mark.slow
def test_host__has_other_packages_than_its_worker(score: Score) -> None:
    environment = get_other_environment()
    rows = read_rows(score(SCRIPT, open_built(environment)))
    packages = environment.packages
    assert set(rows["pandas"]) == {packages["pandas"]} != {pd.__version__}
    assert set(rows["six"]) == {packages["six"]}
    assert rows["when"][0] == pd.Timestamp("2024-02-29 12:00:00.123456")
    assert rows["kind"] == ["a"] * 3
    assert rows["maybe"] == [None, 2**62 + 1, 3]


@pytest.mark.slow
def test_host__in_an_archive_that_its_worker_unpacks(
    score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = get_other_environment()
    name = "environment-0123.tar.zst"
    pack_environment(environment.folder, tmp_path / name)
    message = EnvironmentMessage("0123456789", f"bin/python{get_other_request().python}", name)
    python = open_environment(message, job_folder=str(tmp_path))
    rows = read_rows(score(SCRIPT, python))
    assert set(rows["prefix"]) == {python.folder}
    assert str(python.folder).startswith(str(tmp_path))


@pytest.mark.slow
def test_host__survives_its_death_in_another_python(score: Score) -> None:
    script = """
    import os, sys
    def run(mini_batch):
        if not os.path.exists("died"):
            open("died", "w").close()
            os.kill(os.getpid(), 11)
        return [sys.prefix] * len(mini_batch)
    """
    environment = get_other_environment()
    scored = score(script, open_built(environment))
    assert (scored.outcome.status, scored.outcome.attempts) == ("succeeded", 2)


@pytest.mark.slow
def test_host__programs_of_its_environment_come_first(score: Score) -> None:
    script = """
    import os, subprocess
    def run(mini_batch):
        said = subprocess.run(["python", "-c", "import sys; print(sys.prefix)"],
                              capture_output=True, text=True).stdout.strip()
        return [said, os.environ.get("VIRTUAL_ENV", "none"), os.environ["PATH"].split(":")[0]]
    """
    environment = get_other_environment()
    rows = read_rows(score(script, open_built(environment)))
    assert rows["prediction"] == [
        str(environment.folder),
        "none",
        str(environment.folder / "bin"),
    ]


def test_host__whose_python_is_not_there(score: Score) -> None:
    scored = score(SCRIPT, HostPython("/none/bin/python", "/none"))
    assert scored.outcome.status == "init_failed"
    assert scored.outcome.error is not None
    assert "/none/bin/python" in scored.outcome.error.message


def test_open_environment__without_one_is_the_workers_own() -> None:
    python = open_environment(None, job_folder="/none")
    assert python == HostPython(sys.executable, None)
    assert python.adapt({"VIRTUAL_ENV": "x"}) == {"VIRTUAL_ENV": "x"}


def test_open_environment__archive_that_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "e.tar.zst").write_bytes(b"x")
    message = EnvironmentMessage("0123456789", "bin/python", "e.tar.zst")
    with pytest.raises(StorageError) as caught:
        open_environment(message, job_folder=str(tmp_path))
    assert caught.value.condition == "ARCHIVE_UNREADABLE"
