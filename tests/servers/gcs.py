"""Google Cloud Storage: gcp-storage-emulator, in a thread of the tests' process.

It knows no ``ifGenerationMatch``: that a put never overwrites holds there by the look before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import requests
from gcp_storage_emulator.server import create_server

from tests.servers.store import StoreServer


@contextmanager
def gcs_server(bucket: str = "bucket") -> Iterator[StoreServer]:
    """A server with the bucket ``gs://bucket``; the options say where it is."""
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=bucket)
    server.start()
    host, port = server._api._httpd.server_address[:2]
    address = f"http://{host}:{port}"

    def put(path: str, body: bytes) -> None:
        url = (
            f"{address}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(path, safe='')}"
        )
        requests.post(url, data=body, timeout=30).raise_for_status()

    try:
        yield StoreServer(
            uri=f"gs://{bucket}",
            put=put,
            options={"endpoint": address, "anonymous": "true"},
        )
    finally:
        server.stop()
