from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkscore.cli.main import main
from sparkscore.control.workspace import Workspace
from tests.cli.places import ENDPOINT, kill_jobs, make_template
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


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configuration and workspaces of this test alone."""
    folder = tmp_path / "user"
    monkeypatch.setenv("SPARKSCORE_CONFIG_DIR", str(folder))
    monkeypatch.delenv("SPARKSCORE_WORKSPACE", raising=False)
    return folder


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


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``tests/cli/places.py`` makes it; tests take ``place``, a copy."""
    folder = tmp_path_factory.mktemp("template") / "place"
    make_template(folder)
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a workspace whose jobs run tests/control/fake_driver.py."""
    folder = tmp_path / "place"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("JAVA_HOME", str(write_java(tmp_path / "java")))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "tests" / "control" / "jobs" / "stand_in"))
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    monkeypatch.setenv("SPARKSCORE_WORKSPACE", str(folder / "ws"))
    yield folder
    workspace = Workspace.open(folder / "ws")
    kill_jobs(workspace)
    workspace.close()


Run = Callable[..., str]


@pytest.fixture
def run(place: Path, run_cli: RunCli) -> Run:
    """Runs commands that must succeed, as one text; gives their standard output without its end."""

    def run_it(line: str, *more: str) -> str:
        answer = run_cli(*shlex.split(line), *more)
        assert answer.exit_code == 0, answer.err
        return answer.out.rstrip("\n")

    return run_it


@pytest.fixture
def endpoint(run: Run) -> str:
    """The endpoint with its first deployment as the default."""
    run("batch-endpoint create -f endpoint.yml")
    run("batch-deployment create -f deployment.yml --set-default")
    return ENDPOINT
