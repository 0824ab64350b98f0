"""A mini-batch through a real guard and host, whatever the scoring script does."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sparkscore.executor.runner import ScoredMiniBatch
from sparkscore.messages.mini_batch import MiniBatch

PATHS = ("a.txt", "b.txt", "c.txt", "d.txt")


@pytest.fixture
def score(make_scoring: Any, make_runner: Any, inputs: Any) -> Any:
    """Scores one mini-batch with a script; further calls reuse the runner."""
    runners: dict[str, Any] = {}

    def score_paths(script: str, paths: tuple[str, ...] = PATHS, **changes: Any) -> ScoredMiniBatch:
        if script not in runners:
            runners[script] = make_runner(make_scoring(script, **changes))
        return runners[script].score(MiniBatch(7, paths), inputs, schema=None)  # type: ignore[no-any-return]

    return score_paths


def predictions(scored: ScoredMiniBatch) -> list[Any]:
    """The values of the column ``prediction`` over all payloads."""
    tables = [pa.ipc.open_stream(pa.py_buffer(part)).read_all() for part in scored.payloads]
    return [value for table in tables for value in table.column("prediction").to_pylist()]


def failed_paths(scored: ScoredMiniBatch) -> list[str]:
    return [failure.path for failure in scored.outcome.failures]


NAMES = "import os\ndef run(batch):\n    return [os.path.basename(p) for p in batch]\n"


def test_runner__good_script_gives_every_result_once(score: Any) -> None:
    scored = score(NAMES)
    assert predictions(scored) == list(PATHS)
    outcome = scored.outcome
    assert (outcome.status, outcome.inputs, outcome.failed, outcome.rows) == ("succeeded", 4, 0, 4)
    assert (outcome.attempts, outcome.retries) == (1, 0)
    assert (outcome.started.script_hosts, outcome.started.init_calls) == (1, 1)


def test_runner__second_mini_batch_uses_the_same_host(score: Any) -> None:
    script = "import os\ndef run(batch):\n    return [os.getpid()] * len(batch)\n"
    first, second = score(script), score(script)
    assert predictions(first) == predictions(second)
    assert second.outcome.started.script_hosts == second.outcome.started.init_calls == 0


BAD_ENDS = {
    "raise": ("raise ValueError('bad ' + path)", "SCRIPT_RAISED"),
    "sys.exit": ("sys.exit(3)", "SCRIPT_RAISED"),
    "os._exit": ("os._exit(0)", "SCRIPT_CRASHED"),
    "segfault": ("ctypes.string_at(0)", "SCRIPT_CRASHED"),
    "killed": ("os.kill(os.getpid(), 9)", "SCRIPT_CRASHED"),
    "garbage on every descriptor": (
        "[os.write(fd, b'x' * 64) for fd in descriptors() if writable(fd)]; time.sleep(60)",
        "SCRIPT_CRASHED",
    ),
    "keyboard interrupt": ("raise KeyboardInterrupt", "SCRIPT_RAISED"),
    "unprintable exception": ("raise Unprintable()", "SCRIPT_RAISED"),
}


@pytest.mark.parametrize("name", BAD_ENDS)
def test_runner__bad_end_costs_only_the_input_that_causes_it(score: Any, name: str) -> None:
    action, condition = BAD_ENDS[name]
    scored = score(
        f"""
        import ctypes, fcntl, os, sys, time
        class Unprintable(Exception):
            def __str__(self):
                raise RuntimeError("no text")
        def descriptors():
            return [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2]
        def writable(fd):
            try:
                return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
            except OSError:
                return False
        def run(batch):
            for path in batch:
                if path.endswith("c.txt"):
                    {action}
            return [os.path.basename(p) for p in batch]
        """
    )
    assert predictions(scored) == ["a.txt", "b.txt", "d.txt"]
    assert failed_paths(scored) == ["c.txt"]
    assert scored.outcome.failures[0].condition == condition
    assert (scored.outcome.status, scored.outcome.failed, scored.outcome.attempts) == (
        "failed",
        1,
        2,
    )


def test_runner__hang_in_c_with_signals_blocked_is_killed_in_time(score: Any) -> None:
    started = time.monotonic()
    scored = score(
        """
        import ctypes, signal
        def run(batch):
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            ctypes.CDLL(None).sleep(600)
        """,
        paths=("a.txt",),
        timeout_seconds=1,
        max_retries=1,
    )
    assert scored.outcome.failures[0].condition == "SCRIPT_TIMEOUT"
    assert scored.outcome.started.script_hosts == 2
    assert time.monotonic() - started < 30


def test_runner__started_processes_end_with_a_killed_host(score: Any, tmp_path: Path) -> None:
    scored = score(
        f"""
        import os, subprocess, sys, time
        def run(batch):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                                     start_new_session=True)
            with open({str(tmp_path / "pids")!r}, "a") as pids:
                pids.write(f"{{child.pid}}\\n")
            os._exit(1)
        """,
        paths=("a.txt",),
    )
    assert scored.outcome.failed == 1
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


WRONG_RESULTS = {
    "None": "return None",
    "generator": "return (x for x in batch)",
    "text": "return 'text'",
    "dict": "return {'a': 1}",
    "yield": "yield 1",
}


@pytest.mark.parametrize("name", WRONG_RESULTS)
def test_runner__wrong_type_fails_the_inputs(score: Any, name: str) -> None:
    scored = score(f"def run(batch):\n    {WRONG_RESULTS[name]}\n", max_retries=0)
    if name == "yield":
        assert scored.outcome.status == "init_failed"
    else:
        assert scored.outcome.failed == 4
        assert scored.outcome.failures[0].condition == "INVALID_RESULT_TYPE"


def test_runner__short_result_keeps_rows_and_names_the_missing(score: Any) -> None:
    scored = score(
        "import os\ndef run(batch):\n    return [os.path.basename(p) for p in batch[1:]]\n"
    )
    assert predictions(scored) == ["b.txt", "c.txt", "d.txt"]
    assert (scored.outcome.status, scored.outcome.attempts) == ("succeeded", 1)
    assert [(f.path, f.condition) for f in scored.outcome.failures] == [("a.txt", "SHORT_RESULT")]


def test_runner__short_result_without_names_lists_candidates(score: Any) -> None:
    scored = score("def run(batch):\n    return [1.5]\n")
    (failure,) = scored.outcome.failures
    assert (failure.path, failure.count, failure.candidates) == ("", 3, PATHS)
    assert scored.outcome.failed == 3


def test_runner__long_result_counts_no_input_twice(score: Any) -> None:
    scored = score("def run(batch):\n    return list(range(10))\n")
    assert (scored.outcome.rows, scored.outcome.failed) == (10, 0)


def test_runner__isolate_failures_off_fails_the_whole_mini_batch(score: Any) -> None:
    scored = score("def run(batch):\n    raise ValueError\n", isolate_failures=False)
    assert failed_paths(scored) == list(PATHS)
    assert scored.payloads == ()


def test_runner__retry_succeeds_without_rows_of_the_failed_attempt(score: Any) -> None:
    scored = score(
        """
        import os
        def run(batch):
            if os.environ["SPARKSCORE_ATTEMPT"] == "1":
                raise OSError("flaky")
            return [os.environ["SPARKSCORE_MINI_BATCH_ID"]] * len(batch)
        """
    )
    assert predictions(scored) == ["7"] * 4
    assert (scored.outcome.status, scored.outcome.retries) == ("succeeded", 1)


def test_runner__init_failing_three_times_ends_the_mini_batch(score: Any) -> None:
    scored = score(
        """
        def init():
            raise RuntimeError("no model")
        def run(batch):
            return batch
        """
    )
    outcome = scored.outcome
    assert outcome.status == "init_failed"
    assert outcome.error is not None
    assert "no model" in outcome.error.traceback
    assert 'score.py", line 3' in outcome.error.traceback
    assert "sparkscore/executor" not in outcome.error.traceback
    assert (outcome.started.script_hosts, outcome.started.init_calls) == (1, 3)


def test_runner__init_crash_and_timeout_restart_the_host(score: Any) -> None:
    crashed = score("import os\ndef init():\n    os._exit(4)\ndef run(batch):\n    return batch\n")
    assert crashed.outcome.error is not None
    assert crashed.outcome.error.condition == "INIT_CRASHED"
    assert crashed.outcome.started.script_hosts == 3
    hung = score(
        "import time\ndef init():\n    time.sleep(60)\ndef run(batch):\n    return batch\n",
        init_timeout_seconds=1,
    )
    assert hung.outcome.error is not None
    assert hung.outcome.error.condition == "INIT_TIMEOUT"


def test_runner__output_and_closed_stdin_do_no_harm(score: Any, tmp_path: Path) -> None:
    scored = score(
        """
        import os, sys
        def run(batch):
            print("to stdout")
            os.write(1, b"to descriptor 1\\n")
            os.system("echo from a shell")
            os.close(0)
            return [1] * len(batch)
        """
    )
    assert scored.outcome.failed == 0
    (log,) = (tmp_path / "logs").rglob("*.stdout.txt")
    assert log.read_text().splitlines() == [
        "[mb 000007 try 1] to stdout",
        "[mb 000007 try 1] to descriptor 1",
        "[mb 000007 try 1] from a shell",
    ]


def test_runner__environment_holds_no_secret_of_spark(
    score: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_WORKER_FACTORY_SECRET", "secret")
    monkeypatch.setenv("SPARK_HOME", "/spark")
    monkeypatch.setenv("AWS_PROFILE", "reader")
    script = "import os\ndef run(batch):\n    return [dict(os.environ)]\n"
    scored = score(script, paths=("a.txt",), environment_variables={"MINE": "1"})
    (part,) = scored.payloads
    names = set(pa.ipc.open_stream(pa.py_buffer(part)).read_all().column_names)
    assert {"AZUREML_MODEL_DIR", "SPARKSCORE_JOB_NAME", "MINE", "AWS_PROFILE"} <= names
    assert not {"PYTHON_WORKER_FACTORY_SECRET", "SPARK_HOME", "PYTHONPATH"} & names


def test_runner__shutdown_is_called_when_the_worker_ends(
    make_scoring: Any, make_runner: Any, inputs: Any, tmp_path: Path
) -> None:
    runner = make_runner(
        make_scoring(
            f"""
            def run(batch):
                return batch
            def shutdown():
                open({str(tmp_path / "gone")!r}, "w").close()
            """
        )
    )
    runner.score(MiniBatch(0, PATHS), inputs, schema=None)
    runner.close()
    assert (tmp_path / "gone").exists()


def test_runner__files_of_failed_attempts_are_thrown_away(score: Any) -> None:
    scored = score(
        """
        import os
        folder = os.environ["AZUREML_BI_OUTPUT_PATH"]
        def init():
            os.makedirs(os.path.join(folder, "masks"))
        def run(batch):
            for path in batch:
                name = os.path.basename(path)
                with open(os.path.join(folder, "masks", name), "w") as out:
                    out.write(os.environ["SPARKSCORE_ATTEMPT"])
                if name == "c.txt":
                    raise ValueError(name)
            return batch
        """,
        output_action="summary_only",
    )
    assert failed_paths(scored) == ["c.txt"]
    assert scored.payloads == ()
    files = {
        name: Path(folder, "masks", name).read_text()
        for folder in scored.outcome.folders
        for name in os.listdir(Path(folder, "masks"))
    }
    assert set(files) == {"a.txt", "b.txt", "d.txt"}


def test_runner__large_result_arrives_whole(score: Any) -> None:
    scored = score(
        """
        import os
        def run(batch):
            return [os.urandom(1 << 20).hex() for _ in range(24)]
        """
    )
    assert len(scored.payloads) > 1
    assert sum(len(value) for value in predictions(scored)) == 24 * (1 << 21)


def test_runner__many_long_paths_fit_the_request(score: Any) -> None:
    paths = tuple(f"{'folder' * 30}/{number}.txt" for number in range(5000))
    scored = score("def run(batch):\n    return [len(batch)] * len(batch)\n", paths=paths)
    assert predictions(scored)[0] == 5000


def test_runner__memory_limit_fails_the_input_that_passes_it(score: Any) -> None:
    scored = score(
        """
        import os, time
        def run(batch):
            names = [os.path.basename(p) for p in batch]
            if "c.txt" in names:
                data = bytearray(os.urandom(1)) * (600 << 20)
                time.sleep(30)
            return names
        """,
        memory_limit_bytes=400 << 20,
        max_retries=0,
    )
    assert predictions(scored) == ["a.txt", "b.txt", "d.txt"]
    (failure,) = scored.outcome.failures
    assert (failure.path, failure.condition) == ("c.txt", "MEMORY_LIMIT")
