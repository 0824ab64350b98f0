"""A process that writes to a store, for the concurrency tests: store_worker.py URL ACTION NUMBER.

Says READY on standard output once it is, and starts when it gets a line.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable

from sparkscore.errors import StateError
from sparkscore.state import DeploymentRecord, EndpointRecord, Store, open_store
from tests.state.records import make_deployment, make_endpoint, make_job

ROUNDS = 12
SHARED = "shared"
"""An endpoint whose tags count what the workers did, in the transaction that did it."""


def count_up(endpoint: EndpointRecord, tag: str, by: int = 1) -> EndpointRecord:
    value = str(int(endpoint.tags.get(tag, "0")) + by)
    return dataclasses.replace(endpoint, tags={**endpoint.tags, tag: value})


def open_only(store: Store, number: str) -> None:
    with store.reading() as reader:
        reader.list_endpoints()


def write(store: Store, number: str) -> None:
    """Jobs and deployments come and go; every transaction changes the count with them."""
    for turn in range(ROUNDS):
        with store.writing() as writer:
            writer.add_job(make_job(f"job-{number}-{turn}", endpoint_name=SHARED))
            writer.put_endpoint(count_up(writer.get_endpoint(SHARED), "jobs"))
        name = f"v-{number}-{turn}"
        with store.writing() as writer:
            writer.put_deployment(make_deployment(name, SHARED))
            writer.put_endpoint(count_up(writer.get_endpoint(SHARED), "deployments"))
        if turn % 2:
            with store.writing() as writer:
                writer.delete_deployment(SHARED, name)
                writer.put_endpoint(count_up(writer.get_endpoint(SHARED), "deployments", -1))


def update_guarded(store: Store, number: str) -> None:
    """Read outside, decide, write: the revision tells when somebody else was faster."""
    for _ in range(ROUNDS):
        while not _update_once(store, number):
            pass


def _update_once(store: Store, number: str) -> bool:
    with store.reading() as reader:
        job = reader.get_job("contended")
    tags = {**job.tags, number: str(int(job.tags.get(number, "0")) + 1)}
    try:
        with store.writing() as writer:
            writer.update_job(dataclasses.replace(job, tags=tags))
    except StateError as error:
        if error.condition != "STALE_REVISION":
            raise
        return False
    return True


def race_for_name(store: Store, number: str) -> None:
    """Everybody wants the same names; each has one winner."""
    for turn in range(ROUNDS):
        try:
            with store.writing() as writer:
                writer.add_job(make_job(f"wanted-{turn}", tags={"winner": number}))
        except StateError as error:
            if error.condition != "JOB_EXISTS":
                raise


def replace_endpoint(store: Store, number: str) -> None:
    """Delete an endpoint with deployments and make it again, all at once."""
    for turn in range(ROUNDS):
        with store.writing() as writer:
            if writer.find_endpoint("whole") is not None:
                writer.delete_endpoint("whole")
            writer.put_endpoint(make_endpoint("whole", default_deployment=f"{number}-{turn}"))
            for part in ("a", "b"):
                writer.put_deployment(_part(part, f"{number}-{turn}"))
            writer.put_deployment(make_deployment(f"{number}-{turn}", "whole"))


def _part(name: str, owner: str) -> DeploymentRecord:
    return make_deployment(name, "whole", document={"owner": owner})


def stop_halfway(store: Store, number: str) -> None:
    """Write half of what belongs together, then wait to be killed."""
    with store.writing() as writer:
        writer.add_job(make_job(f"half-{number}", endpoint_name=SHARED))
        print("HALFWAY", flush=True)
        time.sleep(600)


def write_for_ever(store: Store, number: str) -> None:
    turn = 0
    while True:
        turn += 1
        with store.writing() as writer:
            writer.add_job(make_job(f"job-{number}-{turn}", endpoint_name=SHARED))
            writer.put_endpoint(count_up(writer.get_endpoint(SHARED), "jobs"))


ACTIONS: dict[str, Callable[[Store, str], None]] = {
    action.__name__: action
    for action in (
        open_only,
        write,
        update_guarded,
        race_for_name,
        replace_endpoint,
        stop_halfway,
        write_for_ever,
    )
}


def main(url: str, action: str, number: str) -> None:
    print("READY", flush=True)
    sys.stdin.readline()
    with open_store(url) as store:
        ACTIONS[action](store, number)


if __name__ == "__main__":
    main(*sys.argv[1:])
