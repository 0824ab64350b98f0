"""A compiled folder with an environment, moved and submitted where nothing of it was built."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.targets.java import find_java
from tests.built_environments import (
    OWN_PYTHON,
    get_cache_variables,
    get_other_environment,
    get_other_request,
)
from tests.control.samples import write_deployment
from tests.spark.test_cluster import sparkscore

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys
import pandas as pd

def init(): ...

def run(batch):
    tells = {"python": "%d.%d" % sys.version_info[:2], "pandas": pd.__version__}
    return pd.DataFrame([{"file": os.path.basename(path), **tells} for path in batch])
"""


def test_compiled_folder__local_with_an_environment(tmp_path: Path) -> None:
    """Its scripts have another Python than the driver, although no cache is there any more."""
    request, packages = get_other_request(), get_other_environment().packages
    project = tmp_path / "project"
    asked = {"python_version": request.python, "requirements": [*request.requirements]}
    write_deployment(project, environment=asked)
    (project / "code" / "score.py").write_text(SCRIPT)
    sparkscore(
        project,
        *("compile", "--file", "deployment.yml", "--target", "local", "-o", "compiled"),
        *("--input", "in", "--output-path", "out"),
        environment={**os.environ, **get_cache_variables()},
    )
    shutil.move(project / "compiled", tmp_path / "moved")
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [tmp_path / "moved" / "submit.sh"],
        env={
            **os.environ,
            "JAVA_HOME": str(find_java(os.environ).home),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "SPARKSCORE_CACHE_DIR": str(tmp_path / "none"),
            "TMPDIR": str(tmp_path / "tmp"),
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with (project / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["file"] for row in rows}) == 8
    assert {row["python"] for row in rows} == {request.python} != {OWN_PYTHON}
    assert {row["pandas"] for row in rows} == {packages["pandas"]}
    assert not (tmp_path / "none").exists()
