from __future__ import annotations

import os
import pty
import subprocess
import sys

from sparkscore.cli.upload import render_upload
from sparkscore.control.assets.upload import UploadProgress

CODE = """
from sparkscore.cli.upload import UploadReport
from sparkscore.control.assets.upload import UploadProgress
report = UploadReport()
for done in range(4):
    report(UploadProgress(file_count=3, files_done=done, byte_count=3_000, bytes_done=1_000 * done))
"""


def test_render__files_and_megabytes() -> None:
    progress = UploadProgress(
        file_count=1_200, files_done=300, byte_count=5_000_000, bytes_done=1_250_000
    )
    assert render_upload(progress) == "uploading: 300/1,200 files, 1.2/5.0 MB"


def test_report__bar_on_a_terminal_and_quiet_elsewhere() -> None:
    outside, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", CODE], stderr=terminal, env=environment)
    os.close(terminal)
    shown = os.read(outside, 100_000).decode()
    os.close(outside)
    assert done.returncode == 0
    assert "uploading 3/3 files" in shown
    quiet = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
