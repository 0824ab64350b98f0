"""Jobs whose scripts run in an environment: another Python, other packages than Spark's workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkscore.messages.launch import EnvironmentMessage
from tests.built_environments import (
    OWN_PYTHON,
    get_cache_variables,
    get_other_environment,
    get_other_request,
)
from tests.spark.clusters import cluster_environment

SCRIPT = """
import os, sys
import pandas as pd
import six

def init():
    pass

def run(batch):
    row = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "pandas": pd.__version__,
           "six": six.__version__, "prefix": sys.prefix}
    return pd.DataFrame([{"file": os.path.basename(path), **row} for path in batch])
"""


def check_rows(rows: list[dict[str, str]], count: int) -> None:
    packages = get_other_environment().packages
    assert len(rows) == len({row["file"] for row in rows}) == count
    assert {row["python"] for row in rows} == {get_other_request().python} != {OWN_PYTHON}
    assert {row["pandas"] for row in rows} == {packages["pandas"]}
    assert {row["six"] for row in rows} == {packages["six"]}


@pytest.mark.slow
def test_environment__of_a_local_job(run_job: Any) -> None:
    environment = get_other_environment()
    message = EnvironmentMessage("other", environment.python)
    job = run_job(SCRIPT, 8, environment=message, digest="other python")
    assert job.summary.inputs.succeeded == 8
    check_rows(job.rows(), 8)
    assert {row["prefix"] for row in job.rows()} == {str(environment.folder)}


@pytest.mark.slow
@pytest.mark.cluster
def test_environment__goes_to_executors_by_itself(tmp_path: Path) -> None:
    """From a deployment file to the executors of a cluster, which unpack it once."""
    request = get_other_request()
    get_other_environment()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    (tmp_path / "model.txt").write_text("model")
    (tmp_path / "in").mkdir()
    for number in range(8):
        (tmp_path / "in" / f"{number}.txt").write_text("x")
    deployment = {
        "name": "other-python",
        "endpoint_name": "files",
        "model": {"path": "model.txt"},
        "code_configuration": {"code": "code", "scoring_script": "score.py"},
        "environment": {
            "python_version": request.python,
            "requirements": list(request.requirements),
        },
        "mini_batch_size": 1,
    }
    (tmp_path / "deployment.yml").write_text(yaml.safe_dump(deployment))
    (tmp_path / "tmp").mkdir()
    variables = {
        **cluster_environment(),
        **get_cache_variables(),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sparkscore.cli", "batch-deployment", "run"),
            *("--file", "deployment.yml", "--input", "in", "--output-path", "out"),
            *("--job-folder", "job", "--compute", "local-cluster[2,1,1024]"),
        ],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    rows = read_rows(tmp_path / "out")
    check_rows(rows, 8)
    (unpacked,) = {Path(row["prefix"]) for row in rows}
    assert unpacked.parent == tmp_path / "tmp" / f"sparkscore-archives-{os.getuid()}"
    launch = json.loads((tmp_path / "job" / "launch.json").read_text())
    archive = Path(launch["scoring"]["environment"]["archive"])
    assert archive.parent == tmp_path / "job"
    assert archive.exists()
    score_where_nothing_is_shared(launch, tmp_path, variables)
    check_rows(read_rows(tmp_path / "far-out"), 8)


def score_where_nothing_is_shared(
    launch: dict[str, Any], folder: Path, variables: dict[str, str]
) -> None:
    """The same job, whose workers see neither the archive nor what the first job unpacked."""
    launch["job_name"] = launch["scoring"]["job_name"] = "far"
    launch["job_folder"], launch["relay"] = str(folder / "far"), True
    launch["output"]["path"] = str(folder / "far-out")
    (folder / "far").mkdir()
    (folder / "far" / "launch.json").write_text(json.dumps(launch))
    (folder / "far-tmp").mkdir()
    subprocess.run(
        [sys.executable, "-m", "sparkscore.driver", str(folder / "far" / "launch.json")],
        cwd=folder,
        env={**variables, "TMPDIR": str(folder / "far-tmp")},
        timeout=250,
        check=True,
    )


def read_rows(folder: Path) -> list[dict[str, str]]:
    import csv

    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
