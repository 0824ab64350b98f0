"""Storms of kills: every input is accounted for once, every row stands once, nothing is left."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import Faults
from tests.chaos.harness import MINI_BATCHES, TIMEOUT_SECONDS, ChaosJob, Injector, make_job
from tests.chaos.surroundings import Surroundings
from tests.spark.clusters import Cluster
from tests.spark.drivers import DriverProcess, find_events

pytestmark = pytest.mark.spark

REPLACED_SECONDS = TIMEOUT_SECONDS + 60

LOCAL_STORMS: tuple[dict[str, int], ...] = (
    {"stop worker": 1, "kill host": 60},
    {"kill host": 60, "kill worker": 8, "kill guard": 12, "kill daemon": 3},
    {"stop host": 2, "kill host": 10},
    {"stop guard": 1},
)
"""A worker that is stopped is its guard's to replace, a host its worker's; a guard is replaced when
it is needed, or ends with the job."""

CLUSTER_STORMS: tuple[dict[str, int], ...] = (
    {"stop worker": 1, "kill host": 10},
    {
        "kill host": 20,
        "kill guard": 4,
        "kill worker": 3,
        "kill daemon": 2,
        "kill executor": 2,
        "kill node": 1,
    },
)

RELAY_STORMS: tuple[dict[str, int], ...] = (
    {"kill host": 8, "kill worker": 2, "kill guard": 2},
    {"kill host": 4, "kill worker": 1, "kill executor": 1, "kill daemon": 1},
)
"""Each but the last ends with a killed driver."""


@pytest.fixture
def injector(surroundings: Surroundings, faults: Faults, chance: random.Random) -> Injector:
    return Injector(surroundings, faults, chance)


@pytest.mark.timeout(3600)
def test_storm__on_local_mode(
    tmp_path: Path, injector: Injector, faults: Faults, surroundings: Surroundings
) -> None:
    job = make_job(tmp_path, mini_batches=faults.scaled(MINI_BATCHES))
    driver = DriverProcess(job.launch)
    driver.wait_until(lambda: injector.find("host"))
    for plan in LOCAL_STORMS:
        injector.storm(
            {kind: faults.scaled(count) for kind, count in plan.items()},
            gap_seconds=0.05,
            driver=driver,
        )
        injector.check_replaced(seconds=REPLACED_SECONDS)
    job.calm()
    assert driver.end() == 0, driver.said
    job.check(accepts_timeouts=True)
    surroundings.check_nothing_left()


@pytest.mark.timeout(3600)
def test_storm__of_killed_and_canceled_drivers(
    tmp_path: Path,
    injector: Injector,
    faults: Faults,
    surroundings: Surroundings,
    chance: random.Random,
) -> None:
    """Drivers and their JVMs end at any point of their lives, workers in between."""
    job = make_job(tmp_path, seconds=0.05, mini_batches=faults.scaled(MINI_BATCHES))
    ends = {"kill driver": kill_driver, "kill jvm": kill_jvm, "cancel": cancel}
    for kind in ["kill driver", "cancel", "kill jvm", "kill driver"] * faults.scaled(1):
        driver = DriverProcess(job.launch)
        wait_until_some_moment(driver, job, injector, chance, kind)
        injector.storm(
            {"kill host": 8, "kill worker": 1} if injector.find("host") else {},
            gap_seconds=0.05,
            driver=driver,
        )
        ends[kind](driver, injector, surroundings)
        if kind != "kill driver":
            job.check(status="Canceled" if kind == "cancel" else "Failed")
    job.calm()
    last = DriverProcess(job.launch)
    assert last.end() == 0, last.said
    job.check()
    surroundings.check_nothing_left()


def kill_driver(driver: DriverProcess, injector: Injector, surroundings: Surroundings) -> None:
    """SIGKILL to a driver: all that it has started ends by itself."""
    assert injector.inject("kill driver")
    assert driver.end() == -signal.SIGKILL
    wait_until_nothing_runs(surroundings)


def kill_jvm(driver: DriverProcess, injector: Injector, surroundings: Surroundings) -> None:
    """SIGKILL to a JVM: its driver says so, and that nothing was published."""
    driver.wait_until(lambda: injector.inject("kill jvm"))
    assert driver.end() == 4, driver.said
    surroundings.check_nothing_left(seconds=1)


def cancel(driver: DriverProcess, injector: Injector, surroundings: Surroundings) -> None:
    """A signal to a driver, one of whose workers may be stopped: it ends within seconds."""
    injector.inject("stop worker")
    assert driver.cancel() < 20
    assert driver.process.returncode == 6, driver.said
    surroundings.check_nothing_left(seconds=1)


def wait_until_some_moment(
    driver: DriverProcess, job: ChaosJob, injector: Injector, chance: random.Random, kind: str
) -> None:
    """A seeded moment of the driver's life: a stage of it, and a little later."""
    waves = len(find_events(job.folder, "wave_committed"))
    stages = {
        "its process has started": lambda: injector.find("driver"),
        "its JVM starts": lambda: injector.find("jvm"),
        "it scores": lambda: injector.find("host"),
        "a wave is committed": lambda: len(find_events(job.folder, "wave_committed")) > waves,
    }
    if kind != "kill driver":
        del stages["its process has started"]
    stage = chance.choice(sorted(stages))
    driver.wait_until(stages[stage])
    time.sleep(chance.uniform(0, 1))


