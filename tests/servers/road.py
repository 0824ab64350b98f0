"""The way to a store server, on which one upload gets stuck. Tests only."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

from tests.servers.store import StoreServer

_CHUNK_BYTES = 64 * 1024


class Road:
    """Passes on what client and server say, until a connection has sent ``most_bytes``.

    Of that connection ``direction`` is stuck from then on: the ``request``, or its ``answer``.
    Later ones are stuck too if ``is_closed``.
    """

    def __init__(self, target: tuple[str, int], *, most_bytes: int, direction: str) -> None:
        self._target, self._most_bytes, self._direction = target, most_bytes, direction
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_stuck = threading.Event()
        self.is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        """Take no more connections, drop those that are stuck."""
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        stuck = threading.Event()
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=self._answer, args=(server, client, stuck), daemon=True)
            back.start()
            sent = 0
            while data := client.recv(_CHUNK_BYTES):
                sent += len(data)
                if sent > self._most_bytes and (self.is_closed or not self.is_stuck.is_set()):
                    stuck.set()
                    self.is_stuck.set()
                if stuck.is_set() and self._direction == "request":
                    self._wait_for_end(client)
                    return
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _wait_for_end(self, client: socket.socket) -> None:
        """The client may go away meanwhile; what it still sends goes nowhere."""
        client.settimeout(0.1)
        while not self._ended.is_set():
            with suppress(TimeoutError):
                if not client.recv(_CHUNK_BYTES):
                    return

    def _answer(self, server: socket.socket, client: socket.socket, stuck: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK_BYTES):
                if stuck.is_set():
                    self._ended.wait()
                    return
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)


@contextmanager
def stuck_road(
    server: StoreServer, *, most_bytes: int, direction: str = "request"
) -> Iterator[tuple[Road, StoreServer]]:
    """A road to ``server``, and the server as it is reached by it."""
    texts = [*server.environment.values(), *server.options.values()]
    (address,) = {found for found in map(_find_address, texts) if found}
    host, _, port = address.rpartition(":")
    road = Road((host, int(port)), most_bytes=most_bytes, direction=direction)
    try:
        yield (
            road,
            replace(
                server,
                environment={
                    name: value.replace(address, road.address)
                    for name, value in server.environment.items()
                },
                options={
                    name: value.replace(address, road.address)
                    for name, value in server.options.items()
                },
            ),
        )
    finally:
        road.end()


def _find_address(text: str) -> str:
    start = text.find("http://")
    return urlsplit(text[start:].rstrip(";")).netloc if start >= 0 else ""
