from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkscore.cli.main import main
from tests.control.samples import write_java

REPOSITORY = Path(__file__).parent.parent.parent
START = (
    f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); "
    "from sparkscore.cli.main import main; main()"
)


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output and standard error."""

    exit_code: int
    out: str
    err: str


RunCli = Callable[..., Answer]
StartCli = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Runs a command in this process."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        captured = capsys.readouterr()
        code = caught.value.code
        return Answer(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@pytest.fixture
def start_cli(tmp_path: Path) -> StartCli:
    """Starts a command whose driver is tests/control/fake_driver.py with some behaviour."""
    package = tmp_path / "fake" / "sparkscore"
    (package / "driver").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "driver" / "__init__.py").touch()
    driver = (REPOSITORY / "tests" / "control" / "fake_driver.py").read_text()
    (package / "driver" / "__main__.py").write_text(driver)
    current = tmp_path / "current"
    current.mkdir()

    def start(*arguments: str, behaviour: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "FAKE_DRIVER": behaviour,
            "JAVA_HOME": str(write_java(tmp_path / "java")),
            "PYTHONPATH": str(package.parent),
        }
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", START, *arguments],
            cwd=current,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
