"""Everything about a job is checked before anything is made."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.one_shot import PreparedRun, make_job, prepare_run
from sparkscore.control.options import RunOptions
from sparkscore.errors import (
    AlreadyExistsError,
    EmptyInputError,
    InputNotFoundError,
    InvalidFieldError,
    MissingDependencyError,
    SparkscoreError,
    SubmitError,
    UnknownTargetError,
    UnresolvedReferenceError,
)
from sparkscore.messages.codec import from_json
from sparkscore.messages.launch import LaunchMessage
from sparkscore.targets import environment as driver_environment
from sparkscore.targets.java import find_java
from tests.control.samples import list_files, write_deployment, write_java

Prepare = Callable[..., PreparedRun]


@pytest.fixture
def prepare(tmp_path: Path, java_environment: dict[str, str]) -> Prepare:
    """Prepares a job of a deployment with these fields, the options given in ``options``."""

    def prepare(options: dict[str, Any] | None = None, **fields: Any) -> PreparedRun:
        folder = tmp_path / "deployment"
        given = {
            "file": write_deployment(folder, **fields),
            "input": str(folder / "in"),
            "job_folder": tmp_path / "jobs" / "job-1",
            **(options or {}),
        }
        return prepare_run(RunOptions(**given), environment=java_environment)

    return prepare


def test_make_job__job_folder(prepare: Prepare, tmp_path: Path) -> None:
    prepared = prepare()
    assert not (tmp_path / "jobs").exists()
    job = make_job(prepared)
    assert list_files(tmp_path / "jobs") == [
        "job-1",
        "job-1/code",
        "job-1/code/helper.py",
        "job-1/code/score.py",
        "job-1/launch.json",
        "job-1/model",
        "job-1/model/model",
        "job-1/model/model/weights.bin",
        "job-1/submit.sh",
    ]
    file = job.folder / "launch.json"
    assert from_json(LaunchMessage, file.read_text(), where=str(file)) == job.launch


def test_make_job__launch_message(prepare: Prepare, tmp_path: Path) -> None:
    launch = make_job(
        prepare(
            {
                "limit": 5,
                "include": ("*.txt",),
                "exclude": ("9*",),
                "mini_batch_size": 2,
                "conf": ("spark.x=1=2",),
                "instance_count": 3,
            },
            max_concurrency_per_instance=2,
            output_file_name="results.parquet",
            environment_variables={"LEVEL": "1"},
            spark_conf={"spark.x": "0", "spark.y": "0"},
            passthrough_columns="all",
            memory_limit="1g",
        )
    ).launch
    job_folder = tmp_path / "jobs" / "job-1"
    assert (launch.job_name, launch.job_folder) == ("job-1", str(job_folder))
    assert launch.input.uri == str(tmp_path / "deployment" / "in")
    assert (launch.input.include, launch.input.exclude) == (("*.txt",), ("9*",))
    assert launch.input.limit == 5
    assert launch.output.path == str(job_folder / "score")
    assert (launch.output.format, launch.output.file_name) == ("parquet", "results.parquet")
    assert (launch.instance_count, launch.max_concurrency_per_instance) == (3, 2)
    assert launch.spark_conf == {"spark.x": "1=2", "spark.y": "0"}
    assert launch.master is None
    scoring = launch.scoring
    assert scoring.model_folder == str(job_folder / "model")
    assert (scoring.model_name, scoring.scoring_script) == ("model", "score.py")
    assert scoring.code_folder == str(job_folder / "code")
    assert scoring.mini_batch_size == 2
    assert scoring.environment_variables == {"LEVEL": "1"}
    assert scoring.passthrough_columns == ("*",)
    assert scoring.memory_limit_bytes == 1024**3
    assert re.fullmatch("[0-9a-f]{64}", scoring.digest)
    assert launch.settings["compute"] == "azureml:cpu-cluster"


def test_make_job__model_file_keeps_its_name(prepare: Prepare) -> None:
    launch = make_job(prepare(model={"path": "model/weights.bin"})).launch
    assert launch.scoring.model_name == "weights.bin"
    assert Path(launch.scoring.model_folder, "weights.bin").is_file()


def test_make_job__for_a_standalone_cluster(prepare: Prepare) -> None:
    with socket.create_server(("127.0.0.1", 0)) as master:
        url = f"spark://127.0.0.1:{master.getsockname()[1]}"
        job = make_job(prepare({"compute": url, "conf": ("spark.executor.memory=3g",)}))
    assert job.launch.master == url
    arguments = job.compiled.arguments
    assert arguments[arguments.index("--master") + 1] == url
    assert "spark.executor.memory=3g" in arguments
    assert arguments[arguments.index("--py-files") + 1] == str(job.folder / "sparkscore.zip")
    assert arguments[-2:] == (str(job.folder / "score.py"), str(job.folder / "launch.json"))
    assert (job.folder / "sparkscore.zip").is_file()
    assert (job.folder / "score.py").is_file()


def test_prepare_run__local_with_a_number_of_cores(prepare: Prepare) -> None:
    prepared = prepare({"compute": "local[2]"})
    assert prepared.place.master == "local[2]"
    assert prepared.messages[0] == "job job-1 runs locally"


def test_prepare_run__default_job_folder_and_name(
    prepare: Prepare, in_folder: Callable[[], Path]
) -> None:
    current = in_folder()
    place = prepare({"job_folder": None}).place
    assert re.fullmatch(r"digit-endpoint-\d{8}-\d{6}-[0-9a-f]{6}", place.job_name)
    assert place.job_folder == current / "sparkscore-jobs" / place.job_name
    assert list_files(current) == []


def test_prepare_run__relative_paths_start_here_or_at_the_file(
    prepare: Prepare, in_folder: Callable[[], Path]
) -> None:
    current = in_folder()
    (current / "data").mkdir()
    (current / "data" / "a").write_text("a")
    place = prepare({"input": "data", "output_path": "out"}).place
    assert place.input.uri == str(current / "data")
    assert place.output.path == str(current / "out")


def test_prepare_run__says_where_it_runs(prepare: Prepare) -> None:
    first, second, *others = prepare().messages
    assert first == (
        "job job-1 runs locally (compute azureml:cpu-cluster is recorded, not used; pass "
        "--compute to choose)"
    )
    assert second.startswith("job folder ")
    assert others == []


def test_prepare_run__warns_of_an_environment(prepare: Prepare) -> None:
    (warning,) = prepare(environment={"image": "python:3.11"}).messages[2:]
    assert warning.startswith("warning: image python:3.11 starts no container: scripts run in")


@pytest.mark.parametrize(
    ("options", "kind", "condition"),
    [
        ({"input": "/nonexistent"}, InputNotFoundError, "INPUT_NOT_FOUND"),
        ({"input": "azureml:data:1"}, UnresolvedReferenceError, "NO_WORKSPACE"),
        ({"input": "azureml://datastores/d/paths/p"}, UnresolvedReferenceError, "NO_WORKSPACE"),
        ({"input": ""}, SparkscoreError, "NO_INPUT"),
        ({"conf": ("spark.x",)}, InvalidFieldError, "INVALID_CONF"),
        ({"conf": ("spark.master=local",)}, InvalidFieldError, "REFUSED_CONF"),
        ({"conf": ("x=1",)}, InvalidFieldError, "REFUSED_CONF"),
        ({"compute": "yarn"}, UnknownTargetError, "UNKNOWN_COMPUTE"),
        ({"compute": "azureml:cpu"}, UnknownTargetError, "UNKNOWN_COMPUTE"),
        ({"compute": "spark://127.0.0.1:9"}, SubmitError, "MASTER_UNREACHABLE"),
        ({"job_folder": Path("/")}, AlreadyExistsError, "JOB_EXISTS"),
        ({"output_path": "/dev/null"}, SparkscoreError, "OUTPUT_NOT_A_FOLDER"),
        ({"overrides": ("mini_batch_size=many",)}, InvalidFieldError, "INVALID_FIELD"),
    ],
)
def test_prepare_run__refuses_options(
    prepare: Prepare,
    tmp_path: Path,
    options: dict[str, Any],
    kind: type[SparkscoreError],
    condition: str,
) -> None:
    with pytest.raises(kind) as caught:
        prepare(options)
    assert caught.value.condition == condition
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize(
    ("fields", "condition", "line"),
    [
        ({"model": {"path": "nope"}}, "MODEL_NOT_FOUND", True),
        ({"model": {"path": "n" * 300}}, "MODEL_NOT_FOUND", True),
        ({"model": "azureml:digits:1"}, "NO_WORKSPACE", True),
        ({"model": "azureml:digits@latest"}, "NO_WORKSPACE", True),
        ({"code_configuration": None}, "MODEL_WITHOUT_SCRIPT", True),
        (
            {"code_configuration": {"code": "nope", "scoring_script": "score.py"}},
            "CODE_NOT_FOUND",
            True,
        ),
        (
            {"code_configuration": {"code": "azureml:code:1", "scoring_script": "score.py"}},
            "NO_WORKSPACE",
            True,
        ),
        (
            {"code_configuration": {"code": "code", "scoring_script": "nope.py"}},
            "SCRIPT_NOT_FOUND",
            True,
        ),
    ],
)
def test_prepare_run__refuses_references(
    prepare: Prepare, tmp_path: Path, fields: dict[str, Any], condition: str, line: bool
) -> None:
    with pytest.raises(UnresolvedReferenceError) as caught:
        prepare(**fields)
    assert caught.value.condition == condition
    assert caught.value.attributes["file"] == str(tmp_path / "deployment" / "deployment.yml")
    assert (caught.value.attributes["line"] is not None) == line
    assert not (tmp_path / "jobs").exists()


def test_prepare_run__input_without_files(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyInputError):
        prepare({"input": str(tmp_path / "empty")})


def test_prepare_run__job_folder_inside_the_input(prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(SparkscoreError) as caught:
        prepare({"job_folder": tmp_path / "deployment" / "in" / "job"})
    assert caught.value.condition == "JOB_FOLDER_IN_INPUT"


def test_prepare_run__output_exists(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.csv").write_text("x")
    with pytest.raises(AlreadyExistsError) as caught:
        prepare({"output_path": str(tmp_path / "out")})
    assert caught.value.condition == "OUTPUT_EXISTS"


@pytest.mark.parametrize(("version", "condition"), [(None, "JAVA_NOT_FOUND"), (11, "JAVA_TOO_OLD")])
def test_prepare_run__java_missing_or_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int | None, condition: str
) -> None:
    folder = tmp_path / "deployment"
    if version is not None:
        write_java(tmp_path / "java", version=version)
    monkeypatch.setattr(driver_environment, "find_java", functools.partial(find_java, places=()))
    options = RunOptions(
        file=write_deployment(folder), input=str(folder / "in"), job_folder=tmp_path / "job"
    )
    with pytest.raises(MissingDependencyError) as caught:
        prepare_run(options, environment={"JAVA_HOME": str(tmp_path / "java"), "PATH": ""})
    assert caught.value.condition == condition
    assert not (tmp_path / "job").exists()


def write_mlmodel(folder: Path, *flavours: str) -> None:
    content = {"flavors": {name: {"loader_module": "m"} for name in flavours}}
    (folder / "MLmodel").write_text(json.dumps(content))


def test_prepare_run__mlflow_model_needs_no_script(
    tmp_path: Path, java_environment: dict[str, str]
) -> None:
    folder = tmp_path / "deployment"
    file = write_deployment(folder, code_configuration=None)
    write_mlmodel(folder / "model", "python_function", "sklearn")
    options = RunOptions(file=file, input=str(folder / "in"), job_folder=tmp_path / "job")
    launch = make_job(prepare_run(options, environment=java_environment)).launch
    assert launch.scoring.code_folder is None
    assert launch.scoring.scoring_script is None


def test_prepare_run__mlflow_model_without_pyfunc(
    tmp_path: Path, java_environment: dict[str, str]
) -> None:
    folder = tmp_path / "deployment"
    file = write_deployment(folder, code_configuration=None)
    write_mlmodel(folder / "model", "spark", "mleap")
    options = RunOptions(file=file, input=str(folder / "in"), job_folder=tmp_path / "job")
    with pytest.raises(UnresolvedReferenceError) as caught:
        prepare_run(options, environment=java_environment)
    assert caught.value.condition == "MODEL_WITHOUT_PYFUNC"
    assert caught.value.attributes["flavours"] == ["mleap", "spark"]


def test_make_job__job_folder_appeared_meanwhile(prepare: Prepare, tmp_path: Path) -> None:
    prepared = prepare()
    (tmp_path / "jobs" / "job-1").mkdir(parents=True)
    (tmp_path / "jobs" / "job-1" / "theirs").write_text("x")
    with pytest.raises(AlreadyExistsError):
        make_job(prepared)
    assert list_files(tmp_path / "jobs") == ["job-1", "job-1/theirs"]


def test_make_job__model_vanished_meanwhile(prepare: Prepare, tmp_path: Path) -> None:
    prepared = prepare()
    (tmp_path / "deployment" / "model" / "weights.bin").unlink()
    (tmp_path / "deployment" / "model").rmdir()
    with pytest.raises(UnresolvedReferenceError) as caught:
        make_job(prepared)
    assert caught.value.condition == "COPY_FAILED"
    assert not (tmp_path / "jobs").exists()


def test_make_job__same_deployment_same_digest(prepare: Prepare, tmp_path: Path) -> None:
    prepared = prepare()
    other = dataclasses.replace(
        prepared,
        place=dataclasses.replace(
            prepared.place,
            job_name="job-2",
            job_folder=tmp_path / "jobs" / "job-2",
            files=tmp_path / "jobs" / "job-2",
        ),
    )
    digests = {make_job(run).launch.scoring.digest for run in (prepared, other)}
    assert len(digests) == 1
