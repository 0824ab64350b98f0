"""Models from an MLflow store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.control.mlflow_models import check_store, get_model_name
from sparkscore.control.one_shot import make_job, prepare_run
from sparkscore.control.options import RunOptions
from sparkscore.errors import UnresolvedReferenceError
from tests.control.samples import list_files, write_deployment

REGISTER = """
import logging, sys, warnings
warnings.simplefilter("ignore")
import mlflow
logging.disable(logging.CRITICAL)
with mlflow.start_run() as run:
    mlflow.log_artifacts(sys.argv[1], artifact_path="trained/model")
client = mlflow.MlflowClient()
client.create_registered_model("digits")
client.create_model_version("digits", f"{run.info.artifact_uri}/trained/model", run.info.run_id)
print(run.info.run_id)
"""


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("models:/digits/1", "digits"),
        ("models:/digits@champion", "digits"),
        ("models:/m-0123", "m-0123"),
        ("runs:/0123/trained/model", "model"),
        ("runs:/0123/model/", "model"),
    ],
)
def test_get_model_name__examples(reference: str, name: str) -> None:
    assert get_model_name(reference) == name


def test_check_store__nothing_configured(tmp_path: Path) -> None:
    with pytest.raises(UnresolvedReferenceError) as caught:
        check_store("models:/digits/1", environment={}, folder=tmp_path)
    assert caught.value.condition == "NO_MLFLOW_STORE"


def test_check_store__configured_or_beside_us(tmp_path: Path) -> None:
    check_store("models:/a/1", environment={"MLFLOW_TRACKING_URI": "http://x"}, folder=tmp_path)
    (tmp_path / "mlruns").mkdir()
    check_store("models:/a/1", environment={}, folder=tmp_path)


def run_options(tmp_path: Path, name: str, model: str) -> RunOptions:
    folder = tmp_path / name
    file = write_deployment(folder, model=model, code_configuration=None)
    return RunOptions(file=file, input=str(folder / "in"), job_folder=tmp_path / f"{name}-job")


@pytest.mark.slow
def test_make_job__models_of_runs_and_registry(
    tmp_path: Path, java_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "MLmodel").write_text(json.dumps({"flavors": {"python_function": {}}}))
    (trained / "weights.bin").write_bytes(b"\0")
    uri = f"sqlite:///{store / 'mlflow.db'}"
    registered = subprocess.run(
        [sys.executable, "-c", REGISTER, str(trained)],
        cwd=store,
        env={**java_environment, "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=True,
    )
    run_id = registered.stdout.split()[-1]
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sparkscore.control import RunOptions, make_job, prepare_run\n"
        "from sparkscore.errors import SparkscoreError\n"
        "for name in sys.argv[2:]:\n"
        "    file = Path(sys.argv[1], name, 'deployment.yml')\n"
        "    job_folder = Path(sys.argv[1], f'{name}-job')\n"
        "    options = RunOptions(file, str(file.parent / 'in'), job_folder=job_folder)\n"
        "    try:\n"
        "        make_job(prepare_run(options))\n"
        "    except SparkscoreError as error:\n"
        "        print(name, error.condition)\n"
    )
    run_options(tmp_path, "registry", "models:/digits/1")
    run_options(tmp_path, "run", f"runs:/{run_id}/trained/model")
    run_options(tmp_path, "missing", "models:/digits/7")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), "registry", "run", "missing"],
        cwd=Path(__file__).parent.parent.parent,
        env={**java_environment, "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "missing MODEL_NOT_FETCHED\n"
    for name, model in (("registry", "digits"), ("run", "model")):
        folder = tmp_path / f"{name}-job"
        files = list_files(folder / "model")
        assert files[:2] == [model, f"{model}/MLmodel"]
        assert files[-1] == f"{model}/weights.bin"
        launch = json.loads((folder / "launch.json").read_text())
        assert launch["scoring"]["model_name"] == model
    assert not (tmp_path / "missing-job").exists()


def test_make_job__no_store_leaves_nothing(
    tmp_path: Path,
    java_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DATABRICKS_RUNTIME_VERSION"):
        monkeypatch.delenv(name, raising=False)
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    prepared = prepare_run(
        run_options(tmp_path, "registry", "models:/digits/1"), environment=java_environment
    )
    with pytest.raises(UnresolvedReferenceError) as caught:
        make_job(prepared)
    assert caught.value.condition == "NO_MLFLOW_STORE"
    assert list_files(current) == []
    assert not (tmp_path / "registry-job").exists()


def test_make_job__model_from_a_store(tmp_path: Path, java_environment: dict[str, str]) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe("/sparkscore-models/digits/MLmodel", b'{"flavors": {"python_function": {}}}')
    store.pipe("/sparkscore-models/digits/data/weights.bin", b"\0")
    options = run_options(tmp_path, "store", "")
    options.file.write_text(
        options.file.read_text().replace("''", "{path: 'memory://sparkscore-models/digits'}")
    )
    job = make_job(prepare_run(options, environment=java_environment))
    assert list_files(job.folder / "model") == [
        "digits",
        "digits/MLmodel",
        "digits/data",
        "digits/data/weights.bin",
    ]
    store.rm("/sparkscore-models", recursive=True)
