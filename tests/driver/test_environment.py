"""The archive of an environment, named by its bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sparkscore.driver.environment import pin_environment
from sparkscore.messages.launch import EnvironmentMessage, LaunchMessage
from tests.spark.conftest import write_launch


def with_environment(folder: Path, message: EnvironmentMessage | None) -> LaunchMessage:
    launch = write_launch(folder, "def run(batch): return batch", 1)
    return replace(launch, scoring=replace(launch.scoring, environment=message))


def test_pin_environment__names_it_by_the_bytes_of_its_archive(tmp_path: Path) -> None:
    launch = with_environment(tmp_path, EnvironmentMessage("asked", "bin/python", "e.zip"))
    archive = Path(launch.job_folder) / "e.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    digests = []
    for content in (b"one", b"two", b"one"):
        archive.write_bytes(content)
        pinned = pin_environment(launch).scoring.environment
        assert pinned is not None
        assert pinned.archive == str(archive)
        digests.append(pinned.digest)
    assert digests[0] == digests[2] != digests[1]
    assert "asked" not in digests


@pytest.mark.parametrize("message", [None, EnvironmentMessage("asked", "/bin/python")])
def test_pin_environment__without_an_archive(
    message: EnvironmentMessage | None, tmp_path: Path
) -> None:
    launch = with_environment(tmp_path, message)
    assert pin_environment(launch) == launch


def test_pin_environment__whose_archive_is_gone(tmp_path: Path) -> None:
    launch = with_environment(tmp_path, EnvironmentMessage("asked", "bin/python", "e.zip"))
    with pytest.raises(FileNotFoundError):
        pin_environment(launch)
