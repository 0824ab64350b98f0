"""The submit.sh of a compiled folder, run by sh with a spark-submit that tells its arguments."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sparkscore.driver import delta_jars
from sparkscore.plan.spark_application import plan_spark_application
from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.spark_submit import SparkSubmitTarget
from sparkscore.targets.spark_submit.compile import MASTER
from sparkscore.targets.spark_submit.script import DELTA_PACKAGE

SHELLCHECK = Path(sys.executable).parent / "shellcheck"
KUBERNETES = {"SPARKSCORE_IMAGE": "scoring:1", "SPARKSCORE_STAGING": "s3://bucket/job"}
YARN = {"HADOOP_CONF_DIR": "/etc/hadoop"}


def compile_job(master: str = MASTER, **options: Any) -> CompiledApplication:
    application = plan_spark_application(
        "job's 1",
        entry_point="/jobs/job-1/score.py",
        launch_path="/jobs/job-1/launch.json",
        job_folder="/jobs/job-1",
        machine=None,
        master=master,
        py_files=("/jobs/job-1/sparkscore.zip",),
        **{"spark_conf": {"spark.executor.extraJavaOptions": "-Da='b c'"}, **options},
    )
    return SparkSubmitTarget().compile(application)


def write_files(compiled: CompiledApplication, folder: Path) -> Path:
    """The compiled folder with a ``spark-submit`` beside it; gives the submit script."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in compiled.files.items():
        (folder / name).write_text(text)
    show = folder.parent / "show"
    show.write_text('#!/bin/sh\nfor argument; do printf "%s\\n" "$argument"; done\n')
    show.chmod(0o755)
    return folder / "submit.sh"


def run_script(
    script: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    show = str(script.parent.parent / "show")
    environment = {"PATH": os.environ["PATH"], "SPARK_SUBMIT": show, **(variables or {})}
    return subprocess.run(
        ["/bin/sh", str(script), *arguments], env=environment, capture_output=True, text=True
    )


def read_arguments(script: Path, *arguments: str, **variables: str) -> list[str]:
    done = run_script(script, *arguments, variables=variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def find_values(arguments: list[str], flag: str) -> list[str]:
    return [value for name, value in itertools.pairwise(arguments) if name == flag]


def test_script__standalone(tmp_path: Path) -> None:
    compiled = compile_job(instance_count=2, max_concurrency_per_instance=3)
    script = write_files(compiled, tmp_path / "folder with a blank")
    arguments = read_arguments(script, "spark://host:7077")
    assert arguments[:6] == [
        *("--master", "spark://host:7077", "--deploy-mode", "client", "--name", "job's 1"),
    ]
    assert find_values(arguments, "--total-executor-cores") == ["6"]
    assert find_values(arguments, "--executor-cores") == ["3"]
    assert find_values(arguments, "--num-executors") == ["2"]
    assert "spark.executor.extraJavaOptions=-Da='b c'" in find_values(arguments, "--conf")
    folder = script.parent
    assert find_values(arguments, "--py-files") == [f"{folder}/sparkscore.zip"]
    assert arguments[-2:] == [f"{folder}/score.py", f"{folder}/launch.json"]


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_script__yarn(tmp_path: Path, mode: str) -> None:
    script = write_files(compile_job(instance_count=2), tmp_path / "job")
    arguments = read_arguments(script, "yarn", mode, "--queue", "nightly", **YARN)
    assert arguments[:4] == ["--master", "yarn", "--deploy-mode", mode]
    assert find_values(arguments, "--queue") == ["nightly"]
    sockets = [text for text in find_values(arguments, "--conf") if "domain.socket" in text]
    assert sockets[-1] == "spark.python.unix.domain.socket.enabled=false"
    assert find_values(arguments, "--total-executor-cores") == []
    assert find_values(arguments, "--py-files") == [f"{tmp_path}/job/sparkscore.zip"]


def test_script__kubernetes_cluster_mode(tmp_path: Path) -> None:
    script = write_files(compile_job(), tmp_path / "job")
    given = {**KUBERNETES, "SPARKSCORE_NAMESPACE": "scoring"}
    arguments = read_arguments(script, "k8s://https://host:6443", "cluster", **given)
    conf = find_values(arguments, "--conf")
    assert "spark.kubernetes.container.image=scoring:1" in conf
    assert "spark.kubernetes.namespace=scoring" in conf
    assert "spark.kubernetes.authenticate.driver.serviceAccountName=default" in conf
    assert find_values(arguments, "--py-files") == []  # the image has sparkscore
    assert arguments[-2:] == [
        "local:///opt/sparkscore/jobs/score.py",
        "s3://bucket/job/launch.json",
    ]


def test_script__options_come_after_its_own(tmp_path: Path) -> None:
    compiled = compile_job(spark_conf={"spark.executor.memory": "2g", "spark.x": "ours"})
    script = write_files(compiled, tmp_path / "job")
    given = ("--executor-memory", "8g", "--conf", "spark.x=theirs")
    arguments = read_arguments(script, "spark://host:1", *given)
    assert find_values(arguments, "--executor-memory") == ["2g", "8g"]
    conf = find_values(arguments, "--conf")
    assert conf.index("spark.x=theirs") > conf.index("spark.x=ours")


def test_script__master_of_the_compute(tmp_path: Path) -> None:
    script = write_files(compile_job("spark://own:7077"), tmp_path / "job")
    assert read_arguments(script)[:2] == ["--master", "spark://own:7077"]
    assert read_arguments(script, "local[2]")[:2] == ["--master", "local[2]"]
    assert read_arguments(script, "client", "--verbose")[-3] == "--verbose"


@pytest.mark.parametrize("folder", ["/etc/hadoop", None])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "MASTER is missing"),
        (("nowhere",), "nowhere is no master"),
        (("spark://h:1", "cluster"), "client mode only"),
        (("local[2]", "cluster"), "client mode only"),
        (("k8s://https://h",), "needs SPARKSCORE_IMAGE"),
    ],
)
def test_script__refuses(
    tmp_path: Path, arguments: tuple[str, ...], says: str, folder: str | None
) -> None:
    script = write_files(compile_job(), tmp_path / "job")
    done = run_script(script, *arguments, variables={"HADOOP_CONF_DIR": folder} if folder else {})
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Usage: submit.sh MASTER" in done.stderr


