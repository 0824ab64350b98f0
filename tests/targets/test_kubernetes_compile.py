"""Resources for the operators of Kubernetes, checked against their published schemas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import InvalidFieldError
from sparkscore.targets.kubernetes.names import MAX_NAME_LENGTH, make_resource_name
from sparkscore.targets.kubernetes.settings import SPARK_VERSION, read_settings
from tests.servers.crds.strict import find_problems
from tests.targets.kubernetes_samples import IMAGE, build_resource, compile_sample

FULL: dict[str, Any] = {
    "namespace": "scoring",
    "service_account": "spark",
    "image_pull_policy": "Always",
    "image_pull_secrets": ["registry"],
    "driver_memory": "1.5Gi",
    "driver_cores": 2,
    "executor_memory": "4g",
    "environment_from_secrets": ["store", "tracking"],
    "node_selector": {"pool": "big", "disk": "ssd"},
}
EACH_OPERATOR = pytest.mark.parametrize("operator", ["kubeflow", "apache"])
JOB_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)


def build_full(operator: str, **given: Any) -> dict[str, Any]:
    return build_resource(
        operator,
        "Nightly_Run.1",
        compute=FULL,
        instance_count=4,
        max_concurrency_per_instance=2,
        gpus_per_instance=1,
        uses_delta=True,
        timeout_seconds=3600,
        **given,
    )


@EACH_OPERATOR
def test_resource__is_what_the_schema_takes(operator: str) -> None:
    assert find_problems(build_resource(operator), operator) == []
    assert find_problems(build_full(operator), operator) == []
    assert find_problems(build_full(operator, max_platform_retries=0), operator) == []


@EACH_OPERATOR
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "drvier"), {}),
        (("spec", "sparkConf", "spark.cores"), 2),
        (("metadata", "name"), "Nightly_Run"),
        (("metadata", "labels", "a/b"), "two words"),
        (("kind",), "Application"),
    ],
)
def test_find_problems__finds_what_a_cluster_refuses(
    operator: str, path: tuple[str, ...], value: object
) -> None:
    resource = build_full(operator)
    place = resource
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert len(find_problems(resource, operator)) == 1


@EACH_OPERATOR
@given(name=JOB_NAMES)
def test_resource__any_job_name(operator: str, name: str) -> None:
    resource = build_resource(operator, name)
    assert find_problems(resource, operator) == []
    assert resource["metadata"]["annotations"] == {"sparkscore/job-name": name}


def test_kubeflow__has_fields_for_machines() -> None:
    spec = build_full("kubeflow")["spec"]
    driver, executor = spec["driver"], spec["executor"]
    secrets = [{"secretRef": {"name": "store"}}, {"secretRef": {"name": "tracking"}}]
    assert (driver["cores"], driver["memory"], driver["serviceAccount"]) == (2, "1536m", "spark")
    assert driver["template"]["spec"]["activeDeadlineSeconds"] == 3600
    assert (executor["instances"], executor["cores"], executor["memory"]) == (4, 2, "4096m")
    assert executor["gpu"] == {"name": "nvidia.com/gpu", "quantity": 1}
    assert "serviceAccount" not in executor
    assert "gpu" not in driver
    for pod in (driver, executor):
        assert pod["envFrom"] == secrets
        assert pod["nodeSelector"] == {"disk": "ssd", "pool": "big"}
    assert (spec["image"], spec["imagePullPolicy"]) == (IMAGE, "Always")
    assert spec["imagePullSecrets"] == ["registry"]
    twice = {"spark.executor.instances", "spark.executor.memory", "spark.driver.memory"}
    assert twice & set(spec["sparkConf"]) == set()


def test_apache__has_properties_for_machines() -> None:
    spec = build_full("apache")["spec"]
    conf = spec["sparkConf"]
    expected = {
        "spark.driver.cores": "2",
        "spark.driver.memory": "1536m",
        "spark.executor.cores": "2",
        "spark.executor.instances": "4",
        "spark.executor.memory": "4096m",
        "spark.executor.resource.gpu.amount": "1",
        "spark.executor.resource.gpu.vendor": "nvidia.com",
        "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
        "spark.kubernetes.container.image": IMAGE,
        "spark.kubernetes.container.image.pullPolicy": "Always",
        "spark.kubernetes.container.image.pullSecrets": "registry",
        "spark.kubernetes.namespace": "scoring",
        "spark.kubernetes.node.selector.disk": "ssd",
        "spark.kubernetes.node.selector.pool": "big",
    }
    assert expected.items() <= conf.items()
    driver = spec["driverSpec"]["podTemplateSpec"]["spec"]
    assert driver["activeDeadlineSeconds"] == 3600
    assert [source["secretRef"]["name"] for source in driver["containers"][0]["envFrom"]] == [
        "store",
        "tracking",
    ]


def test_resource__runs_the_launch_message_of_the_staging_folder() -> None:
    launch = ["s3://bucket/staging/nightly/launch.json"]
    kubeflow, apache = (build_resource(operator)["spec"] for operator in ("kubeflow", "apache"))
    entry_point = "local:///opt/sparkscore/jobs/score.py"
    assert (kubeflow["mainApplicationFile"], kubeflow["arguments"]) == (entry_point, launch)
    assert (apache["pyFiles"], apache["driverArgs"]) == (entry_point, launch)


def test_resource__retries() -> None:
    policy = build_resource("kubeflow", max_platform_retries=2)["spec"]["restartPolicy"]
    assert (policy["type"], policy["onFailureRetries"]) == ("OnFailure", 2)
    once = build_resource("kubeflow", max_platform_retries=0)["spec"]["restartPolicy"]
    assert once == {"type": "Never"}
    tolerations = build_resource("apache", max_platform_retries=2)["spec"]["applicationTolerations"]
    assert tolerations["restartConfig"]["maxRestartAttempts"] == 2


def test_resource__spark_conf_of_the_deployment_wins() -> None:
    conf = {"spark.executor.memory": "9g", "spark.executor.resource.gpu.vendor": "amd.com"}
    spec = build_full("kubeflow", spark_conf=conf)["spec"]
    assert spec["executor"]["memory"] == "9g"
    assert spec["executor"]["gpu"]["name"] == "amd.com/gpu"


def test_compile__is_deterministic() -> None:
    first = compile_sample(compute={"node_selector": {"a": "1", "b": "2"}}).files
    second = compile_sample(compute={"node_selector": {"b": "2", "a": "1"}}).files
    assert first == second


@given(name=JOB_NAMES)
def test_make_resource_name__is_valid_and_always_the_same(name: str) -> None:
    made = make_resource_name(name)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made)
    assert len(made) <= MAX_NAME_LENGTH
    assert make_resource_name(name) == made
    assert make_resource_name(made) == made


@pytest.mark.parametrize(
    ("job_name", "start"),
    [
        ("nightly-run", "nightly-run"),
        ("Nightly_Run", "nightly-run-"),
        ("2026.monday", "monday-"),
        ("---", "job-"),
        ("a" * 128, "a" * 31 + "-"),
    ],
)
def test_make_resource_name__resembles_the_job(job_name: str, start: str) -> None:
    assert make_resource_name(job_name).startswith(start)


def test_make_resource_name__tells_like_jobs_apart() -> None:
    names = ["nightly.run", "nightly_run", "Nightly-run", "nightly-run", "nightly--run-"]
    assert len(set(map(make_resource_name, names))) == len(names)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image", "two words"),
        ("image", None),
        ("namespace", "Scoring"),
        ("namespace", "a/b"),
        ("operator", "google"),
        ("service_account", "a b"),
        ("image_pull_policy", "always"),
        ("image_pull_secrets", ["a", "B"]),
        ("environment_from_secrets", ["../x"]),
        ("driver_memory", "4"),
        ("driver_memory", "0g"),
        ("executor_memory", "four"),
        ("driver_cores", 0),
        ("page_url", "javascript:{name}"),
        ("page_url", "https://host/{other}"),
        ("spark_version", "four"),
    ],
)
def test_read_settings__refuses(key: str, value: object) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read_settings({"image": IMAGE, key: value})
    assert caught.value.attributes["key"] == key


@pytest.mark.parametrize(
    ("text", "memory"),
    [("4g", "4096m"), ("4Gi", "4096m"), ("1.5GiB", "1536m"), ("512m", "512m"), ("2048k", "2m")],
)
def test_read_settings__memory(text: str, memory: str) -> None:
    assert read_settings({"image": IMAGE, "driver_memory": text}).driver_memory == memory


@pytest.mark.parametrize(
    ("compute", "asked", "count"),
    [
        ({}, {}, 2),
        ({"max_instances": 1}, {}, 1),
        ({"min_instances": 3, "max_instances": 5}, {}, 3),
        ({"min_instances": 3}, {"instance_count": 4}, 4),
        ({}, {"max_concurrency_per_instance": 2}, 1),
        ({}, {"spark_conf": {"spark.executor.instances": "6"}}, 6),
        ({}, {"spark_conf": {"spark.dynamicAllocation.enabled": "true"}}, None),
    ],
)
def test_resource__says_how_many_executors_run(
    compute: dict[str, int], asked: dict[str, Any], count: int | None
) -> None:
    kubeflow = build_resource("kubeflow", compute=compute, **asked)["spec"]
    apache = build_resource("apache", compute=compute, **asked)["spec"]
    assert kubeflow["executor"].get("instances") == count
    written = None if count is None else str(count)
    assert apache["sparkConf"].get("spark.executor.instances") == written


def test_spark_version__is_that_of_the_lock() -> None:
    lock = Path(__file__).parents[2] / "requirements.lock"
    assert f"pyspark=={SPARK_VERSION} " in lock.read_text(encoding="utf-8")
