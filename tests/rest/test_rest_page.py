"""The commands of docs/rest.md, run by bash in their order against a real server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.control.samples import SCRIPT
from tests.rest.serving import serving

PAGE = Path(__file__).parents[2] / "docs" / "rest.md"


@pytest.fixture
def team(workspace: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A new workspace of the page's name, with the page's folders beside it."""
    for name, files in {
        "code": {"score.py": SCRIPT, "helper.py": "prefix = 'a'\n"},
        "model": {"words.txt": "good"},
        "texts": {f"{number}.txt": "good" for number in range(4)},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    # What the fake driver calls the job's results.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.csv").write_text("file,good\n0.txt,1\n")
    opened = Workspace.open(tmp_path / "team")
    yield opened
    for job in opened.jobs.list():
        job.wait(60)
    opened.close()


@pytest.mark.slow
def test_page__commands_do_what_it_says(team: Workspace, tmp_path: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    script = "set -euo pipefail\n" + "\n".join(blocks).replace(
        "named-outputs/score/moods.csv", "named-outputs/score/predictions.csv"
    )
    token = team.tokens.create(role="contributor").secret
    assert token is not None
    with serving(create_app(team, ServerConfig())) as address:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "SERVER": address, "TOKEN": token},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "\nCompleted\n" in done.stdout
    assert "file,good\n0.txt,1\n" in done.stdout
    assert "event: end\n" in done.stdout
    assert (tmp_path / "part.bin").read_bytes() == b"file,good\n0.txt,1\n"
    deployment = team.batch_deployments.get("mood-v1", "mood").record.document
    assert deployment["settings"]["mini_batch_size"] == 10
    assert team.batch_endpoints.get("mood").record.description == "how people feel"
