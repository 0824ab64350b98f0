"""The folder of Spark's sockets, whose names may have 107 bytes at most."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from pathlib import Path

import pytest

from sparkscore.driver.job_folder import JobFolder


@pytest.mark.parametrize("depth", [0, 10])
def test_socket_folder__is_short_wherever_job_and_temporary_files_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    temporary = tmp_path.joinpath(*["temporary"] * depth)
    temporary.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = JobFolder(tmp_path / ("job" * 20))
    link = folder.make_socket_folder()
    place = link.readlink() if link.is_symlink() else link
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(place, f".{uuid.uuid4()}.sock"))
    folder.remove_scratch()
    assert not place.exists()
    assert not folder.scratch.exists()
