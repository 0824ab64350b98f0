"""Executors, memory and GPUs that a job asks for."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import InvalidFieldError
from sparkscore.plan.resources import (
    EXECUTOR_GPUS,
    TASK_GPUS,
    Asked,
    Resources,
    get_gpu_conf,
    plan_resources,
)
from sparkscore.plan.spark_application import SparkApplication, plan_spark_application

GIB = 1024**3


def plan(master: str | None = "spark://host:7077", **options: Any) -> SparkApplication:
    return plan_spark_application(
        "job",
        entry_point="/j/score.py",
        launch_path="/j/launch.json",
        job_folder="/j",
        machine=None,
        master=master,
        **options,
    )


@pytest.mark.parametrize(
    ("gpus", "concurrency", "share"),
    [(1, 1, "1"), (1, 2, "0.5"), (1, 3, "0.333333"), (2, 3, "0.5"), (4, 2, "2"), (5, 2, "2")],
)
def test_get_gpu_conf__shares(gpus: int, concurrency: int, share: str) -> None:
    asked = Asked(2, concurrency, 1, gpus)
    assert get_gpu_conf(asked) == {EXECUTOR_GPUS: str(gpus), TASK_GPUS: share}


def test_get_gpu_conf__cluster_decides_the_slots() -> None:
    assert get_gpu_conf(Asked(None, None, 1, 4)) == {EXECUTOR_GPUS: "4", TASK_GPUS: "1"}
    assert get_gpu_conf(Asked(None, None, 1)) == {}


@given(gpus=st.integers(1, 64), tasks=st.integers(1, 512))
def test_get_gpu_conf__every_slot_gets_its_share(gpus: int, tasks: int) -> None:
    amount = float(get_gpu_conf(Asked(1, tasks, 1, gpus))[TASK_GPUS])
    assert amount <= 0.5 or amount == int(amount)  # what Spark takes
    tasks_per_gpu = math.floor(1 / amount) if amount < 1 else 1 / amount
    assert gpus * tasks_per_gpu >= tasks


def test_plan__resources() -> None:
    application = plan(
        instance_count=3,
        max_concurrency_per_instance=4,
        gpus_per_instance=2,
        spark_conf={"spark.executor.memory": "6g", "spark.driver.memory": "2048"},
    )
    assert application.resources == Resources(3, 4, 2, 2 * GIB, 6 * GIB)
    assert application.conf[TASK_GPUS] == "0.5"


def test_plan__resources_that_spark_conf_names() -> None:
    conf = {"spark.executor.instances": "7", TASK_GPUS: "0.25"}
    application = plan(instance_count=3, gpus_per_instance=1, spark_conf=conf)
    assert application.resources.executor_count == 7
    assert application.conf[TASK_GPUS] == "0.25"


def test_plan__yarn_has_no_sockets_in_long_folders() -> None:
    key = "spark.python.unix.domain.socket.enabled"
    assert plan("yarn", instance_count=2).conf[key] == "false"
    assert plan("yarn", spark_conf={key: "true"}).conf[key] == "true"
    assert "spark.cores.max" not in plan("yarn", instance_count=2).conf


def test_plan__local_has_no_gpus_to_hand_out() -> None:
    assert EXECUTOR_GPUS not in plan(master=None, gpus_per_instance=1).conf


@pytest.mark.parametrize("key", ["spark.executor.instances", "spark.executor.memory"])
def test_plan_resources__refuses_what_spark_would(key: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        plan_resources({key: "many"}, gpus_per_executor=0)
    assert caught.value.attributes == {"key": key, "value": "many"}