def wait_until_nothing_runs(surroundings: Surroundings) -> None:
    """All that a killed driver has left ends by itself."""
    deadline = time.monotonic() + 60
    while surroundings.find_processes():
        assert time.monotonic() < deadline, surroundings.find_processes()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers; tests that kill one start another."""
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.start(workers=2)
        yield started
    finally:
        started.stop()


@pytest.mark.cluster
@pytest.mark.timeout(3600)
def test_storm__on_a_cluster(
    tmp_path: Path, cluster: Cluster, injector: Injector, faults: Faults, surroundings: Surroundings
) -> None:
    job = make_job(
        tmp_path,
        mini_batches=faults.scaled(MINI_BATCHES),
        instance_count=2,
        max_concurrency_per_instance=1,
        master=cluster.url,
        spark_conf={"spark.executorEnv.TMPDIR": str(surroundings.temporary)},
    )

    def replace_node() -> None:
        cluster.kill_worker()
        cluster.start_worker()

    injector.acts["kill node"] = replace_node
    for plan in CLUSTER_STORMS:
        driver = DriverProcess(job.launch)
        driver.wait_until(lambda: injector.find("host"))
        injector.storm(
            {kind: faults.scaled(count) for kind, count in plan.items()},
            gap_seconds=0.1,
            driver=driver,
        )
        injector.check_replaced(seconds=REPLACED_SECONDS)
        if plan is not CLUSTER_STORMS[-1]:
            kill_driver(driver, injector, surroundings)
    cluster.wait_for_workers(2)
    job.calm()
    assert driver.end() == 0, driver.said
    job.check()
    surroundings.check_nothing_left()


@pytest.mark.cluster
@pytest.mark.timeout(3600)
def test_storm__on_a_cluster_that_shares_no_folder(
    tmp_path: Path, cluster: Cluster, injector: Injector, faults: Faults, surroundings: Surroundings
) -> None:
    """Rows, files and logs come back through Spark, from tasks that end anyhow."""
    job = make_job(
        tmp_path,
        mini_batches=faults.scaled(60),
        writes=True,
        relay=True,
        checkpoint_interval_seconds=1,
        instance_count=2,
        max_concurrency_per_instance=1,
        master=cluster.url,
        spark_conf={"spark.executorEnv.TMPDIR": str(surroundings.temporary)},
    )
    for plan in RELAY_STORMS:
        driver = DriverProcess(job.launch)
        driver.wait_until(lambda: injector.find("host"))
        injector.storm(
            {kind: faults.scaled(count) for kind, count in plan.items()},
            gap_seconds=0.1,
            driver=driver,
        )
        if plan is not RELAY_STORMS[-1]:
            driver.wait_until(lambda: find_events(job.folder, "wave_committed"))
            kill_driver(driver, injector, surroundings)
    job.calm()
    assert driver.end() == 0, driver.said
    job.check()
    job.check_files()
    assert faults.total >= 10
    surroundings.check_nothing_left()


@pytest.mark.cluster
def test_speculation__and_retries_count_nothing_twice(
    tmp_path: Path, cluster: Cluster, injector: Injector, surroundings: Surroundings
) -> None:
    job = make_job(
        tmp_path,
        seconds=0.02,
        straggle_seconds=1.5,
        instance_count=2,
        max_concurrency_per_instance=1,
        master=cluster.url,
        spark_conf={
            "spark.executorEnv.TMPDIR": str(surroundings.temporary),
            "spark.speculation": "true",
            "spark.speculation.interval": "50ms",
            "spark.speculation.quantile": "0.1",
            "spark.speculation.multiplier": "1.01",
        },
    )
    job.calm()
    driver = DriverProcess(job.launch)
    assert driver.end() == 0, driver.said
    job.check()
    assert job.count_repeated() > 0, "nothing was speculated"
    surroundings.check_nothing_left()
