"""What a failed or finished attempt tells: where in the script, what it used, what it printed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from sparkscore.executor.script_stack import explain_dump
from sparkscore.messages.log_marks import iter_mini_batch_lines
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import MiniBatchOutcome, ScoringFailure

ROOT = Path(__file__).parents[2]


@pytest.fixture
def score(make_scoring: Any, make_runner: Any, inputs: Any) -> Any:
    """Scores a mini-batch of one file in a new worker; gives its outcome."""

    def score_one(script: str, **changes: Any) -> MiniBatchOutcome:
        runner = make_runner(make_scoring(script, **{"max_retries": 0, **changes}))
        outcome: MiniBatchOutcome = runner.score(MiniBatch(7, ("a.txt",)), inputs, schema=None)
        return outcome.outcome  # type: ignore[attr-defined, no-any-return]

    return score_one


def log_lines(folder: Path, kind: str) -> list[str]:
    (file,) = (folder / "logs" / "user" / kind).rglob("*.txt")
    return file.read_text(encoding="utf-8").splitlines()


def error_of(outcome: MiniBatchOutcome) -> ScoringFailure:
    assert outcome.error is not None
    return outcome.error


CRASHES = {
    "segfault": ("ctypes.string_at(0)", "SIGSEGV"),
    "abort": ("os.abort()", "SIGABRT"),
    "division in native code": ("os.kill(os.getpid(), signal.SIGFPE)", "SIGFPE"),
    "bus error": ("os.kill(os.getpid(), signal.SIGBUS)", "SIGBUS"),
}


@pytest.mark.parametrize("kind", CRASHES)
def test_crash__names_signal_and_line_of_the_script(score: Any, kind: str) -> None:
    action, name = CRASHES[kind]
    outcome = score(
        f"""
        import ctypes, os, signal
        def inner():
            {action}
        def run(batch):
            inner()
        """
    )
    error = error_of(outcome)
    assert (error.condition, error.script_line) == ("SCRIPT_CRASHED", "score.py:4")
    assert name in error.message
    frames = [line.rpartition(" ")[2] for line in error.script_traceback.splitlines()[1:]]
    assert frames == ["run", "inner"]
    assert "sparkscore" not in error.traceback
    assert (error.attempt, error.process) == (1, outcome.process)
    (failed,) = outcome.failures
    assert (failed.script_line, failed.attempts) == ("score.py:4", 1)
    assert failed.process == outcome.process


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("os.kill(os.getpid(), 15)", "SIGTERM"),
    ],
)
def test_crash__without_a_stack_still_says_how(score: Any, action: str, words: str) -> None:
    error = error_of(score(f"import os\ndef run(batch):\n    {action}\n"))
    assert words in error.message
    assert (error.traceback, error.script_line) == ("", "")


def test_crash__of_a_forked_child_is_not_taken_for_the_hosts(score: Any) -> None:
    outcome = score(
        """
        import ctypes, os
        def run(batch):
            child = os.fork()
            if child == 0:
                ctypes.string_at(0)
            os.waitpid(child, 0)
            os._exit(1)
        """
    )
    assert error_of(outcome).script_line == ""


HANGS = {
    "sleep": "time.sleep(60)",
    "native code that holds the interpreter": "ctypes.PyDLL(None).sleep(60)",
    "loop": "[None for _ in iter(int, 1)]",
}


@pytest.mark.parametrize("kind", HANGS)
def test_timeout__tells_where_the_script_hung(score: Any, kind: str) -> None:
    outcome = score(
        f"""
        import ctypes, threading, time
        def wait(batch):
            {HANGS[kind]}
        def run(batch):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            wait(batch)
        """,
        timeout_seconds=1,
    )
    error = error_of(outcome)
    assert (error.condition, error.script_line) == ("SCRIPT_TIMEOUT", "score.py:4")
    assert error.traceback.count("Thread 0x") == 2


def test_timeout__of_init_tells_where(score: Any) -> None:
    error = error_of(
        score(
            "import time\ndef init():\n    time.sleep(60)\ndef run(batch):\n    return batch\n",
            init_timeout_seconds=1,
        )
    )
    assert (error.condition, error.script_line, error.attempt) == ("INIT_TIMEOUT", "score.py:3", 3)


def test_timeout__with_signals_blocked_costs_no_time(score: Any) -> None:
    started = time.monotonic()
    outcome = score(
        """
        import signal, time
        def run(batch):
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            time.sleep(60)
        """,
        timeout_seconds=1,
    )
    assert error_of(outcome).script_line == ""
    assert time.monotonic() - started < 20


def test_memory_limit__tells_where(score: Any) -> None:
    outcome = score(
        """
        import time
        def run(batch):
            data = b"x" * (600 << 20)
            time.sleep(30)
        """,
        memory_limit_bytes=400 << 20,
    )
    error = error_of(outcome)
    assert error.condition == "MEMORY_LIMIT"
    assert error.script_line in {"score.py:4", "score.py:5"}
    assert outcome.peak_memory_bytes > 400 << 20


def test_exception__marks_the_frames_of_the_script_out(score: Any, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "parts.py").write_text("import json\ndef read(t):\n    json.loads(t)\n")
    error = error_of(score("import parts\ndef run(batch):\n    parts.read('{')\n"))
    assert error.script_line == "parts.py:3"
    assert "json/decoder.py" in error.traceback
    assert "json/decoder.py" not in error.script_traceback
    assert 'score.py", line 3' in error.script_traceback


def test_exception__syntax_error_of_a_module_is_in_the_script(score: Any, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "parts.py").write_text("x = 1\nx = = 2\n")
    error = error_of(score("def run(batch):\n    import parts\n"))
    assert error.script_line == "parts.py:2"


def test_exception__that_is_not_of_the_script_has_no_line(score: Any) -> None:
    error = error_of(score("def run(batch):\n    return None\n"))
    assert (error.condition, error.script_line) == ("INVALID_RESULT_TYPE", "")


def test_dump__without_a_thread_is_nothing() -> None:
    assert explain_dump("x" * 100 + "\nCurrent thread", code_folder="/c").traceback == ""


def test_failed_inputs__count_the_calls_that_had_them(
    make_scoring: Any, make_runner: Any, inputs: Any
) -> None:
    script = (
        "def run(batch):\n"
        "    if any(path.endswith('c') for path in batch):\n"
        "        raise ValueError\n"
        "    return batch\n"
    )
    runner = make_runner(make_scoring(script, max_retries=1))
    outcome = runner.score(MiniBatch(0, ("a", "b", "c", "d")), inputs, schema=None).outcome
    (failed,) = outcome.failures
    assert (failed.path, failed.attempts, failed.script_line) == ("c", 4, "score.py:3")
    assert outcome.attempts == 2


def test_usage__of_attempts_is_counted(score: Any) -> None:
    outcome = score(
        """
        import time
        def init():
            spend(1.5)
        def spend(seconds):
            until = time.process_time() + seconds
            while time.process_time() < until:
                pass
        def run(batch):
            data = b"x" * (300 << 20)
            del data
            spend(0.2)
            raise ValueError
        """,
        max_retries=1,
    )
    assert 0.4 <= outcome.cpu_seconds < 1.5
    assert 300 << 20 < outcome.peak_memory_bytes < 1 << 30


def test_usage__of_one_mini_batch_is_not_that_of_the_next(
    make_scoring: Any, make_runner: Any, inputs: Any
) -> None:
    script = """
        def run(batch):
            if batch[0].endswith("big"):
                return [len(b"x" * (400 << 20))]
            return [0]
        """
    runner = make_runner(make_scoring(script))
    big, small = (
        runner.score(MiniBatch(0, (name,)), inputs, schema=None).outcome for name in ("big", "a")
    )
    assert big.peak_memory_bytes - small.peak_memory_bytes > 300 << 20
    assert small.peak_memory_bytes > 10 << 20


ENDS = {"crash": "os._exit(1)", "timeout": "time.sleep(60)"}


@pytest.mark.parametrize("kind", ENDS)
def test_usage__of_a_host_that_died_is_counted(score: Any, kind: str) -> None:
    outcome = score(
        f"""
        import os, time
        def run(batch):
            data = b"x" * (300 << 20)
            while time.process_time() < 0.3:
                pass
            {ENDS[kind]}
        """,
        timeout_seconds=4,
    )
    assert outcome.cpu_seconds >= 0.2
    assert outcome.peak_memory_bytes > 300 << 20


def test_usage__of_started_processes_is_counted(score: Any) -> None:
    """With a memory limit, however high: without one a busy machine is looked at more rarely."""
    outcome = score(
        """
        import subprocess, sys
        code = "import time\\ndata = b'x' * (500 << 20)\\n" \\
               "while time.process_time() < 0.4: pass\\ntime.sleep(1.6)"
        def run(batch):
            subprocess.run([sys.executable, "-c", code])
            return batch
        """,
        timeout_seconds=120,
        memory_limit_bytes=8 << 30,
    )
    assert outcome.failed == 0
    assert outcome.cpu_seconds > 0.3
    assert outcome.peak_memory_bytes > 500 << 20


def test_log__marks_what_anybody_wrote(score: Any, tmp_path: Path) -> None:
    score(
        """
        import ctypes, logging, os, sys
        def init():
            print("loading")
            logging.info("model\\nloaded")
        def run(batch):
            print("python")
            os.system("echo child; echo child error >&2")
            os.write(1, b"no end")
            logging.getLogger("mine").info("one\\ntwo")
            logging.debug("not shown")
            return batch
        def shutdown():
            print("bye")
        """
    )
    assert log_lines(tmp_path, "stdout") == [
        "[init] loading",
        *(f"[mb 000007 try 1] {text}" for text in ("python", "child", "no end")),
    ]
    assert log_lines(tmp_path, "stderr") == ["[mb 000007 try 1] child error"]
    (log,) = (tmp_path / "logs" / "user" / "entry_script_log").rglob("*.txt")
    one, two = iter_mini_batch_lines(log, 7)
    assert one.endswith("INFO mine: one")
    assert two == "[mb 000007 try 1] two"
    assert [line[:7] for line in log.read_text().splitlines()[:2]] == ["[init] ", "[init] "]


def test_log__of_each_attempt_has_its_number(score: Any, tmp_path: Path) -> None:
    score(
        "import os\ndef run(batch):\n    print('x', flush=True)\n    os._exit(1)\n", max_retries=2
    )
    assert log_lines(tmp_path, "stdout") == [f"[mb 000007 try {number}] x" for number in (1, 2, 3)]


def test_log__of_shutdown_is_marked(
    make_scoring: Any, make_runner: Any, inputs: Any, tmp_path: Path
) -> None:
    script = "def run(batch):\n    return batch\ndef shutdown():\n    print('bye')\n"
    runner = make_runner(make_scoring(script))
    runner.score(MiniBatch(0, ("a",)), inputs, schema=None)
    runner.close()
    assert log_lines(tmp_path, "stdout") == ["[shutdown] bye"]


WORKER = """
import os, sys, time
from sparkscore.executor.host_launch import HostLaunch
from sparkscore.executor.script_host import ScriptHost
from sparkscore.executor.script_log import open_script_log
from sparkscore.messages.log_marks import SHUTDOWN_MARK, render_mark
folder, end = sys.argv[1:]
log = open_script_log(folder + "/logs", raw=folder + "/.log")
launch = HostLaunch(
    dict(os.environ), folder, log.stdout, log.stderr, stack=log.stack, log=log.order
)
host = ScriptHost()
host.use(launch)
host.start()
request = {"type": "init", "code_folder": folder, "scoring_script": "score.py",
           "logging_level": "info"}
