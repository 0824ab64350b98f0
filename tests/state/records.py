"""Records for tests, with only what a test is about given."""

from __future__ import annotations

import dataclasses
from typing import Any

from sparkscore.state import (
    AssetRecord,
    ComputeRecord,
    DatastoreRecord,
    DeploymentRecord,
    EndpointRecord,
    JobRecord,
)

CREATED_AT = 1_700_000_000.25


def make_endpoint(name: str = "heart", **fields: Any) -> EndpointRecord:
    record = EndpointRecord(name=name, created_at=CREATED_AT, updated_at=CREATED_AT)
    return dataclasses.replace(record, **fields)


def make_deployment(
    name: str = "v1", endpoint_name: str = "heart", **fields: Any
) -> DeploymentRecord:
    record = DeploymentRecord(
        endpoint_name=endpoint_name,
        name=name,
        document={"name": name},
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
    )
    return dataclasses.replace(record, **fields)


def make_job(name: str = "job-1", **fields: Any) -> JobRecord:
    record = JobRecord(
        name=name,
        status="Queued",
        folder=f"/jobs/{name}",
        request_digest="digest",
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
        display_name=name,
        experiment_name="heart",
    )
    return dataclasses.replace(record, **fields)


def make_asset(name: str = "images", version: str = "1", **fields: Any) -> AssetRecord:
    record = AssetRecord(
        kind="data",
        name=name,
        version=version,
        document={"type": "uri_folder"},
        digest="digest",
        created_at=CREATED_AT,
    )
    return dataclasses.replace(record, **fields)


def make_datastore(name: str = "blobs", **fields: Any) -> DatastoreRecord:
    record = DatastoreRecord(
        name=name, document={"type": "local"}, created_at=CREATED_AT, updated_at=CREATED_AT
    )
    return dataclasses.replace(record, **fields)


def make_compute(name: str = "cluster", **fields: Any) -> ComputeRecord:
    record = ComputeRecord(
        name=name, document={"type": "spark"}, created_at=CREATED_AT, updated_at=CREATED_AT
    )
    return dataclasses.replace(record, **fields)
