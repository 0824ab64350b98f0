"""A command line that hypothesis can call often, and a workspace to leave alone.

Coverage-guided fuzzing (atheris) of the readers of replies, messages, patterns and web pages found
nothing more in 400,000 calls, so it is no dependency.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkscore.cli.exit_codes import EXIT_CODES
from sparkscore.cli.main import main
from tests.cli.conftest import Answer
from tests.cli.places import make_template
from tests.control.samples import list_files


@dataclass
class Place:
    """A folder with the files of ``make_template`` and a workspace ``ws`` with an endpoint."""

    folder: Path
    template: Path
    number: int = 0

    @property
    def workspace(self) -> Path:
        """The workspace; another one after each command that changed it."""
        return self.folder / ("ws" if not self.number else f"ws{self.number}")

    def run(self, *arguments: str) -> Answer:
        """Run a command in this process, with this workspace."""
        out, err = io.StringIO(), io.StringIO()
        code: object = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main([*arguments, "-w", str(self.workspace)])
            except SystemExit as end:
                code = end.code
        return Answer(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    def check(self, *arguments: str) -> Answer:
        """Run a command that does what it is asked, or says on one line why not.

        What it refuses leaves everything as it was; what it does is undone.
        """
        before = self._describe()
        answer = self.run(*arguments)
        if answer.exit_code == 0:
            self.number += 1
            shutil.copytree(self.template / "ws", self.workspace)
            return answer
        assert answer.exit_code in EXIT_CODES
        lines = answer.err.splitlines()
        assert lines[-1].startswith("sparkscore: "), answer.err
        assert "Traceback" not in answer.err
        assert len(lines) == 1, answer.err
        assert answer.out == ""
        assert self._describe() == before
        return answer

    def _describe(self) -> list[str]:
        """Files and records; SQLite's own two files come and go, and a cache may fill."""
        names = list_files(self.workspace)
        kept = [name for name in names if not name.endswith(("-wal", "-shm"))]
        with contextlib.closing(sqlite3.connect(self.workspace / "store.db")) as store:
            return [*(name for name in kept if not name.startswith("cache")), *store.iterdump()]


@pytest.fixture(scope="session")
def filled_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that places are copies of."""
    folder = tmp_path_factory.mktemp("filled") / "place"
    make_template(folder)
    answer = Place(folder, folder).run("batch-endpoint", "create", "-n", "mood")
    assert answer.exit_code == 0, answer.err
    return folder


@pytest.fixture
def place(filled_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The current folder, with its own workspace and configuration."""
    folder = tmp_path / "place"
    shutil.copytree(filled_template, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SPARKSCORE_CONFIG_DIR", str(tmp_path / "user"))
    monkeypatch.delenv("SPARKSCORE_WORKSPACE", raising=False)
    return Place(folder, filled_template)
