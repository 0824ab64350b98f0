"""Shell completion: the scripts are valid, and complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import START, RunCli

CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.mark.parametrize("shell", CHECKS)
def test_completion__script_is_valid(run_cli: RunCli, tmp_path: Path, shell: str) -> None:
    answer = run_cli("completion", shell)
    assert (answer.exit_code, answer.err) == (0, "")
    assert "sparkscore" in answer.out
    assert "_SPARKSCORE_COMPLETE" in answer.out
    script = tmp_path / "script"
    script.write_text(answer.out)
    if shutil.which(shell) is not None:
        subprocess.run([*CHECKS[shell], str(script)], check=True, capture_output=True)


def test_completion__unknown_shell(run_cli: RunCli) -> None:
    assert run_cli("completion", "tcl").exit_code == 2


@pytest.mark.parametrize(
    ("words", "position", "expected"),
    [
        ("sparkscore batch-", 1, {"batch-deployment", "batch-endpoint"}),
        ("sparkscore job st", 2, {"stream"}),
        ("sparkscore job show --na", 3, {"--name"}),
        ("sparkscore completion f", 2, {"fish"}),
        (
            "sparkscore batch-deployment compile --target data",
            4,
            {"databricks", "databricks-bundle"},
        ),
    ],
)
def test_completion__bash_completes(words: str, position: int, expected: set[str]) -> None:
    environment = {
        **os.environ,
        "_SPARKSCORE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(position),
    }
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert set(done.stdout.split()) == expected, done.stderr