def test_script__needs_what_its_master_needs(tmp_path: Path) -> None:
    script = write_files(compile_job(), tmp_path / "job")
    assert "HADOOP_CONF_DIR" in run_script(script, "yarn").stderr
    given = {"SPARKSCORE_IMAGE": "scoring:1"}
    done = run_script(script, "k8s://https://h", "cluster", variables=given)
    assert "SPARKSCORE_STAGING" in done.stderr.splitlines()[0]


def test_script__help(tmp_path: Path) -> None:
    done = run_script(write_files(compile_job(), tmp_path / "job"), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: submit.sh MASTER [client|cluster] [OPTION...]")


def test_script__delta(tmp_path: Path) -> None:
    script = write_files(compile_job(uses_delta=True), tmp_path / "job")
    assert find_values(read_arguments(script, "spark://h:1"), "--packages") == [DELTA_PACKAGE]
    arguments = read_arguments(script, "spark://h:1", SPARKSCORE_DELTA="")
    assert find_values(arguments, "--packages") == []
    master = "k8s://https://host:6443"
    client = read_arguments(script, master, **KUBERNETES)
    assert find_values(client, "--packages") == [DELTA_PACKAGE]
    in_image = read_arguments(script, master, "cluster", **KUBERNETES)
    assert find_values(in_image, "--packages") == []
    given = {**KUBERNETES, "SPARKSCORE_DELTA": "io.delta:own:1"}
    assert "io.delta:own:1" in read_arguments(script, master, "cluster", **given)


def test_script__delta_is_the_one_that_the_driver_resolves() -> None:
    artifact, version, _ = delta_jars._wanted(delta_jars._spark_jars_folder())
    assert f"io.delta:{artifact}:{version}" == DELTA_PACKAGE


def test_script__gpus(tmp_path: Path) -> None:
    compiled = compile_job(instance_count=2, max_concurrency_per_instance=4, gpus_per_instance=2)
    script = write_files(compiled, tmp_path / "job")
    amounts = {"spark.executor.resource.gpu.amount=2", "spark.task.resource.gpu.amount=0.5"}
    standalone = find_values(read_arguments(script, "spark://h:1"), "--conf")
    assert amounts <= set(standalone)
    assert not [setting for setting in standalone if "discoveryScript" in setting]
    yarn = read_arguments(script, "yarn", **YARN)
    assert find_values(yarn, "--files") == [f"{tmp_path}/job/find_gpus.sh"]
    found = "spark.executor.resource.gpu.discoveryScript=./find_gpus.sh"
    assert amounts | {found} <= set(find_values(yarn, "--conf"))
    kubernetes = find_values(read_arguments(script, "k8s://https://h", **KUBERNETES), "--conf")
    assert "spark.executor.resource.gpu.vendor=nvidia.com" in kubernetes


def test_script__gpus_of_another_maker(tmp_path: Path) -> None:
    """What the deployment says of GPUs is not replaced by what most clusters have."""
    own = {
        "spark.executor.resource.gpu.vendor": "amd.com",
        "spark.executor.resource.gpu.discoveryScript": "/opt/own/find",
    }
    script = write_files(compile_job(gpus_per_instance=1, spark_conf=own), tmp_path / "job")
    for master, variables in (("k8s://https://h", KUBERNETES), ("yarn", YARN)):
        arguments = read_arguments(script, master, **variables)
        conf = dict(text.split("=", 1) for text in find_values(arguments, "--conf"))
        assert own.items() <= conf.items()
        assert find_values(arguments, "--files") == []


def test_find_gpus__prints_what_spark_reads(tmp_path: Path) -> None:
    compiled = compile_job(gpus_per_instance=2)
    write_files(compiled, tmp_path / "job")
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(tmp_path / "job" / "find_gpus.sh")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == '{"name": "gpu", "addresses": ["0", "1"]}\n'


@pytest.mark.parametrize(
    "compiled",
    [
        compile_job(),
        compile_job("spark://h:7077", instance_count=2, uses_delta=True, gpus_per_instance=1),
    ],
    ids=["plain", "all"],
)
def test_script__shellcheck(tmp_path: Path, compiled: CompiledApplication) -> None:
    write_files(compiled, tmp_path / "job")
    scripts = sorted(str(path) for path in (tmp_path / "job").glob("*.sh"))
    done = subprocess.run([SHELLCHECK, *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("named", ["", "/none/spark-submit"])
def test_script__without_spark_submit(tmp_path: Path, named: str) -> None:
    script = write_files(compile_job(), tmp_path / "job")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dirname", "cat"):
        (programs / name).symlink_to(str(shutil.which(name)))
    variables = {"PATH": str(programs), "SPARK_SUBMIT": named}
    done = run_script(script, "spark://host:1", variables=variables)
    assert (done.returncode, done.stdout) == (3, "")
    assert (named or "spark-submit") in done.stderr
    assert "set SPARK_SUBMIT" in done.stderr
