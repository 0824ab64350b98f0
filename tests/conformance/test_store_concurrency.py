"""Several processes on one store, some of them killed: nothing lost, nothing half-written."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sparkscore.state import JobFilter, Reader, Store, open_store
from tests.architecture.sources import ROOT
from tests.conformance.store_worker import ROUNDS, SHARED
from tests.state.records import make_endpoint, make_job

WORKERS = 8
KILLS = 4

Worker = subprocess.Popen[str]


def start_worker(url: str, action: str, number: int) -> Worker:
    module = "tests.conformance.store_worker"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", module, url, action, str(number)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(worker: Worker, line: str) -> None:
    assert worker.stdout is not None
    said = worker.stdout.readline().strip()
    assert said == line, said or worker.communicate()[1]


def release(worker: Worker) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


@contextmanager
def running(url: str, *actions: str) -> Iterator[list[Worker]]:
    """Workers that have all begun at the same moment; none survives."""
    workers = [start_worker(url, action, number) for number, action in enumerate(actions)]
    try:
        for worker in workers:
            wait_for(worker, "READY")
        for worker in workers:
            release(worker)
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def finish(workers: list[Worker]) -> None:
    failed = [said for worker in workers if (said := worker.communicate(timeout=120)[1])]
    assert failed == []
    assert {worker.returncode for worker in workers} == {0}


def assert_counted(reader: Reader) -> None:
    """What the shared endpoint says it has is what there is."""
    tags = reader.get_endpoint(SHARED).tags
    assert int(tags.get("jobs", "0")) == reader.count_jobs(JobFilter(endpoint=SHARED))
    assert int(tags.get("deployments", "0")) == len(reader.list_deployments(SHARED))


def prepare(url: str) -> Store:
    store = open_store(url)
    with store.writing() as writer:
        writer.put_endpoint(make_endpoint(SHARED))
    return store


@pytest.mark.slow
def test_open_store__by_many_at_once(store_url: str) -> None:
    with running(store_url, *["open_only"] * WORKERS) as workers:
        finish(workers)
    with open_store(store_url) as store, store.reading() as reader:
        assert reader.list_endpoints() == []


@pytest.mark.slow
def test_writing__by_many_at_once_loses_nothing(store_url: str) -> None:
    snapshots = 0
    with prepare(store_url) as store:
        with running(store_url, *["write"] * WORKERS) as workers:
            while is_any_running(workers):
                with store.reading() as reader:
                    assert_counted(reader)
                snapshots += 1
            finish(workers)
        with store.reading() as reader:
            assert_counted(reader)
            jobs = reader.list_jobs()
            kept = reader.list_deployments(SHARED)
    assert len({job.name for job in jobs}) == len({job.sequence for job in jobs}) == len(jobs)
    assert (len(jobs), len(kept)) == (WORKERS * ROUNDS, WORKERS * ROUNDS // 2)
    assert snapshots > 3


@pytest.mark.slow
def test_update_job__by_many_at_once_loses_no_update(store_url: str) -> None:
    with prepare(store_url) as store:
        with store.writing() as writer:
            writer.add_job(make_job("contended"))
        with running(store_url, *["update_guarded"] * WORKERS) as workers:
            finish(workers)
        with store.reading() as reader:
            job = reader.get_job("contended")
    assert job.tags == {str(number): str(ROUNDS) for number in range(WORKERS)}
    assert job.revision == 1 + WORKERS * ROUNDS


@pytest.mark.slow
def test_add_job__one_of_many_wins_a_name(store_url: str) -> None:
    with prepare(store_url) as store:
        with running(store_url, *["race_for_name"] * WORKERS) as workers:
            finish(workers)
        with store.reading() as reader:
            names = [job.name for job in reader.list_jobs()]
    assert sorted(names) == sorted(f"wanted-{turn}" for turn in range(ROUNDS))


@pytest.mark.slow
def test_reading__sees_an_endpoint_whole_or_not_at_all(store_url: str) -> None:
    with (
        prepare(store_url) as store,
        running(store_url, *["replace_endpoint"] * WORKERS) as workers,
    ):
        seen = {see_whole(store) for _ in iter(lambda: is_any_running(workers), False)}
        finish(workers)
    assert len(seen - {None}) > 3


def is_any_running(workers: list[Worker]) -> bool:
    return any(worker.poll() is None for worker in workers)


def see_whole(store: Store) -> str | None:
    """Who made the endpoint that is there now; all its parts must be of the same worker."""
    with store.reading() as reader:
        endpoint = reader.find_endpoint("whole")
        if endpoint is None:
            return None
        parts = {part.name: part for part in reader.list_deployments("whole")}
    owner = str(endpoint.default_deployment)
    assert set(parts) == {"a", "b", owner}
    assert parts["a"].document == parts["b"].document == {"owner": owner}
    return owner


def test_writing__killed_halfway_leaves_nothing(store_url: str) -> None:
    with prepare(store_url) as store:
        with running(store_url, "stop_halfway") as (worker,):
            wait_for(worker, "HALFWAY")
            with store.reading() as reader:
                assert reader.count_jobs() == 0
            worker.kill()
            worker.wait()
            with store.writing() as writer:
                assert writer.count_jobs() == 0
                assert writer.add_job(make_job("next")).revision == 1
        with store.reading() as reader:
            assert [job.name for job in reader.list_jobs()] == ["next"]


@pytest.mark.slow
def test_writing__killed_at_any_point_stays_consistent(store_url: str) -> None:
    with prepare(store_url) as store:
        before = 0
        for kill in range(KILLS):
            with running(store_url, *["write_for_ever"] * 2) as workers:
                deadline = time.monotonic() + 60
                while _count(store) < before + 5 + kill and time.monotonic() < deadline:
                    time.sleep(0.003)
                for worker in workers:
                    worker.kill()
            with store.writing() as writer:
                assert_counted(writer)
                after = writer.count_jobs()
                for job in writer.list_jobs():
                    writer.delete_job(job.name)
                tags = {"jobs": "0"}
                found = writer.get_endpoint(SHARED)
                writer.put_endpoint(make_endpoint(SHARED, tags=tags, revision=found.revision))
            assert after >= before + 5 + kill


def _count(store: Store) -> int:
    with store.reading() as reader:
        return reader.count_jobs()


def test_reading__is_not_blocked_by_a_writer(store: Store) -> None:
    with store.writing() as writer:
        writer.put_endpoint(make_endpoint())
        with store.reading() as reader:
            assert reader.find_endpoint("heart") is None
    with store.reading() as reader:
        assert reader.find_endpoint("heart") is not None


def test_reading__sees_one_snapshot(store: Store) -> None:
    with store.reading() as reader:
        assert reader.list_endpoints() == []
        with store.writing() as writer:
            writer.put_endpoint(make_endpoint())
        assert reader.list_endpoints() == []
        assert reader.find_endpoint("heart") is None
