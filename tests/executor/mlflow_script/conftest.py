"""The MLflow script on real models, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sparkscore.executor import mlflow_script
from tests.executor.mlflow_script.models import (
    SEEN,
    Probe,
    Save,
    Score,
    Start,
    save_quietly,
    write_file,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def save(models: Path) -> Save:
    """Saves a model that gives ``answer(input)``; a column's type with ``?`` is optional."""
    # Not before ``models`` has told MLflow to send nothing.
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    saved: dict[str, str] = {}

    def column(kind: str, name: str) -> Any:
        return ColSpec(kind.rstrip("?"), name, required=not kind.endswith("?"))

    def write(
        answer: Callable[[Any], Any],
        columns: Mapping[str, str] | None = None,
        *,
        tensors: Any = None,
        outputs: Any = None,
    ) -> str:
        inputs = Schema(tensors) if tensors else None
        if columns:
            inputs = Schema([column(kind, name) for name, kind in columns.items()])
        key = repr((answer, inputs, outputs))
        if key not in saved:
            saved[key] = f"model{len(saved)}"
            save_quietly(
                mlflow.pyfunc,
                models / saved[key],
                python_model=Probe(answer),
                signature=ModelSignature(inputs=inputs, outputs=outputs) if inputs else None,
                pip_requirements=[],
            )
        return saved[key]

    return write


@pytest.fixture
def start(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Calls ``init`` with settings; gives a function that writes files and scores them."""

    def begin(model: str, *, on_bad_row: str = "fail", passthrough: Any = ()) -> Score:
        copied = passthrough if isinstance(passthrough, str) else list(passthrough)
        monkeypatch.setenv("AZUREML_MODEL_DIR", str(models))
        monkeypatch.setenv("SPARKSCORE_MODEL_NAME", model)
        monkeypatch.setenv("SPARKSCORE_INPUT_ROOT", str(tmp_path / "in"))
        monkeypatch.setenv("SPARKSCORE_ON_BAD_ROW", on_bad_row)
        monkeypatch.setenv("SPARKSCORE_PASSTHROUGH_COLUMNS", json.dumps(copied))
        mlflow_script.init()
        return score

    def score(**files: Any) -> Any:
        paths = [write_file(tmp_path / "in", name, content) for name, content in files.items()]
        return mlflow_script.run(paths)

    yield begin
    SEEN.clear()
