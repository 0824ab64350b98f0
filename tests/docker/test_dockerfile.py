"""The Dockerfile: its linter, and that it installs what the lock says, for nobody's root."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
LINTER = str(Path(sys.executable).with_name("hadolint"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def read_stages() -> dict[str, str]:
    """The text of each stage by its name."""
    parts = re.split(r"^FROM \S+ AS (\S+)\n", TEXT, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


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
    stages = read_stages()
    for name in ("spark", "server"):
        users = re.findall(r"^USER (\S+)$", stages[name], flags=re.MULTILINE)
        assert users[-1] == "185"


def test_tools__have_the_versions_of_the_lock() -> None:
    pins = re.findall(r" (\w+)==(\S+)", TEXT)
    assert {name for name, _ in pins} == {"uv", "build", "hatchling"}
    for name, version in pins:
        assert f"\n{name}=={version} " in LOCK


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
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, flags=re.MULTILINE)
        for name in line.split()
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_scripts__that_it_runs_are_there() -> None:
    names = set(re.findall(r"docker/scripts/([\w-]+)", TEXT.split("\nFROM", 1)[1]))
    names |= set(re.findall(r'"(?:tini", "--", ")?([\w]+-[\w-]+)"', TEXT)) | {"install-spark"}
    assert names >= {"build-wheel", "make-environment", "spark-entrypoint", "server-entrypoint"}
    for name in names:
        path = ROOT / "docker" / "scripts" / name
        assert path.stat().st_mode & 0o111, name


def test_image__holds_no_secret() -> None:
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN|KEY)", TEXT, flags=re.MULTILINE)
