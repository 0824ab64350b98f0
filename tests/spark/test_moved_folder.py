"""A compiled folder that was moved to a store, with the environment that it brings."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml

from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from tests.built_environments import (
    OWN_PYTHON,
    get_cache_variables,
    get_other_environment,
    get_other_request,
)
from tests.servers.store import StoreServer
from tests.spark.clusters import SPARK_HOME, cluster_environment

SCRIPT = """\
import os, sys
import pandas as pd

def init():
    pass

def run(mini_batch):
    row = {"python": "%d.%d" % sys.version_info[:2], "pandas": pd.__version__, "prefix": sys.prefix}
    return pd.DataFrame([{"file": os.path.basename(path), "good": is_good(path), **row}
                         for path in mini_batch])

def is_good(path):
    return "good" in open(path, encoding="utf-8").read()
"""
SUBMITTED = ("submit.sh", "score.py", "sparkscore.zip")
"""What the machine that submits needs; all else is in the store alone."""


def write_deployment(folder: Path) -> Path:
    request = get_other_request()
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "model.txt").write_text("good")
    deployment = {
        "name": "moods",
        "endpoint_name": "mood",
        "model": {"path": "model.txt"},
        "code_configuration": {"code": "code", "scoring_script": "score.py"},
        "environment": {
            "python_version": request.python,
            "requirements": list(request.requirements),
        },
        "mini_batch_size": 2,
        "error_threshold": -1,
        "retry_settings": {"max_retries": 0},
    }
    (folder / "deployment.yml").write_text(yaml.safe_dump(deployment))
    return folder / "deployment.yml"


def move_to_store(compiled: Path, kept: Path, *, staging: str) -> None:
    kept.mkdir()
    fsspec.filesystem("s3").put(f"{compiled}/", f"{staging}/", recursive=True)
    for name in SUBMITTED:
        shutil.move(compiled / name, kept / name)
    shutil.rmtree(compiled)


def submit(script: Path, disk: Path, *, staging: str) -> None:
    disk.mkdir()
    variables = {
        "SPARKSCORE_STAGING": staging,
        "SPARK_SUBMIT": str(SPARK_HOME / "bin" / "spark-submit"),
        "TMPDIR": str(disk),
    }
    done = subprocess.run(
        [str(script), "local[2]"],
        cwd=disk,
        env={**cluster_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]


@pytest.mark.slow
def test_moved_folder__brings_its_environment(
    s3_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = get_other_environment().packages
    for name, value in {**s3_store.environment, **get_cache_variables()}.items():
        monkeypatch.setenv(name, value)
    for number in range(9):
        s3_store.put(f"far/in/{number}.txt", b"\xff" if number == 4 else b"a good day")
    options = RunOptions(
        file=write_deployment(tmp_path / "mine"),
        input=f"{s3_store.uri}/far/in",
        output_path=f"{s3_store.uri}/far/out",
    )
    compiled, staging = tmp_path / "nightly", f"{s3_store.uri}/far/nightly"
    compile_deployment(CompileOptions(options, "spark-submit", compiled))
    move_to_store(compiled, tmp_path / "kept", staging=staging)
    submit(tmp_path / "kept" / "submit.sh", tmp_path / "disk", staging=staging)
    summary = json.loads(read(f"{staging}/summary.json"))
    assert summary["inputs"] == {"total": 9, "succeeded": 8, "failed": 1}
    rows: list[dict[str, Any]] = list(
        csv.DictReader(io.StringIO(read(f"{s3_store.uri}/far/out/predictions.csv")))
    )
    assert sorted(row["file"] for row in rows) == [f"{n}.txt" for n in range(9) if n != 4]
    assert {row["python"] for row in rows} == {get_other_request().python} != {OWN_PYTHON}
    assert {row["pandas"] for row in rows} == {packages["pandas"]}
    (prefix,) = {Path(row["prefix"]) for row in rows}
    assert prefix.parent == tmp_path / "disk" / f"sparkscore-archives-{os.getuid()}"
    assert not list((tmp_path / "disk").glob("sparkscore-nightly-*"))


def read(uri: str) -> str:
    store = fsspec.filesystem("s3")
    store.invalidate_cache()
    content: bytes = store.cat_file(uri)
    return content.decode()
