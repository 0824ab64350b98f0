"""HTTP: Python's own server, in threads of the tests' process. It lists folders."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from tests.servers.store import StoreServer


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves and lists a folder, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing: tests' output is for tests."""


class NginxHandler(QuietHandler):
    """Lists folders in the form of nginx's autoindex, with links to sort as Apache has them."""

    def list_directory(self, path):
        lines = ['<a href="?C=M;O=D">Last modified</a> <a href="../">../</a>']
        for entry in sorted(Path(path).iterdir()):
            name = entry.name + ("/" if entry.is_dir() else "")
            shown = html.escape(name if len(name) < 20 else f"{name[:17]}..>")
            href = quote(name, errors="surrogateescape")
            lines.append(f'<a href="{href}">{shown}</a>   22-Nov-2024 10:00   1K')
        body = "<html><body><h1>Index of /</h1><pre>" + "\n".join(lines) + "</pre></body></html>"
        content = body.encode("utf-8", "surrogateescape")
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return BytesIO(content)


@contextmanager
def web_server(
    folder: Path, handler: type[SimpleHTTPRequestHandler] = QuietHandler
) -> Iterator[StoreServer]:
    """A server of the files in ``folder``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def put(path: str, body: bytes) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)

    try:
        yield StoreServer(
            uri=f"http://127.0.0.1:{server.server_address[1]}", put=put, is_read_only=True
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
