"""An MLflow model that another MLflow has saved, in the environment that it was saved with."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import yaml

from tests.built_environments import (
    OWN_PYTHON,
    get_cache_variables,
    get_other_environment,
    get_other_python,
    get_other_request,
)
from tests.spark.clusters import cluster_environment

MLFLOW = "mlflow-skinny==2.22.1"
"""What loads a model: MLflow without its server and what that needs."""

MODEL = """\
import sys
import mlflow
import pandas as pd

class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        frame = pd.DataFrame({"twice": model_input["amount"] * 2})
        frame["python"] = "%d.%d" % sys.version_info[:2]
        frame["pandas"], frame["mlflow"] = pd.__version__, mlflow.__version__
        return frame

mlflow.models.set_model(Doubler())
"""
SAVE = """\
import sys
import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

mlflow.pyfunc.save_model(
    "model",
    python_model="doubler.py",
    signature=ModelSignature(inputs=Schema([ColSpec("long", "amount")])),
    pip_requirements=sys.argv[1:],
)
"""


@pytest.mark.slow
def test_environment__of_an_mlflow_model(tmp_path: Path) -> None:
    environment = get_other_environment(MLFLOW)
    asked = get_other_request(MLFLOW).requirements
    (tmp_path / "doubler.py").write_text(MODEL)
    subprocess.run([environment.python, "-c", SAVE, *asked], cwd=tmp_path, check=True, timeout=120)
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / "in" / f"{number}.csv").write_text(f"amount\n{number}\n{number + 10}\n")
    (tmp_path / "in" / "4.csv").write_text("amount\noops\n")
    deployment = {
        "name": "doubler",
        "endpoint_name": "doubles",
        "model": {"path": "model"},
        "environment": "model",
        "error_threshold": -1,
        "retry_settings": {"max_retries": 0},
    }
    (tmp_path / "deployment.yml").write_text(yaml.safe_dump(deployment))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sparkscore.cli", "batch-deployment", "run"),
            *("--file", "deployment.yml", "--input", "in", "--output-path", "out"),
            *("--job-folder", "job", "--compute", "local[2]"),
        ],
        cwd=tmp_path,
        env={**cluster_environment(), **get_cache_variables()},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    launch = json.loads((tmp_path / "job" / "launch.json").read_text())
    assert launch["scoring"]["environment"]["python"] == environment.python
    summary = json.loads((tmp_path / "job" / "summary.json").read_text())
    assert summary["inputs"] == {"total": 5, "succeeded": 4, "failed": 1}
    with open(tmp_path / "out" / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["twice"]) for row in rows) == [0, 2, 4, 6, 20, 22, 24, 26]
    assert {row["python"] for row in rows} == {get_other_python()} != {OWN_PYTHON}
    assert {row["pandas"] for row in rows} == {environment.packages["pandas"]}
    assert {row["mlflow"] for row in rows} == {MLFLOW.partition("==")[2]} != {mlflow.__version__}
