"""The Spark application of a job. Any process."""

from __future__ import annotations

from typing import Any

import pytest

from sparkscore.errors import InvalidFieldError
from sparkscore.plan import Machine, SparkApplication, plan_spark_application
from sparkscore.plan.spark_application import DEFAULT_CONF, REQUIRED_CONF

GIB = 1024**3
MACHINE = Machine(core_count=4, memory_bytes=8 * GIB)


def plan(**changes: Any) -> SparkApplication:
    arguments: dict[str, Any] = {
        "entry_point": "jobs/score.py",
        "launch_path": "/jobs/one/launch.json",
        "job_folder": "/jobs/one",
        "machine": MACHINE,
        **changes,
    }
    return plan_spark_application("one", **arguments)


@pytest.mark.parametrize(
    ("instances", "concurrency", "master", "slots"),
    [
        (None, None, "local[4,4]", 4),
        (1, 2, "local[2,4]", 2),
        (2, None, "local[2,4]", 2),
        (None, 3, "local[3,4]", 3),
        (5, 8, "local[4,4]", 4),
    ],
)
def test_local__slots(instances, concurrency, master, slots):
    application = plan(instance_count=instances, max_concurrency_per_instance=concurrency)
    assert (application.master, application.slots) == (master, slots)


def test_local__slots_say_how_they_were_found():
    assert plan().slots_reason == "all cores"
    assert plan(instance_count=2).slots_reason == "instance_count x max_concurrency_per_instance"
    assert plan(instance_count=9).slots_reason.endswith("is 9, this machine has 4 cores")


@pytest.mark.parametrize(
    ("master", "expected", "slots"),
    [
        ("local", "local[2,4]", 2),
        ("local[*]", "local[4,4]", 4),
        ("local[7]", "local[7,4]", 7),
        ("local[3, 1]", "local[3,4]", 3),
    ],
)
def test_local__master_as_written(master, expected, slots):
    application = plan(master=master, instance_count=2)
    assert (application.master, application.slots) == (expected, slots)


@pytest.mark.parametrize(
    ("cores", "expected", "slots"), [("1", 4, 4), ("2", 4, 2), ("3", 4, 1), ("8", 8, 1)]
)
def test_local__tasks_of_several_cores(cores, expected, slots):
    application = plan(spark_conf={"spark.task.cpus": cores}, instance_count=4)
    assert (application.master, application.slots) == (f"local[{expected},4]", slots)


def test_local__unknown_machine():
    application = plan(machine=None)
    assert (application.master, application.slots) == ("local[*,4]", None)
    assert application.driver_memory_bytes is None
    assert "spark.driver.memory" not in application.conf


@pytest.mark.parametrize(
    ("memory", "heap"), [(2 * GIB, GIB), (8 * GIB, 2 * GIB), (64 * GIB, 4 * GIB)]
)
def test_heap__follows_the_machine(memory, heap):
    application = plan(machine=Machine(core_count=2, memory_bytes=memory))
    assert application.driver_memory_bytes == heap
    assert application.conf["spark.driver.memory"] == f"{heap // 1024**2}m"


@pytest.mark.parametrize(
    ("written", "heap"), [("3g", 3 * GIB), ("1500MB", 1500 * 1024**2), ("2048", 2 * GIB)]
)
def test_heap__of_the_user(written, heap):
    application = plan(spark_conf={"spark.driver.memory": written})
    assert application.driver_memory_bytes == heap
    assert application.conf["spark.driver.memory"] == written


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.driver.memory", "much"),
        ("spark.driver.memory", "9" * 5000 + "g"),
        ("spark.task.cpus", "9" * 5000),
        ("spark.task.cpus", "0"),
        ("spark.task.cpus", "1.5"),
        ("spark.task.maxFailures", "-1"),
    ],
)
def test_conf__value_that_is_none(key, value):
    with pytest.raises(InvalidFieldError) as caught:
        plan(spark_conf={key: value})
    assert caught.value.attributes == {"key": key, "value": value}


