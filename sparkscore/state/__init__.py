"""What a workspace remembers: records and the store that keeps them. Control plane.

``open_store(url)`` gives a Store on SQLite or PostgreSQL. ``with store.reading() as reader`` sees
one consistent snapshot; ``with store.writing() as writer`` is one transaction, and one at a time
per store: what is read in it cannot change before it ends. Nothing slow belongs inside it.
Names are imported on first use, so that ``import sparkscore.state`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkscore.state.job_queries import Archived as Archived
    from sparkscore.state.job_queries import JobFilter as JobFilter
    from sparkscore.state.reader import Reader as Reader
    from sparkscore.state.records import AssetKind as AssetKind
    from sparkscore.state.records import AssetRecord as AssetRecord
    from sparkscore.state.records import ComputeRecord as ComputeRecord
    from sparkscore.state.records import DatastoreRecord as DatastoreRecord
    from sparkscore.state.records import DeploymentRecord as DeploymentRecord
    from sparkscore.state.records import EndpointRecord as EndpointRecord
    from sparkscore.state.records import JobRecord as JobRecord
    from sparkscore.state.records import ProcessIdentity as ProcessIdentity
    from sparkscore.state.records import TokenRecord as TokenRecord
    from sparkscore.state.store import Store as Store
    from sparkscore.state.store import open_store as open_store
    from sparkscore.state.writer import Writer as Writer

_HOMES = {
    "Archived": "job_queries",
    "AssetKind": "records",
    "AssetRecord": "records",
    "ComputeRecord": "records",
    "DatastoreRecord": "records",
    "DeploymentRecord": "records",
    "EndpointRecord": "records",
    "JobFilter": "job_queries",
    "JobRecord": "records",
    "ProcessIdentity": "records",
    "Reader": "reader",
    "Store": "store",
    "TokenRecord": "records",
    "Writer": "writer",
    "open_store": "store",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