host.ask(request, timeout_seconds=60)
log.begin(render_mark(5, 2))
request = {"type": "run", "paths": ["a"], "schema": None, "merged": True, "environment": {}}
if end == "busy":
    host._send(__import__("sparkscore.executor.frames").executor.frames.encode(
        {**request, "call": 9}), time.monotonic() + 9)
else:
    host.ask(request, timeout_seconds=60)
    log.end()
    log.begin(SHUTDOWN_MARK)
while not os.path.exists(folder + "/printed"):
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("end", ["busy", "idle"])
def test_log__of_a_worker_that_was_killed_is_copied_by_its_guard(tmp_path: Path, end: str) -> None:
    (tmp_path / "score.py").write_text(
        textwrap.dedent(
            f"""
            import time
            def init(): pass
            def run(batch):
                print("last words", flush=True)
                open({str(tmp_path / "printed")!r}, "w").close()
                time.sleep(60 if {end == "busy"} else 0)
                return batch
            def shutdown(): print("bye")
            """
        )
    )
    subprocess.run(
        [sys.executable, "-c", WORKER, str(tmp_path), end],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    )
    expected = ["[mb 000005 try 2] last words", *(["[shutdown] bye"] if end == "idle" else [])]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        logs = list((tmp_path / "logs").rglob("*.stdout.txt"))
        if logs and logs[0].read_text().splitlines() == expected:
            return
        time.sleep(0.05)
    assert [log.read_text() for log in logs] == expected