def test_cluster__executors_as_asked():
    application = plan(
        master="k8s://https://host:6443", instance_count=3, max_concurrency_per_instance=2
    )
    assert application.master == "k8s://https://host:6443"
    assert application.slots == 6
    assert application.conf["spark.executor.instances"] == "3"
    assert application.conf["spark.executor.cores"] == "2"
    assert "spark.cores.max" not in application.conf
    assert "spark.local.dir" not in application.conf
    assert "spark.driver.host" not in application.conf


def test_cluster__standalone_is_bounded_by_cores():
    application = plan(
        master="spark://host:7077", instance_count=3, spark_conf={"spark.task.cpus": "2"}
    )
    assert application.slots == 3
    assert application.conf["spark.executor.cores"] == "2"
    assert application.conf["spark.cores.max"] == "6"


def test_cluster__nothing_asked():
    application = plan(master="yarn")
    assert (application.slots, application.slots_reason) == (None, "the cluster decides")
    assert not [key for key in application.conf if key.startswith("spark.executor.")]


def test_cluster__executors_of_the_user():
    application = plan(
        master="yarn", instance_count=2, spark_conf={"spark.executor.instances": "9"}
    )
    assert (application.slots, application.slots_reason) == (None, "spark_conf decides")
    assert application.conf["spark.executor.instances"] == "9"


def test_conf__users_win_over_defaults_only():
    users = dict.fromkeys([*DEFAULT_CONF, *REQUIRED_CONF], "theirs")
    users["spark.task.maxFailures"] = "7"
    users["spark.local.dir"] = "/scratch"
    application = plan(spark_conf=users)
    conf = application.conf
    assert {key: conf[key] for key in REQUIRED_CONF} == REQUIRED_CONF
    assert {key: conf[key] for key in DEFAULT_CONF} == {key: users[key] for key in DEFAULT_CONF}
    assert conf["spark.local.dir"] == "/scratch"
    assert (application.master, application.task_attempts) == ("local[4,7]", 7)


def test_conf__scratch_lies_in_the_job_folder():
    assert plan().conf["spark.local.dir"] == "/jobs/one/scratch"
    assert "spark.local.dir" not in plan(job_folder="/jobs/a,b").conf
    assert "spark.local.dir" not in plan(job_folder="s3://jobs/one").conf


def test_conf__delta_beside_the_users_extensions():
    delta = "io.delta.sql.DeltaSparkSessionExtension"
    key = "spark.sql.extensions"
    assert key not in plan().conf
    assert plan(uses_delta=True).conf[key] == delta
    assert plan(uses_delta=True, spark_conf={key: "a.B"}).conf[key] == f"a.B,{delta}"
    assert plan(uses_delta=True, spark_conf={key: delta}).conf[key] == delta


def test_conf__users_catalog_stays():
    key = "spark.sql.catalog.spark_catalog"
    application = plan(uses_delta=True, spark_conf={key: "a.Catalog"})
    assert application.conf[key] == "a.Catalog"


def test_application__what_is_launched():
    application = plan(py_files=["a.zip"])
    assert application.entry_point == "jobs/score.py"
    assert application.arguments == ("/jobs/one/launch.json",)
    assert application.py_files == ("a.zip",)
    assert application.conf["spark.app.name"] == "one"
    assert application == plan(py_files=["a.zip"])


@pytest.mark.parametrize(
    ("relay", "given", "expected"),
    [(False, {}, None), (True, {}, "0"), (True, {"spark.driver.maxResultSize": "2g"}, "2g")],
)
def test_relay__results_pass_without_bound(
    relay: bool, given: dict[str, str], expected: str | None
) -> None:
    application = plan(master="spark://host:7077", relay=relay, spark_conf=given)
    assert application.conf.get("spark.driver.maxResultSize") == expected
