"""The other commands, and what all of them have in common."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sparkscore
from sparkscore.cli import exit_codes
from sparkscore.cli.main import GROUPS
from sparkscore.control import SummaryMessage
from sparkscore.errors import SparkscoreError
from sparkscore.messages.status import InputCounts
from tests.cli.conftest import REPOSITORY, START, Run, RunCli
from tests.control.samples import list_files, write_deployment


def test_version__is_printed(run_cli: RunCli) -> None:
    assert run_cli("version").out == f"{sparkscore.__version__}\n"


def test_help__answers_at_once() -> None:
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", START, "--help"], check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.5


def run_without(libraries: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that cannot import these libraries."""
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(libraries)!r})); "
    command = [sys.executable, "-W", "error", "-c", block + START, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


HEAVY = {"delta", "fsspec", "mlflow", "pandas", "pyarrow", "pyspark"}


@pytest.mark.parametrize("words", ["", *GROUPS])
def test_help__needs_little(words: str) -> None:
    blocked = {*HEAVY, "alembic", "jmespath", "rich", "sqlalchemy", "yaml"}
    done = run_without(blocked, *words.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", ["batch-endpoint show -n mood", "batch-endpoint list", "job list"])
def test_show__needs_little(run: Run, endpoint: str, line: str) -> None:
    done = run_without({*HEAVY, "alembic", "rich"}, *line.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip() == run(line)


def test_output__of_letters_that_the_terminal_lacks(place: Path, run: Run) -> None:
    run("batch-endpoint create -n wide --set description=ß→")
    command = [sys.executable, "-c", START, "batch-endpoint", "show", "-n", "wide"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b'"description": "\xdf\\u2192"' in done.stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("batch-endpoint shw", "No such command 'shw'. Did you mean 'show'?"),
        ("batch-endpoint show", "Missing option '--name'"),
        ("batch-endpoint show -n a --nmae b", "No such option: --nmae"),
        ("compute list -o xml", "'xml' is not one of"),
        ("job list --max-results 0", "--max-results"),
        ("batch-endpoint show -n a surplus", "surplus"),
    ],
)
def test_usage__errors_are_one_line(run_cli: RunCli, line: str, said: str) -> None:
    answer = run_cli(*line.split())
    assert (answer.exit_code, answer.out) == (2, "")
    (only,) = answer.err.splitlines()
    assert only.startswith("sparkscore: WRONG_USAGE: ")
    assert said in only


def test_usage__group_alone_shows_its_help(run_cli: RunCli) -> None:
    answer = run_cli("job")
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: sparkscore job")


def test_schema__is_json(run_cli: RunCli) -> None:
    schema = json.loads(run_cli("schema", "deployment").out)
    assert "$schema" in schema


def test_plan__prints_the_plan_and_makes_nothing(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_deployment(tmp_path / "deployment", mini_batch_size=3)
    monkeypatch.chdir(file.parent)
    before = list_files(tmp_path)
    given = ["batch-deployment", "run", "-f", str(file), "--input", "in", "--plan"]
    text = run_cli(*given)
    assert (text.exit_code, text.err) == (0, "")
    assert "mini-batches" in text.out
    plan = json.loads(run_cli(*given, "-o", "json").out)
    assert (plan["inputs"], plan["mini_batches"]) == (8, 3)
    assert list_files(tmp_path) == before


def test_compile__prints_the_folder(run_cli: RunCli, tmp_path: Path) -> None:
    file = write_deployment(tmp_path / "deployment", environment={"image": "python:3.11"})
    folder = tmp_path / "compiled"
    given = ["batch-deployment", "compile", "-f", str(file), "--input", "s3://bucket/in"]
    answer = run_cli(*given, "--target", "spark-submit", "-o", str(folder))
    assert (answer.exit_code, answer.out) == (0, f"{folder}\n")
    assert answer.err.startswith("warning: ")
    assert (folder / "launch.json").is_file()
    again = run_cli(*given, "--target", "spark-submit", "-o", str(folder))
    assert again.exit_code == 5


def test_generate_script__writes_a_new_file(run_cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "score.py"
    assert run_cli("batch-deployment", "generate-script", "-o", str(file)).out == f"{file}\n"
    assert "def run(" in file.read_text()
    assert run_cli("batch-deployment", "generate-script", "-o", str(file)).exit_code == 5


def make_summary(status: str, error: dict[str, object] | None = None) -> SummaryMessage:
    return SummaryMessage(job="job", status=status, inputs=InputCounts(1, 0, 0), error=error)


@pytest.mark.parametrize(
    ("status", "error", "exit_code"),
    [
        ("Completed", None, 0),
        ("Canceled", {"condition": "CANCELED", "exit_code": 6}, 6),
        ("Failed", {"condition": "NO_SUCCESSFUL_INPUT"}, 4),
        ("Failed", {"condition": "OUTPUT_EXISTS", "exit_code": 5}, 5),
        ("Failed", {"condition": "STRANGE", "exit_code": 99}, 4),
    ],
)
def test_get_exit_code__examples(
    status: str, error: dict[str, object] | None, exit_code: int
) -> None:
    assert exit_codes.get_exit_code(make_summary(status, error)) == exit_code


def test_exit_codes__cover_every_error() -> None:
    kinds = [SparkscoreError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    assert {kind.exit_code for kind in kinds} <= set(exit_codes.EXIT_CODES)


def test_exit_codes__are_documented() -> None:
    page = REPOSITORY / "docs" / "exit-codes.md"
    assert page.read_text(encoding="utf-8") == exit_codes.render_exit_codes()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 6)])
def test_main__signal_outside_of_a_job(number: int, exit_code: int) -> None:
    code = (
        f"import os, sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from sparkscore.cli.main import app, main\n"
        "@app.command()\n"
        "def stop():\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "main(['stop'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", "")


def test_main__bug_stays_a_traceback() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from sparkscore.cli.main import app, main\n"
        "@app.command()\n"
        "def broken():\n"
        "    raise LookupError('a bug')\n"
        "main(['broken'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == exit_codes.BUG_CODE
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("LookupError: a bug\n")
