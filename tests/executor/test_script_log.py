"""Logs of a script, whatever it does to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sparkscore.executor.script_log import MAX_LOG_BYTES, open_script_log


def test_cut__keeps_the_start_and_says_so(tmp_path: Path) -> None:
    log = open_script_log(str(tmp_path))
    with open(log.stdout, "ab") as script:
        script.write(b"first" + bytes(MAX_LOG_BYTES * 2))
        script.flush()
        log.cut()
        script.write(b"later")
    content = Path(log.stdout).read_bytes()
    assert len(content) < MAX_LOG_BYTES + 1000
    assert content.startswith(b"first")
    assert content.endswith(b"later")
    assert b"was cut" in content


@pytest.mark.parametrize("kind", ["removed", "file"])
def test_cut__does_without_logs_that_the_script_took_away(tmp_path: Path, kind: str) -> None:
    log = open_script_log(str(tmp_path / "logs"))
    shutil.rmtree(tmp_path / "logs")
    if kind == "file":
        (tmp_path / "logs").touch()
    log.cut()
    assert (tmp_path / "logs").exists() == (kind == "file")
