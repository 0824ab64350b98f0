"""The MLflow script as one file: what ``generate-script`` writes runs without sparkscore."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

from sparkscore.control.generate import join_script


def test_join__has_no_import_of_ours_and_no_name_twice() -> None:
    tree = ast.parse(join_script())
    modules = [getattr(n, "module", None) or n.names[0].name for n in ast.walk(tree)
               if isinstance(n, (ast.Import, ast.ImportFrom))]  # fmt: skip
    assert not [name for name in modules if name.startswith("sparkscore")]
    names = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    assert len(names) == len(set(names))
    assert {"init", "run"} <= set(names)


def test_join__scores_in_an_interpreter_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(join_script(), encoding="utf-8")
    (tmp_path / "in.csv").write_text("k,id\n1,007\nx,8\n3,9\n")
    code = """
import sys
sys.modules["sparkscore"] = None
import mlflow.pyfunc, score
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
class Doubles(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["k"] * 2
signature = ModelSignature(inputs=Schema([ColSpec("long", "k")]))
mlflow.pyfunc.save_model("model", python_model=Doubles(), signature=signature, pip_requirements=[])
score.init()
table = score.run(["in.csv"])
print(table.to_pylist(), table.schema.metadata[b"sparkscore"].decode(), sep="\\n")
"""
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AZUREML_MODEL_DIR": str(tmp_path),
        "SPARKSCORE_ON_BAD_ROW": "skip",
        "SPARKSCORE_PASSTHROUGH_COLUMNS": '["id"]',
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **settings, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    result, account = done.stdout.splitlines()
    assert ast.literal_eval(result) == [
        {"file": "in.csv", "row": 0, "id": "007", "prediction": 2},
        {"file": "in.csv", "row": 2, "id": "9", "prediction": 6},
    ]
    assert [bad["row"] for bad in json.loads(account)["bad_rows"]] == [1]
