"""Compiled bodies say what they mean in the words of the Jobs API, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from databricks.sdk.service import jobs as sdk

from sparkscore.errors import InvalidFieldError, UnsupportedByTargetError
from sparkscore.plan.launch_overrides import read_arguments
from sparkscore.plan.resources import Resources
from sparkscore.plan.spark_application import (
    DELTA_CONF,
    SparkApplication,
    plan_spark_application,
)
from sparkscore.targets.databricks import DatabricksBundleTarget, DatabricksTarget
from tests.servers.databricks_bodies import Bundle, JobSettings, RunsSubmit, resolve_variables

COMPUTE: Mapping[str, Any] = {
    "host": "https://ADB-1.2.azuredatabricks.net/",
    "staging": "s3://lake/staging",
    "spark_version": "16.4.x-scala2.12",
    "node_type_id": "Standard_D4ds_v5",
}
FULL: Mapping[str, Any] = {
    **COMPUTE,
    "instance_pool_id": "pool-1",
    "driver_node_type_id": "Standard_D8ds_v5",
    "policy_id": "ABC",
    "data_security_mode": "single_user",
    "spark_env_vars": {"B": "1", "AWS_SECRET_ACCESS_KEY": "{{secrets/lake/key}}"},
    "init_scripts": ["/Volumes/main/x/init.sh", "abfss://c@a.dfs.core.windows.net/i.sh"],
    "docker_image": "registry.example.com/score:1",
    "libraries": ["scikit-learn==1.5.2", "/Volumes/main/x/own-1-py3-none-any.whl"],
    "unrelated": "stays out",
}


def plan(compute: Mapping[str, Any] = COMPUTE, **changes: Any) -> SparkApplication:
    staging = "s3://lake/staging/nightly"
    given: dict[str, Any] = {
        "instance_count": 3,
        "max_concurrency_per_instance": 2,
        "spark_conf": {"spark.executor.memory": "2g"},
        **{key: changes.pop(key) for key in ("instance_count", "uses_delta") if key in changes},
        **({"spark_conf": changes.pop("spark_conf")} if "spark_conf" in changes else {}),
    }
    application = plan_spark_application(
        "nightly",
        entry_point=f"{staging}/score.py",
        launch_path=f"{staging}/launch.json",
        job_folder=staging,
        machine=None,
        master="databricks",
        **given,
    )
    return replace(
        application,
        **{
            "platform": compute,
            "staging": staging,
            "input_uri": "s3://lake/images",
            "output_path": "s3://lake/results",
            "max_platform_retries": 1,
            **changes,
        },
    )


def compile_run(application: SparkApplication) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(DatabricksTarget().compile(application).files["submit.json"])
    RunsSubmit.model_validate(body)
    return body


def compile_job(application: SparkApplication) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(DatabricksTarget().compile(application).files["create.json"])
    JobSettings.model_validate(body)
    return body


def compile_bundle(application: SparkApplication) -> dict[str, Any]:
    text = DatabricksBundleTarget().compile(application).files["databricks.yml"]
    bundle: dict[str, Any] = resolve_variables(yaml.safe_load(text))
    Bundle.model_validate(bundle)
    return bundle


def cluster_of(application: SparkApplication) -> dict[str, Any]:
    cluster: dict[str, Any] = compile_run(application)["tasks"][0]["new_cluster"]
    return cluster


@pytest.mark.parametrize("compute", [COMPUTE, FULL])
def test_compile__survives_the_clients_own_classes(compute: Mapping[str, Any]) -> None:
    application = plan(compute, timeout_seconds=3600)
    job = compile_job(application)
    assert sdk.JobSettings.from_dict(job).as_dict() == job
    (task,) = compile_run(application)["tasks"]
    assert sdk.SubmitTask.from_dict(task).as_dict() == task
    bundled = compile_bundle(application)["resources"]["jobs"]["scoring"]
    assert sdk.JobSettings.from_dict(bundled).as_dict() == bundled


def test_compile__cluster_is_dedicated() -> None:
    cluster = cluster_of(plan(FULL))
    assert cluster["data_security_mode"] == "DATA_SECURITY_MODE_DEDICATED"
    assert (cluster["num_workers"], "autoscale" in cluster) == (3, False)
    assert cluster["spark_env_vars"] == FULL["spark_env_vars"]
    assert cluster["init_scripts"] == [
        {"volumes": {"destination": "/Volumes/main/x/init.sh"}},
        {"abfss": {"destination": "abfss://c@a.dfs.core.windows.net/i.sh"}},
    ]
    assert cluster["docker_image"] == {"url": "registry.example.com/score:1"}
    assert {key: cluster[key] for key in ("instance_pool_id", "policy_id")} == {
        "instance_pool_id": "pool-1",
        "policy_id": "ABC",
    }


@pytest.mark.parametrize(
    ("bounds", "count", "size"),
    [
        ({}, 5, {"num_workers": 5}),
        ({}, None, {"num_workers": 1}),
        ({"min_instances": 2}, None, {"num_workers": 2}),
        ({"max_instances": 8}, None, {"autoscale": {"min_workers": 1, "max_workers": 8}}),
        ({"max_instances": 8}, 4, {"num_workers": 4}),
        ({"max_instances": 1}, None, {"num_workers": 1}),
        (
            {"min_instances": 2, "max_instances": 8},
            None,
            {"autoscale": {"min_workers": 2, "max_workers": 8}},
        ),
    ],
)
def test_compile__size(bounds: dict[str, int], count: int | None, size: dict[str, Any]) -> None:
    application = plan({**COMPUTE, **bounds}, resources=Resources(executor_count=count))
    cluster = cluster_of(application)
    assert {key: cluster[key] for key in ("num_workers", "autoscale") if key in cluster} == size


def test_compile__conf_leaves_out_what_the_runtime_sets() -> None:
    conf = cluster_of(plan(uses_delta=True))["spark_conf"]
    assert conf["spark.executor.memory"] == "2g"
    assert conf["spark.executor.cores"] == "2"
    assert conf["spark.python.worker.reuse"] == "true"
    assert not {"spark.app.name", "spark.executor.instances", *DELTA_CONF} & set(conf)
    assert list(conf) == sorted(conf)


def test_compile__extensions_of_the_user_stay() -> None:
    application = plan(uses_delta=True, spark_conf={"spark.sql.extensions": "org.own.Extension"})
    conf = cluster_of(application)["spark_conf"]
    assert conf["spark.sql.extensions"] == "org.own.Extension"


def test_compile__gpus() -> None:
    application = plan()
    conf = {
        **application.conf,
        "spark.executor.resource.gpu.amount": "2",
        "spark.task.resource.gpu.amount": "1",
    }
    compiled = cluster_of(replace(application, conf=conf))["spark_conf"]
    assert compiled["spark.task.resource.gpu.amount"] == "1"
    assert "spark.executor.resource.gpu.amount" not in compiled


@pytest.mark.parametrize(
    ("compute", "has_gpus"),
    [
        ({}, False),
        ({"spark_version": "17.3.x-photon-scala2.13"}, False),
        ({"spark_version": "16.4.x-gpu-ml-scala2.12"}, True),
        ({"spark_version": "custom:own-image"}, True),
        ({"docker_image": "registry.example.com/cuda:1"}, True),
    ],
)
@pytest.mark.parametrize("target", [DatabricksTarget(), DatabricksBundleTarget()])
def test_compile__gpus_need_a_runtime_that_has_them(
    target: DatabricksTarget, compute: dict[str, Any], has_gpus: bool
) -> None:
    given = {**COMPUTE, **compute}
    application = plan(given, resources=Resources(executor_count=1, gpus_per_executor=2))
    if has_gpus:
        assert target.compile(application).files
        return
    with pytest.raises(InvalidFieldError) as caught:
        target.compile(application)
    assert caught.value.condition == "GPU_RUNTIME_NEEDED"
    assert caught.value.attributes == {"key": "spark_version", "value": given["spark_version"]}
    start, _, end = given["spark_version"].partition("-")
    assert f"{start}-gpu-ml-{end.removeprefix('photon-')}" in caught.value.message


@pytest.mark.parametrize(
    ("version", "has_pydantic_2"),
    [
        ("15.4.x-scala2.12", False),
        ("16.4.x-cpu-ml-scala2.13", False),
        ("17.3.x-scala2.13", True),
        ("18.0.x-scala2.13", True),
        ("custom:own-image", False),
    ],
)
def test_compile__libraries_that_a_runtime_lacks(version: str, has_pydantic_2: bool) -> None:
    compute = {**COMPUTE, "spark_version": version, "libraries": ["scikit-learn==1.5.2"]}
    packages = [
        library["pypi"]["package"]
        for library in compile_run(plan(compute))["tasks"][0]["libraries"]
    ]
    assert any(package.startswith("pydantic>=2") for package in packages) is not has_pydantic_2
    assert packages[0].startswith("fsspec")
    assert "s3fs>=2024.2" in packages
    assert packages[-1] == "scikit-learn==1.5.2"


def test_compile__stores_need_their_packages_only() -> None:
    application = plan(
        staging="/Volumes/main/x/nightly",
        input_uri="abfss://c@a.dfs.core.windows.net/in",
        output_path="/Volumes/main/x/out",
    )
    libraries = compile_run(application)["tasks"][0]["libraries"]
    packages = {library["pypi"]["package"].partition(">")[0] for library in libraries}
    assert packages == {"fsspec", "pydantic", "adlfs"}


def test_compile__run_and_its_retries() -> None:
    body = compile_run(plan(timeout_seconds=7200, max_platform_retries=2))
    (task,) = body["tasks"]
    assert body["run_name"] == "nightly"
    assert body["timeout_seconds"] == 7200
    assert (task["max_retries"], task["retry_on_timeout"]) == (2, False)
    assert task["spark_python_task"] == {
        "python_file": "s3://lake/staging/nightly/score.py",
        "parameters": ["s3://lake/staging/nightly/launch.json"],
    }
    (once,) = compile_run(plan(max_platform_retries=0))["tasks"]
    assert (once["max_retries"], "retry_on_timeout" in once) == (0, False)


def test_compile__job_parameters_reach_the_driver() -> None:
    body = compile_job(plan())
    assert body["parameters"] == [
        {"name": "input", "default": "s3://lake/images"},
        {"name": "output", "default": "s3://lake/results/{run}"},
        {"name": "overrides", "default": ""},
    ]
    (task,) = body["tasks"]
    words = task["spark_python_task"]["parameters"]
    given = read_arguments([word.replace("{{job.run_id}}", "77") for word in words])
    assert given.launch == "s3://lake/staging/nightly/launch.json"
    assert given.run == "77"
    assert given.input == "{{job.parameters.input}}"
    assert given.output_path == "{{job.parameters.output}}"
    assert given.overrides == ("{{job.parameters.overrides}}",)


def test_compile__bundle_brings_its_own_files() -> None:
    bundle = compile_bundle(plan())
    job = bundle["resources"]["jobs"]["scoring"]
    task = job["tasks"][0]["spark_python_task"]
    assert task["python_file"] == "./score.py"
    assert task["parameters"][0] == "${workspace.file_path}/launch.json"
    assert job["schedule"]["pause_status"] == "PAUSED"
    assert job["parameters"][0]["default"] == "s3://lake/images"
    assert bundle["targets"]["dev"]["workspace"] == {"host": "https://adb-1.2.azuredatabricks.net"}
    assert [name for name, target in bundle["targets"].items() if target.get("default")] == ["dev"]


def test_compile__bundle_of_a_pool_has_no_node_type() -> None:
    compute = {**COMPUTE, "node_type_id": None, "instance_pool_id": "pool"}
    bundle = compile_bundle(plan(compute))
    assert "node_type_id" not in bundle["variables"]


def test_compile__same_bytes_each_time() -> None:
    for target in (DatabricksTarget(), DatabricksBundleTarget()):
        turned = dict(reversed([*FULL.items()]))
        first, second = target.compile(plan(FULL)), target.compile(plan(turned))
        assert first.files == second.files


def test_compile__no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-not-for-files")
    for target in (DatabricksTarget(), DatabricksBundleTarget()):
        text = "".join(target.compile(plan(FULL)).files.values())
        assert os.environ["DATABRICKS_TOKEN"] not in text


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"host": None}, "host"),
        ({"host": "http://adb.azuredatabricks.net"}, "host"),
        ({"host": "https://user:word@adb.azuredatabricks.net"}, "host"),
        ({"host": "https://adb.azuredatabricks.net/?o=1"}, "host"),
        ({"host": "https://[bad"}, "host"),
        ({"spark_version": None}, "spark_version"),
        ({"spark_version": "13.3.x-scala2.12"}, "spark_version"),
        ({"spark_version": "latest"}, "spark_version"),
        ({"node_type_id": None}, "node_type_id"),
        ({"data_security_mode": "none"}, "data_security_mode"),
        ({"init_scripts": ["dbfs:/init.sh"]}, "init_scripts"),
        ({"libraries": ["/Volumes/a/b.egg"]}, "libraries"),
        ({"spark_env_vars": {"MY_TOKEN": "abc"}}, "spark_env_vars.MY_TOKEN"),
        (
            {"spark_env_vars": {"AWS_SECRET_ACCESS_KEY": "x{{secrets/a/b}}"}},
            "spark_env_vars.AWS_SECRET_ACCESS_KEY",
        ),
    ],
)
def test_compile__refused(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        DatabricksTarget().compile(plan({**COMPUTE, **changes}))
    assert caught.value.attributes["key"] == key


@pytest.mark.parametrize(
    ("changes", "capability"),
    [
        ({"data_security_mode": "standard"}, "STANDARD_ACCESS"),
        ({"data_security_mode": "USER_ISOLATION"}, "STANDARD_ACCESS"),
        ({"data_security_mode": "DATA_SECURITY_MODE_STANDARD"}, "STANDARD_ACCESS"),
        ({"data_security_mode": "serverless"}, "SERVERLESS"),
        ({"spark_version": "serverless"}, "SERVERLESS"),
    ],
)
@pytest.mark.parametrize("target", [DatabricksTarget(), DatabricksBundleTarget()])
def test_compile__clusters_that_jobs_cannot_run_on(
    target: DatabricksTarget, changes: dict[str, Any], capability: str
) -> None:
    with pytest.raises(UnsupportedByTargetError) as caught:
        target.compile(plan({**COMPUTE, **changes}))
    assert caught.value.attributes == {"target": target.name, "capability": capability}
