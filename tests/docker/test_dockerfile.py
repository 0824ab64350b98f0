"""The Dockerfile: its linter, and that it installs what the lock says, for nobody's root."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.docker.dockerfile import DOCKERFILE, ROOT, read_stages

TEXT = DOCKERFILE.read_text(encoding="utf-8")
STAGES = read_stages()
INSTRUCTIONS = [step for stage in STAGES.values() for step in stage.instructions]
SCRIPTS = ROOT / "docker" / "scripts"
LINTER = str(Path(sys.executable).with_name("hadolint"))


def test_dockerfile__has_nothing_for_the_linter() -> None:
    done = subprocess.run([LINTER, str(DOCKERFILE)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_linter__sees_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo ls\n")
    command = [LINTER, str(tmp_path / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "DL3006" in done.stdout


def test_images__run_as_a_user_who_is_not_root() -> None:
    for name in ("spark", "server"):
        users = [step.text for step in STAGES[name].instructions if step.word == "USER"]
        assert users[-1:] == ["185"]


def test_steps__are_scripts() -> None:
    names = {
        Path(command.split()[0]).name
        for step in INSTRUCTIONS
        if step.word == "RUN"
        for command in step.text.split("&&")
    }
    names |= {"spark-entrypoint", "server-entrypoint", "check-health"}
    assert names >= {"install-system-packages", "make-user", "make-environment"}
    for name in names:
        assert (SCRIPTS / name).stat().st_mode & 0o111, name


def test_base_image__has_an_exact_version() -> None:
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-bookworm$", TEXT, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)) == {
        "${PYTHON_IMAGE}",
        "build",
        "spark-environment",
        "runtime",
    }


def test_copies__are_there_and_let_in() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copies = [step for step in INSTRUCTIONS if step.word == "COPY" and "from" not in step.flags]
    copied = {name for step in copies for name in step.text.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_copies__can_be_read_by_the_images_user() -> None:
    """However strict the modes are in the folder that somebody builds from."""
    for name in ("runtime", "spark", "server"):
        copies = [step for step in STAGES[name].instructions if step.word == "COPY"]
        assert all("from" in step.flags or step.flags["chmod"] == "0755" for step in copies)


def test_image__holds_no_secret() -> None:
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN|KEY)", TEXT, flags=re.MULTILINE)
