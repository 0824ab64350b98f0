"""The store servers as fixtures of the whole suite; each starts with the first test that asks.

A server is shared by all tests: each works in a folder of its own. ``monkeypatch.setenv`` its
``environment`` (or give it to a process) and pass on its ``options``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.mlflow import MlflowServer
    from tests.servers.store import StoreServer


@pytest.fixture(scope="session")
def s3_store() -> Iterator[StoreServer]:
    """S3 (moto): ``s3://bucket``."""
    from tests.servers.s3 import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def abfss_store() -> Iterator[StoreServer]:
    """Azure Blob Storage (azurite): ``abfss://container@devstoreaccount1.dfs.core.windows.net``."""
    from tests.servers.azure import azure_server

    with azure_server() as server:
        yield server


@pytest.fixture(scope="session")
def wasbs_store(abfss_store: StoreServer) -> StoreServer:
    """The same container: ``wasbs://container@devstoreaccount1.blob.core.windows.net``."""
    from tests.servers.azure import as_wasbs

    return as_wasbs(abfss_store)


@pytest.fixture(scope="session")
def https_blob_store(abfss_store: StoreServer) -> StoreServer:
    """The same container: ``https://devstoreaccount1.blob.core.windows.net/container``."""
    from tests.servers.azure import as_https

    return as_https(abfss_store)


@pytest.fixture(scope="session")
def gs_store() -> Iterator[StoreServer]:
    """Google Cloud Storage (gcp-storage-emulator): ``gs://bucket``."""
    from tests.servers.gcs import gcs_server

    with gcs_server() as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """MLflow: tracking, registry and artifacts."""
    from tests.servers.mlflow import run_mlflow

    with run_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def http_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """Python's own web server, which lists folders; read only."""
    from tests.servers.web import web_server

    with web_server(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="session")
def nginx_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A web server whose index looks like nginx's; read only."""
    from tests.servers.web import NginxHandler, web_server

    with web_server(tmp_path_factory.mktemp("nginx"), NginxHandler) as server:
        yield server
