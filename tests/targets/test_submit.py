"""Commands and environments of the targets, started with a recording start."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sparkscore.errors import MissingDependencyError, SubmitError
from sparkscore.plan.spark_application import SparkApplication, plan_spark_application
from sparkscore.targets import local, spark_submit
from sparkscore.targets.environment import get_spark_home, make_driver_environment
from sparkscore.targets.local.submit import submit_application as submit_local
from sparkscore.targets.spark_submit.submit import check_master
from sparkscore.targets.spark_submit.submit import submit_application as submit_to_cluster
from tests.control.samples import write_java


class Recorder:
    """Starts nothing of Spark; remembers what it was asked to start."""

    def __init__(self) -> None:
        self.arguments: tuple[str, ...] = ()
        self.environment: dict[str, str] = {}

    def __call__(
        self, arguments: Sequence[str], /, *, environment: Mapping[str, str], log_file: Path
    ) -> subprocess.Popen[bytes]:
        self.arguments, self.environment = tuple(arguments), dict(environment)
        return subprocess.Popen(["true"])


def make_application(master: str | None) -> SparkApplication:
    return plan_spark_application(
        "job-1",
        entry_point="/jobs/job-1/score.py",
        launch_path="/jobs/job-1/launch.json",
        job_folder="/jobs/job-1",
        machine=None,
        master=master,
        spark_conf={"spark.executor.extraJavaOptions": "-Da='b c'"},
        py_files=("/jobs/job-1/sparkscore.zip",),
    )


def test_local__command(tmp_path: Path) -> None:
    recorder = Recorder()
    compiled = local.LocalTarget().compile(make_application(None))
    run = submit_local(compiled, environment={"A": "1"}, log_file=tmp_path / "l", start=recorder)
    run.process.wait()
    assert recorder.arguments == (
        sys.executable,
        "-m",
        "sparkscore.driver",
        "/jobs/job-1/launch.json",
    )
    assert recorder.environment == {"A": "1"}
    assert run.marker == "/jobs/job-1/launch.json"


def test_spark_submit__command(tmp_path: Path) -> None:
    recorder = Recorder()
    compiled = spark_submit.SparkSubmitTarget().compile(make_application("spark://host:7077"))
    run = submit_to_cluster(
        compiled, environment={"SPARK_HOME": "/spark"}, log_file=tmp_path / "l", start=recorder
    )
    run.process.wait()
    command = recorder.arguments[recorder.arguments.index("/spark/bin/spark-submit") :]
    assert command[1:3] == ("--master", "spark://host:7077")
    assert "spark.executor.extraJavaOptions=-Da='b c'" in command
    assert command[-4:] == (
        "--py-files",
        "/jobs/job-1/sparkscore.zip",
        "/jobs/job-1/score.py",
        "/jobs/job-1/launch.json",
    )


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({}, []),
        ({"spark.pyspark.python": "/w"}, [f"spark.pyspark.driver.python={sys.executable}"]),
        ({"spark.pyspark.python": "/w", "spark.pyspark.driver.python": "/d"}, []),
    ],
)
def test_spark_submit__python_of_workers_is_not_the_drivers(
    tmp_path: Path, given: dict[str, str], added: list[str]
) -> None:
    recorder = Recorder()
    application = make_application("spark://host:7077")
    conf = {**application.conf, **given}
    compiled = spark_submit.SparkSubmitTarget().compile(replace(application, conf=conf))
    submit_to_cluster(
        compiled, environment={"SPARK_HOME": "/spark"}, log_file=tmp_path / "l", start=recorder
    ).process.wait()
    ours = recorder.arguments[: recorder.arguments.index("--master")]
    assert [word for word in ours if word.startswith("spark.pyspark")] == added


@pytest.mark.parametrize(
    ("stops", "first"), [("0", "/spark/bin/spark-submit"), ("1", sys.executable)]
)
def test_spark_submit__detached_goes_on_without_us(tmp_path: Path, stops: str, first: str) -> None:
    recorder = Recorder()
    compiled = spark_submit.SparkSubmitTarget().compile(make_application("spark://host:7077"))
    environment = {"SPARK_HOME": "/spark", "SPARKSCORE_STOP_WITH_PARENT": stops}
    log_file = tmp_path / "log"
    submit_to_cluster(
        compiled, environment=environment, log_file=log_file, start=recorder
    ).process.wait()
    assert recorder.arguments[0] == first


@pytest.mark.parametrize(("is_detached", "stops"), [(True, "0"), (False, "1")])
def test_make_driver_environment__detached(tmp_path: Path, is_detached: bool, stops: str) -> None:
    given = {
        "JAVA_HOME": str(write_java(tmp_path / "java")),
        "SPARKSCORE_STOP_WITH_PARENT": "1",
    }
    made = make_driver_environment(given, worker_python=sys.executable, is_detached=is_detached)
    assert made["SPARKSCORE_STOP_WITH_PARENT"] == stops


def test_make_driver_environment__leads_spark_to_our_python(tmp_path: Path) -> None:
    given = {
        "JAVA_HOME": str(write_java(tmp_path / "java")),
        "SPARK_HOME": "/another/spark",
        "PYSPARK_PYTHON": "/another/python",
        "PYSPARK_SUBMIT_ARGS": "--master yarn pyspark-shell",
        "SPARK_REMOTE": "sc://host",
        "SPARK_LOCAL_DIRS": "/scratch",
        "HOME": "/home/user",
    }
    made = make_driver_environment(given, worker_python=sys.executable)
    assert made["PYSPARK_PYTHON"] == made["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert made["SPARK_HOME"] != "/another/spark"
    assert (made["SPARK_LOCAL_DIRS"], made["HOME"]) == ("/scratch", "/home/user")
    assert not {"PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE"} & set(made)


def test_spark_submit__keeps_the_python_of_the_workers(tmp_path: Path) -> None:
    given = {"JAVA_HOME": str(write_java(tmp_path / "java")), "PYSPARK_PYTHON": "/opt/python"}
    with socket.create_server(("127.0.0.1", 0)) as master:
        made = spark_submit.SparkSubmitTarget().get_environment(
            given, master=f"spark://127.0.0.1:{master.getsockname()[1]}"
        )
    assert made["PYSPARK_PYTHON"] == "/opt/python"
    assert made["PYSPARK_DRIVER_PYTHON"] == sys.executable


def test_get_spark_home__of_this_python() -> None:
    assert (get_spark_home({}) / "bin" / "spark-submit").is_file()


def test_get_spark_home__does_not_import_pyspark() -> None:
    code = (
        "import sys\n"
        "from sparkscore.targets.environment import get_spark_home\n"
        "get_spark_home({})\n"
        "print('pyspark' in sys.modules)\n"
    )
    repository = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_get_spark_home__no_pyspark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "pyspark", raising=False)
    with pytest.raises(MissingDependencyError) as caught:
        get_spark_home({})
    assert caught.value.condition == "SPARK_NOT_FOUND"
    (tmp_path / "spark" / "jars").mkdir(parents=True)
    assert get_spark_home({"SPARK_HOME": str(tmp_path / "spark")}) == tmp_path / "spark"


def test_check_master__one_of_several_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as master:
        check_master(f"spark://127.0.0.1:9,127.0.0.1:{master.getsockname()[1]}")


@pytest.mark.parametrize("address", ["nowhere.invalid:7077", ".a..b:7077", "a" * 300 + ":7077"])
def test_check_master__nobody_answers(address: str) -> None:
    with pytest.raises(SubmitError) as caught:
        check_master(f"spark://127.0.0.1:9,{address}", timeout_seconds=1)
    assert caught.value.condition == "MASTER_UNREACHABLE"
    assert address in caught.value.message
