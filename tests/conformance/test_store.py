"""One suite for every store: SQLite and a real PostgreSQL server."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from sparkscore.errors import AlreadyExistsError, NotFoundError, SparkscoreError, StateError
from sparkscore.state import (
    AssetRecord,
    ComputeRecord,
    DatastoreRecord,
    DeploymentRecord,
    EndpointRecord,
    JobFilter,
    JobRecord,
    Reader,
    Store,
    Writer,
)
from sparkscore.state.job_status import resume
from tests.state.records import (
    make_asset,
    make_compute,
    make_datastore,
    make_deployment,
    make_endpoint,
    make_job,
)

ODD = 'd"x\N{GREEK SMALL LETTER ALPHA}%'


def write(store: Store, *changes: Callable[[Writer], Any]) -> Any:
    """What the last of these changes, made in one transaction, returned."""
    with store.writing() as writer:
        return [change(writer) for change in changes][-1]


def read(store: Store, question: Callable[[Reader], Any]) -> Any:
    with store.reading() as reader:
        return question(reader)


STORE_BY_KIND: dict[type, Callable[[Writer, Any], Any]] = {
    EndpointRecord: Writer.put_endpoint,
    DeploymentRecord: Writer.put_deployment,
    JobRecord: Writer.add_job,
    AssetRecord: Writer.put_asset,
    DatastoreRecord: Writer.put_datastore,
    ComputeRecord: Writer.put_compute,
}


def put(store: Store, *records: Any) -> Any:
    """The last of these records as it was stored, each in a transaction of its own."""
    stored = None
    for record in records:
        with store.writing() as writer:
            stored = STORE_BY_KIND[type(record)](writer, record)
    return stored


def catch(store: Store, change: Callable[[Writer], Any]) -> SparkscoreError:
    with pytest.raises(StateError) as caught:
        write(store, change)
    return caught.value


def names(records: list[Any]) -> list[str]:
    return [record.name for record in records]


def test_writing__that_raises_changes_nothing(store: Store) -> None:
    def fail(writer: Writer) -> None:
        writer.put_endpoint(make_endpoint())
        writer.put_deployment(make_deployment())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(store, fail)
    assert read(store, lambda reader: reader.list_endpoints()) == []


def test_writer__reads_what_it_wrote(store: Store) -> None:
    with store.writing() as writer:
        stored = writer.put_endpoint(make_endpoint())
        assert writer.get_endpoint("heart") == stored == make_endpoint(revision=1)


def test_put_endpoint__replaces_what_was_read(store: Store) -> None:
    first = put(store, make_endpoint())
    changed = dataclasses.replace(first, description="of hearts", tags={"b": "1", "a": "2"})
    second = put(store, changed)
    assert second == dataclasses.replace(changed, revision=2)
    found = read(store, lambda reader: reader.get_endpoint("heart"))
    assert found == second
    assert list(found.tags) == ["b", "a"]


def test_put_endpoint__older_revision_is_refused(store: Store) -> None:
    first = put(store, make_endpoint())
    put(store, first)
    error = catch(store, lambda writer: writer.put_endpoint(first))
    assert error.condition == "STALE_REVISION"
    assert error.attributes == {"name": "heart", "revision": 1, "stored_revision": 2}


def test_put_endpoint__that_was_deleted_is_not_made_again(store: Store) -> None:
    first = put(store, make_endpoint())
    write(store, lambda writer: writer.delete_endpoint("heart"))
    assert catch(store, lambda writer: writer.put_endpoint(first)).condition == (
        "ENDPOINT_NOT_FOUND"
    )


def test_endpoint__names_differ_in_more_than_case(store: Store) -> None:
    first = put(store, make_endpoint("Heart"))
    error = catch(store, lambda writer: writer.put_endpoint(make_endpoint("hEART")))
    assert isinstance(error, AlreadyExistsError)
    assert (error.condition, error.attributes) == ("ENDPOINT_EXISTS", {"name": "Heart"})
    again = dataclasses.replace(first, name="HEART", description="new")
    assert put(store, again).name == "Heart"
    put(store, make_deployment(endpoint_name="heart"))
    with store.reading() as reader:
        assert reader.get_endpoint("heart").description == "new"
        assert reader.get_deployment("HEART", "v1").endpoint_name == "Heart"
        assert names(reader.list_deployments("hearT")) == ["v1"]


def test_list_endpoints__by_name_regardless_of_case(store: Store) -> None:
    put(store, *[make_endpoint(name) for name in ("b", "C", "a", "D")])
    assert names(read(store, lambda reader: reader.list_endpoints())) == ["a", "b", "C", "D"]


def test_delete_endpoint__takes_deployments_and_leaves_jobs(store: Store) -> None:
    put(
        store,
        make_endpoint(),
        make_endpoint("liver"),
        make_deployment("v1"),
        make_deployment("v1", "liver"),
        make_job(endpoint_name="heart", deployment_name="v1"),
    )
    write(store, lambda writer: writer.delete_endpoint("HEART"))
    with store.reading() as reader:
        assert reader.find_endpoint("heart") is None
        assert reader.find_deployment("heart", "v1") is None
        assert names(reader.list_deployments("liver")) == ["v1"]
        assert reader.get_job("job-1").endpoint_name == "heart"
    put(store, make_endpoint())
    assert read(store, lambda reader: reader.list_deployments("heart")) == []


def test_deployment__names_differ_in_case(store: Store) -> None:
    put(
        store,
        make_endpoint(),
        make_deployment("v1"),
        make_deployment("V1"),
    )
    assert names(read(store, lambda reader: reader.list_deployments("heart"))) == ["V1", "v1"]


def test_put_deployment__replaces_what_was_read(store: Store) -> None:
    put(store, make_endpoint())
    first = put(store, make_deployment())
    changed = dataclasses.replace(first, document={"name": "v1", "settings": {"a": [1, None]}})
    second = put(store, changed)
    assert read(store, lambda reader: reader.get_deployment("heart", "v1")) == second
    assert second.revision == 2
    error = catch(store, lambda writer: writer.put_deployment(first))
    assert error.condition == "STALE_REVISION"
    error = catch(store, lambda writer: writer.put_deployment(make_deployment()))
    assert error.condition == "DEPLOYMENT_EXISTS"
    assert error.attributes == {"name": "v1", "endpoint": "heart"}
    write(store, lambda writer: writer.delete_deployment("heart", "v1"))
    error = catch(store, lambda writer: writer.put_deployment(second))
    assert error.condition == "DEPLOYMENT_NOT_FOUND"


GETTERS: dict[str, Callable[[Reader], Any]] = {
    "ENDPOINT_NOT_FOUND": lambda reader: reader.get_endpoint("haert"),
    "DEPLOYMENT_NOT_FOUND": lambda reader: reader.get_deployment("heart", "v11"),
    "JOB_NOT_FOUND": lambda reader: reader.get_job("job-2"),
    "ENVIRONMENT_NOT_FOUND": lambda reader: reader.get_asset("environment", "imagse", "1"),
    "DATA_NOT_FOUND": lambda reader: reader.get_asset("data", "imagse", "1"),
    "CODE_NOT_FOUND": lambda reader: reader.get_latest_asset("code", "imagse"),
    "DATASTORE_NOT_FOUND": lambda reader: reader.get_datastore("blob"),
    "COMPUTE_NOT_FOUND": lambda reader: reader.get_compute("clusters"),
}
CLOSEST = {
    "ENDPOINT_NOT_FOUND": "heart",
    "DEPLOYMENT_NOT_FOUND": "v1",
    "JOB_NOT_FOUND": "job-1",
    "DATASTORE_NOT_FOUND": "blobs",
    "COMPUTE_NOT_FOUND": "cluster",
}


@pytest.mark.parametrize("condition", GETTERS)
def test_get__names_the_closest(condition: str, store: Store) -> None:
    def get() -> dict[str, Any]:
        with pytest.raises(NotFoundError) as caught:
            read(store, GETTERS[condition])
        assert caught.value.condition in (condition, "ENDPOINT_NOT_FOUND")
        return caught.value.attributes

    assert get()["closest"] is None
    put(
        store,
        make_endpoint(),
        make_deployment(),
        make_job(),
        make_asset(),
        make_asset(kind="code"),
        make_asset(kind="environment"),
        make_datastore(),
        make_compute(),
    )
    attributes = get()
    assert attributes["closest"] == CLOSEST.get(condition, "images")
    assert attributes["closest"] != attributes["name"]


DELETERS: dict[str, Callable[[Writer], None]] = {
    "ENDPOINT_NOT_FOUND": lambda writer: writer.delete_endpoint("heart"),
    "JOB_NOT_FOUND": lambda writer: writer.delete_job("job-1"),
    "DATA_NOT_FOUND": lambda writer: writer.delete_asset("data", "images", "1"),
    "DATASTORE_NOT_FOUND": lambda writer: writer.delete_datastore("blobs"),
    "COMPUTE_NOT_FOUND": lambda writer: writer.delete_compute("cluster"),
}


@pytest.mark.parametrize("condition", DELETERS)
def test_delete__once(condition: str, store: Store) -> None:
    put(
        store,
        make_endpoint(),
        make_job(),
        make_asset(),
        make_datastore(),
        make_compute(),
    )
    write(store, DELETERS[condition])
    assert catch(store, DELETERS[condition]).condition == condition


def test_add_job__gives_growing_sequences(store: Store) -> None:
    jobs = [put(store, make_job(name)) for name in "abc"]
    assert [job.revision for job in jobs] == [1, 1, 1]
    assert jobs[0].sequence < jobs[1].sequence < jobs[2].sequence
    write(store, lambda writer: writer.delete_job("c"))
    assert put(store, make_job("c")).sequence > jobs[2].sequence


def test_find_retries__by_age(store: Store) -> None:
    put(store, make_job("first"), make_job("other"), make_job("last", retry_of="last"))
    put(store, make_job("b", retry_of="first"), make_job("a", retry_of="first"))
    asked = ["first", "other", "last", "nobody"]
    found = read(store, lambda reader: reader.find_retries(asked))
    assert found == {"first": ("b", "a"), "last": ("last",)}
    assert read(store, lambda reader: reader.find_retries([])) == {}


def test_resume__is_stored_with_the_run_before(store: Store) -> None:
    failed = put(store, make_job(status="Failed", error={"condition": "X"}, started_at=1.0))
    resumed = resume(failed, at=2.0)
    stored = write(store, lambda writer: writer.update_job(resumed))
    with store.reading() as reader:
        assert reader.get_job(failed.name) == stored
        assert reader.list_active_jobs() == [stored]
    assert [run["condition"] for run in stored.earlier_runs] == ["X"]
    error = catch(store, lambda writer: writer.update_job(resume(failed, at=3.0)))
    assert error.condition == "STALE_REVISION"


def test_add_job__name_that_is_taken(store: Store) -> None:
    put(store, make_job("Job"))
    error = catch(store, lambda writer: writer.add_job(make_job("Job")))
    assert isinstance(error, AlreadyExistsError)
    assert (error.condition, error.attributes) == ("JOB_EXISTS", {"name": "Job"})
    assert put(store, make_job("job")).name == "job"


def test_update_job__keeps_sequence_and_checks_revision(store: Store) -> None:
    added = put(store, make_job())
    changed = dataclasses.replace(added, status="Running", sequence=99, heartbeat_at=5.125)
    updated = write(store, lambda writer: writer.update_job(changed))
    assert (updated.sequence, updated.revision) == (added.sequence, 2)
    assert read(store, lambda reader: reader.get_job("job-1")) == updated
    error = catch(store, lambda writer: writer.update_job(changed))
    assert (error.condition, error.attributes["stored_revision"]) == ("STALE_REVISION", 2)
    error = catch(store, lambda writer: writer.update_job(make_job("other")))
    assert error.condition == "JOB_NOT_FOUND"


@pytest.fixture
def listed(store: Store) -> Store:
    """Jobs a to f; two endpoints, two deployments, one archived."""
    rows = [
        make_job("a", endpoint_name="Heart", deployment_name="v1", status="Completed"),
        make_job("b", endpoint_name="heart", deployment_name="v2", status="Running"),
        make_job("c", endpoint_name="liver", deployment_name="v1", status="Failed"),
        make_job("d", endpoint_name="heart", deployment_name="v1", is_archived=True),
        make_job("e", experiment_name="trial", status="Canceled"),
        make_job("f", endpoint_name="heart", deployment_name="v1", status="NotResponding"),
    ]
    computes: dict[str, dict[str, Any]] = {
        "b": {"name": "dbx", "master": None},
        "c": {"name": ODD},
    }
    put(store, *(dataclasses.replace(row, compute=computes.get(row.name, {})) for row in rows))
    return store


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (JobFilter(), "fecba"),
        (JobFilter(archived="include"), "fedcba"),
        (JobFilter(archived="only"), "d"),
        (JobFilter(endpoint="HEART"), "fba"),
        (JobFilter(endpoint="heart", deployment="v1"), "fa"),
        (JobFilter(deployment="v1"), "fca"),
        (JobFilter(endpoint="heart", deployment="v1", archived="include"), "fda"),
        (JobFilter(statuses=("Completed", "Failed")), "ca"),
        (JobFilter(statuses=()), ""),
        (JobFilter(experiment="trial"), "e"),
        (JobFilter(endpoint="nowhere"), ""),
        (JobFilter(compute="dbx"), "b"),
        (JobFilter(compute="db"), ""),
        (JobFilter(compute=ODD), "c"),
        (JobFilter(compute="DBX"), ""),
    ],
)
def test_list_jobs__filters_newest_first(wanted: JobFilter, expected: str, listed: Store) -> None:
    with listed.reading() as reader:
        assert "".join(names(reader.list_jobs(wanted))) == expected
        assert reader.count_jobs(wanted) == len(expected)
        assert iterate_pages(reader, wanted, limit=2) == expected


def iterate_pages(reader: Reader, wanted: JobFilter, *, limit: int) -> str:
    found, before = "", None
    while page := reader.list_jobs(wanted, limit=limit, before_sequence=before):
        assert len(page) <= limit
        found += "".join(names(page))
        before = page[-1].sequence
    return found


def test_list_jobs__page_is_steady_while_jobs_come(listed: Store) -> None:
    first = read(listed, lambda reader: reader.list_jobs(limit=2))
    write(listed, lambda writer: writer.add_job(make_job("new")))
    second = read(
        listed, lambda reader: reader.list_jobs(limit=2, before_sequence=first[-1].sequence)
    )
    assert names(first + second) == ["f", "e", "c", "b"]


def test_list_active_jobs__oldest_first(listed: Store) -> None:
    assert names(read(listed, lambda reader: reader.list_active_jobs())) == ["b", "d", "f"]


def test_put_asset__same_content_is_kept_and_other_refused(store: Store) -> None:
    first = put(store, make_asset())
    later = make_asset(is_archived=True, document={"description": "new"}, created_at=9.0)
    second = put(store, later)
    expected = dataclasses.replace(later, sequence=first.sequence, created_at=first.created_at)
    assert second == expected == read(store, lambda r: r.get_asset("data", "images", "1"))
    error = catch(store, lambda writer: writer.put_asset(make_asset(digest="other")))
    assert isinstance(error, AlreadyExistsError)
    assert error.condition == "DATA_EXISTS"
    assert error.attributes == {"name": "images", "version": "1"}


def test_assets__newest_first(store: Store) -> None:
    assets = [
        make_asset("images", "2", digest="two"),
        make_asset("images", "10", digest="ten"),
        make_asset("tables", "1"),
        make_asset("images", "1", digest="two"),
        make_asset("images", "1", kind="code", digest="two"),
        make_asset("images", "old", digest="old", is_archived=True),
    ]
    put(store, *assets)
    with store.reading() as reader:
        listed = reader.list_assets("data", "images")
        assert [asset.version for asset in listed] == ["1", "10", "2"]
        assert names(reader.list_assets("data")) == ["images", "tables", "images", "images"]
        assert [a.version for a in reader.list_assets("data", archived="only")] == ["old"]
        assert len(reader.list_assets("data", archived="include")) == 5
        assert reader.get_latest_asset("data", "images").version == "1"
        by_digest = reader.find_asset_by_digest("data", "images", "two")
        assert by_digest is not None
        assert (by_digest.kind, by_digest.version) == ("data", "1")
        assert reader.find_asset_by_digest("data", "images", "old") is not None
        assert reader.find_asset_by_digest("data", "tables", "two") is None
        assert reader.find_latest_asset("environment", "images") is None


def test_get_asset__unknown_version_names_the_closest(store: Store) -> None:
    put(store, *[make_asset(version=version, digest=version) for version in ("2024-01", "9")])
    for asked, closest in (("2024-02", "2024-01"), ("x", "9")):
        with pytest.raises(NotFoundError) as caught:
            get_version(store, asked)
        assert caught.value.condition == "DATA_NOT_FOUND"
        assert caught.value.attributes["closest"] == closest


def get_version(store: Store, version: str) -> AssetRecord:
    with store.reading() as reader:
        return reader.get_asset("data", "images", version)


def test_get_latest_asset__all_archived(store: Store) -> None:
    put(store, make_asset(is_archived=True))
    with pytest.raises(NotFoundError, match="archived") as caught:
        read(store, lambda reader: reader.get_latest_asset("data", "images"))
    assert caught.value.condition == "DATA_NOT_FOUND"


def test_datastores__one_default(store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        read(store, lambda reader: reader.get_default_datastore())
    assert caught.value.condition == "NO_DEFAULT_DATASTORE"
    for name, is_default in (("a", True), ("c", False), ("b", True)):
        record = make_datastore(name, is_default=is_default)
        assert put(store, record) == record
    with store.reading() as reader:
        assert reader.get_default_datastore().name == "b"
        listed = [(record.name, record.is_default) for record in reader.list_datastores()]
        assert listed == [("a", False), ("b", True), ("c", False)]
    changed = make_datastore("c", document={"type": "s3", "bucket": "x"})
    put(store, changed)
    assert read(store, lambda reader: reader.get_datastore("c")) == changed


def test_computes__are_replaced(store: Store) -> None:
    for document in ({"type": "local"}, {"type": "spark", "master": "spark://a:7077"}):
        record = make_compute(document=document)
        assert put(store, record) == record
        assert read(store, lambda reader: reader.list_computes()) == [record]


def test_datastores_and_computes__archived_ones_are_listed_if_asked(store: Store) -> None:
    for name, is_archived in (("a", True), ("b", False)):
        put(store, make_datastore(name, is_archived=is_archived))
        put(store, make_compute(name, is_archived=is_archived))
    with store.reading() as reader:
        for list_records in (reader.list_datastores, reader.list_computes):
            assert [record.name for record in list_records()] == ["b"]
            assert [record.name for record in list_records(archived="only")] == ["a"]
            assert [record.name for record in list_records(archived="include")] == ["a", "b"]
        assert reader.get_datastore("a").is_archived
        assert reader.get_compute("a").is_archived


@pytest.mark.parametrize("text", ["a\0b", "caf\udce9"])
def test_text__that_no_database_holds(text: str, store: Store) -> None:
    error = catch(store, lambda writer: writer.put_endpoint(make_endpoint(description=text)))
    assert error.condition == "INVALID_TEXT"
    assert error.attributes["field"] == "description"
    tags = {"note": text}
    stored = put(store, make_endpoint(tags=tags))
    assert read(store, lambda reader: reader.get_endpoint("heart")) == stored
    assert stored.tags == tags
