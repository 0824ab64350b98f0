"""Records come back as they were stored, and any sequence of changes does what a dict would."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from sparkscore.errors import AlreadyExistsError, NotFoundError, StateError
from sparkscore.state import (
    AssetRecord,
    ComputeRecord,
    DatastoreRecord,
    DeploymentRecord,
    EndpointRecord,
    JobFilter,
    JobRecord,
    ProcessIdentity,
    Store,
)
from tests.state.records import make_deployment, make_endpoint, make_job

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
DOCUMENTS = st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3)
PROCESSES = st.builds(
    ProcessIdentity, host=TEXT, process_id=st.integers(0, 2**22), start_token=TEXT
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "float": NUMBERS,
    "int": st.just(0),
    "bool": st.booleans(),
    "AssetKind": st.sampled_from(["environment", "data", "code"]),
    "ProcessIdentity": PROCESSES,
    "dict[str, str]": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    "dict[str, Any]": DOCUMENTS,
    "list[dict[str, Any]]": st.lists(DOCUMENTS, max_size=2),
    "dict[str, dict[str, Any]]": st.dictionaries(st.text(max_size=5), DOCUMENTS, max_size=2),
}


def records_of(kind: type) -> st.SearchStrategy[Any]:
    """Records with every field of whatever its annotation allows."""
    fields = {}
    for field in dataclasses.fields(kind):
        declared = str(field.type)
        values = VALUES[declared.removesuffix(" | None")]
        fields[field.name] = st.none() | values if declared.endswith("| None") else values
    return st.builds(kind, **fields)


def clear(store: Store) -> None:
    with store.writing() as writer:
        for endpoint in writer.list_endpoints():
            writer.delete_endpoint(endpoint.name)
        for job in writer.list_jobs(JobFilter(archived="include")):
            writer.delete_job(job.name)


EVERY_EXAMPLE = settings(suppress_health_check=[HealthCheck.too_slow])


@EVERY_EXAMPLE
@given(record=records_of(JobRecord))
def test_job__comes_back_as_it_was(record: JobRecord, shared_store: Store) -> None:
    with shared_store.writing() as writer:
        stored = writer.add_job(record)
    with shared_store.writing() as writer:
        found = writer.get_job(record.name)
        writer.delete_job(record.name)
    assert found == stored
    assert dataclasses.replace(found, sequence=0, revision=0) == record


@EVERY_EXAMPLE
@given(record=records_of(EndpointRecord), deployment=records_of(DeploymentRecord))
def test_endpoint_and_deployment__come_back_as_they_were(
    record: EndpointRecord, deployment: DeploymentRecord, shared_store: Store
) -> None:
    named = dataclasses.replace(deployment, endpoint_name=record.name)
    with shared_store.writing() as writer:
        writer.put_endpoint(record)
        writer.put_deployment(named)
    with shared_store.writing() as writer:
        found = writer.get_endpoint(record.name)
        found_deployment = writer.get_deployment(record.name, named.name)
        writer.delete_endpoint(record.name)
    assert dataclasses.replace(found, revision=0) == record
    assert dataclasses.replace(found_deployment, revision=0) == named


@EVERY_EXAMPLE
@given(
    asset=records_of(AssetRecord),
    datastore=records_of(DatastoreRecord),
    compute=records_of(ComputeRecord),
)
def test_other_records__come_back_as_they_were(
    asset: AssetRecord, datastore: DatastoreRecord, compute: ComputeRecord, shared_store: Store
) -> None:
    with shared_store.writing() as writer:
        writer.put_asset(asset)
        writer.put_datastore(datastore)
        writer.put_compute(compute)
    with shared_store.writing() as writer:
        found = writer.get_asset(asset.kind, asset.name, asset.version)
        assert dataclasses.replace(found, sequence=0) == asset
        assert writer.get_datastore(datastore.name) == datastore
        assert writer.get_compute(compute.name) == compute
        writer.delete_asset(asset.kind, asset.name, asset.version)
        writer.delete_datastore(datastore.name)
        writer.delete_compute(compute.name)


ENDPOINTS = st.sampled_from(["heart", "Heart", "LIVER", "liver", "lung"])
DEPLOYMENTS = st.sampled_from(["v1", "v2", "V1"])
JOBS = st.sampled_from(["a", "b", "c", "d"])
STATUSES = st.sampled_from(["Queued", "Running", "Completed"])


class StoreMachine(RuleBasedStateMachine):
    """A store beside dicts: key -> name, (key, name) -> number, name -> (endpoint, status)."""

    store: Store

    @initialize()
    def begin(self) -> None:
        clear(self.store)
        self.endpoints: dict[str, str] = {}
        self.deployments: dict[tuple[str, str], int] = {}
        self.jobs: dict[str, tuple[str, str]] = {}

    @rule(name=ENDPOINTS)
    def create_endpoint(self, name: str) -> None:
        with self.expecting(AlreadyExistsError, when=name.lower() in self.endpoints):
            with self.store.writing() as writer:
                writer.put_endpoint(make_endpoint(name))
            self.endpoints[name.lower()] = name

    @rule(name=ENDPOINTS)
    def delete_endpoint(self, name: str) -> None:
        with self.expecting(NotFoundError, when=name.lower() not in self.endpoints):
            with self.store.writing() as writer:
                writer.delete_endpoint(name)
            del self.endpoints[name.lower()]
            for key in [key for key in self.deployments if key[0] == name.lower()]:
                del self.deployments[key]

    @rule(endpoint=ENDPOINTS, name=DEPLOYMENTS, number=st.integers(0, 9))
    def put_deployment(self, endpoint: str, name: str, number: int) -> None:
        with self.expecting(NotFoundError, when=endpoint.lower() not in self.endpoints):
            with self.store.writing() as writer:
                found = writer.find_deployment(endpoint, name)
                revision = 0 if found is None else found.revision
                document = {"number": number}
                writer.put_deployment(
                    make_deployment(name, endpoint, document=document, revision=revision)
                )
            self.deployments[endpoint.lower(), name] = number

    @rule(endpoint=ENDPOINTS, name=DEPLOYMENTS)
    def delete_deployment(self, endpoint: str, name: str) -> None:
        key = (endpoint.lower(), name)
        with self.expecting(NotFoundError, when=key not in self.deployments):
            with self.store.writing() as writer:
                writer.delete_deployment(endpoint, name)
            del self.deployments[key]

    @rule(name=JOBS, endpoint=ENDPOINTS, status=STATUSES)
    def add_job(self, name: str, endpoint: str, status: str) -> None:
        with self.expecting(AlreadyExistsError, when=name in self.jobs):
            with self.store.writing() as writer:
                writer.add_job(make_job(name, endpoint_name=endpoint, status=status))
            self.jobs[name] = (endpoint.lower(), status)

    @rule(name=JOBS, status=STATUSES)
    def update_job(self, name: str, status: str) -> None:
        with self.expecting(NotFoundError, when=name not in self.jobs):
            with self.store.writing() as writer:
                writer.update_job(dataclasses.replace(writer.get_job(name), status=status))
            self.jobs[name] = (self.jobs[name][0], status)

    @rule(name=JOBS)
    def delete_job(self, name: str) -> None:
        with self.expecting(NotFoundError, when=name not in self.jobs):
            with self.store.writing() as writer:
                writer.delete_job(name)
            del self.jobs[name]

    @rule(name=ENDPOINTS)
    def change_mind(self, name: str) -> None:
        """All changes of a transaction that raises are undone."""
        with pytest.raises(ZeroDivisionError):
            self._replace_everything(name)

    def _replace_everything(self, name: str) -> None:
        with self.store.writing() as writer:
            for endpoint in writer.list_endpoints():
                writer.delete_endpoint(endpoint.name)
            for job in writer.list_jobs():
                writer.delete_job(job.name)
            writer.put_endpoint(make_endpoint(name))
            raise ZeroDivisionError

    @invariant()
    def agrees(self) -> None:
        with self.store.reading() as reader:
            endpoints = reader.list_endpoints()
            deployments = {
                (endpoint.name.lower(), found.name): found.document["number"]
                for endpoint in endpoints
                for found in reader.list_deployments(endpoint.name)
            }
            jobs = reader.list_jobs()
            active = [job.name for job in reader.list_active_jobs()]
            count = reader.count_jobs(JobFilter(endpoint="heart"))
        assert {record.name.lower(): record.name for record in endpoints} == self.endpoints
        assert deployments == self.deployments
        assert [job.name for job in reversed(jobs)] == list(self.jobs)
        shown = {job.name: (str(job.endpoint_name).lower(), job.status) for job in jobs}
        assert shown == self.jobs
        assert active == [name for name, job in self.jobs.items() if job[1] != "Completed"]
        assert count == sum(endpoint == "heart" for endpoint, _ in self.jobs.values())

    def expecting(self, kind: type[StateError], *, when: bool) -> Any:
        return pytest.raises(kind) if when else nullcontext()


@pytest.mark.slow
def test_store__any_sequence_does_what_a_dict_does(shared_store: Store) -> None:
    machine = type("Machine", (StoreMachine,), {"store": shared_store})
    run_machine(machine, settings=settings(max_examples=50, stateful_step_count=30))
