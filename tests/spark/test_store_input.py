"""Inputs in an S3 store (a moto server): listed by the driver, fetched by the workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.store import StoreServer

DEPLOYMENT = """\
name: texts
endpoint_name: store
model: {path: ./model.txt}
code_configuration: {code: ./code, scoring_script: score.py}
mini_batch_size: 4
retry_settings: {max_retries: 0, timeout: 30}
"""
SCRIPT = """\
import os

def init():
    pass

def run(batch):
    rows = []
    for path in batch:
        with open(path) as file:
            text = file.read()
        if text == "bad":
            raise ValueError("bad text")
        rows.append({"file": os.path.basename(path), "text": text})
    return rows
"""


@pytest.fixture
def store(s3_store: StoreServer) -> dict[str, str]:
    """The environment that reaches a store with the folder ``s3://bucket/texts``."""
    for number in range(30):
        text = b"bad" if number == 21 else b"text %d" % number
        s3_store.put(f"texts/in/{number % 3}/{number:02d} é.txt", text)
    s3_store.put("texts/in/_hidden.txt", b"hidden")
    return dict(s3_store.environment)


def test_store__inputs_are_fetched_scored_and_removed(
    store: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "deployment.yml").write_text(DEPLOYMENT)
    (tmp_path / "model.txt").write_text("model")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    arguments = ["--file", "deployment.yml", "--input", "s3://bucket/texts/in"]
    arguments += ["--job-folder", "job", "-o", "json"]
    arguments += ["--conf", f"spark.local.dir={tmp_path / 'local'}"]
    done = subprocess.run(
        [sys.executable, "-m", "sparkscore.cli", "batch-deployment", "run", *arguments],
        cwd=tmp_path,
        env={**os.environ, **store},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["inputs"] == {"total": 30, "succeeded": 29, "failed": 1}
    lines = (tmp_path / "job" / "score" / "predictions.csv").read_text().splitlines()
    expected = sorted((f"{n % 3}/{n:02d} é.txt", n) for n in range(30) if n != 21)
    assert lines[1:] == [f"{path.split('/')[1]},text {n}" for path, n in expected]
    assert list((tmp_path / "local").rglob("*.txt")) == []
    assert "testing" not in (tmp_path / "job" / "launch.json").read_text()
