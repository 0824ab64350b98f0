"""Runs the server until it is told to stop. Control plane."""

from __future__ import annotations

import dataclasses
import gc
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from sparkscore.control.webhooks.telling import tell_ends
from sparkscore.control.workspace import Workspace
from sparkscore.control.workspace_config import DEFAULT_SERVER_URL
from sparkscore.errors import InvalidFieldError, SparkscoreError, UsageError
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.rest.connections import PatientProtocol

GRACE_SECONDS = 10
"""How long requests may go on after the server was told to stop."""

_HEADER_BYTES = 64 * 1024
_SWITCH_SECONDS = 0.0005
"""A request gives the interpreter away at each step of a query; it shall soon have it back."""

_TICKS = 20
"""How many tenths of a second pass between two looks at what was imported."""


def serve(
    workspace: Workspace,
    config: ServerConfig,
    *,
    on_url: Callable[[str], None],
    extend: Callable[[FastAPI], None] | None = None,
) -> None:
    """Serve the workspace until SIGTERM or SIGINT; jobs go on without the server.

    ``extend`` adds to the application what is not REST. ``on_url`` gets the server's URL once it
    listens. Raises UsageError (INSECURE_ADDRESS, ADDRESS_NOT_AVAILABLE), InvalidFieldError
    (INVALID_CERTIFICATE) and what ``create_app`` does.
    """
    config.check()
    _check_certificate(config)
    with _listening(config) as listener:
        url = _render_url(config, listener)
        if workspace.config.server_url == DEFAULT_SERVER_URL:
            workspace.config = dataclasses.replace(workspace.config, server_url=url)
        app = create_app(workspace, config)
        if extend is not None:
            extend(app)
        server = _Server(_configure(app, config), on_started=lambda: _start(workspace, on_url, url))
        tell_ends(workspace)
        sys.setswitchinterval(_SWITCH_SECONDS)
        with _signals_are_the_servers():
            server.run(sockets=[listener])
    workspace.close()


def _start(workspace: Workspace, on_url: Callable[[str], None], url: str) -> None:
    threading.Thread(target=_warm_up, args=[workspace], name="warm-up", daemon=True).start()
    on_url(url)


def _warm_up(workspace: Workspace) -> None:
    """Spare the first readers the seconds that MLflow takes; what fails is theirs to see."""
    with suppress(SparkscoreError):
        workspace.models.mlflow.warm_up()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._imported = ImportedModules()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._imported.freeze()
        self._on_started()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % _TICKS == 0 and self._imported.have_settled():
            self._imported.freeze()
        return await super().on_tick(counter)


class ImportedModules:
    """What is imported stays, and so need not be looked through for what is of no use any more.

    A full collection stops all requests meanwhile: a third of a second with all libraries loaded.
    Some are imported only by the first request that needs them.
    """

    def __init__(self) -> None:
        self._frozen = self._seen = 0

    def have_settled(self) -> bool:
        """Whether there are new ones, and no more since this was asked last."""
        before, self._seen = self._seen, len(sys.modules)
        return self._frozen != self._seen == before

    def freeze(self) -> None:
        """Leave all that is there now out of collections."""
        gc.collect()
        gc.freeze()
        self._frozen = self._seen = len(sys.modules)


def _configure(app: FastAPI, config: ServerConfig) -> uvicorn.Config:
    proxy = config.settings.trusted_proxy
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxy),
        forwarded_allow_ips=proxy or "127.0.0.1",
        ssl_certfile=config.tls_cert,
        ssl_keyfile=config.tls_key,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
        http=PatientProtocol,
    )


def _check_certificate(config: ServerConfig) -> None:
    if config.tls_cert is None or config.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key)
    except OSError as error:  # SSLError is one
        raise InvalidFieldError(
            f"{config.tls_cert} and {config.tls_key} are no certificate with its key: {error}",
            condition="INVALID_CERTIFICATE",
            path=str(config.tls_cert),
        ) from error


@contextmanager
def _listening(config: ServerConfig) -> Iterator[socket.socket]:
    """The server's socket; port 0 takes one that is free."""
    host = config.host.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
        # Connections inherit it: an answer goes in two pieces, and the second one must not wait.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise UsageError(
            f"{host}:{config.port} cannot be listened on: {error.strerror or error}; choose "
            "another --port or --host",
            condition="ADDRESS_NOT_AVAILABLE",
            host=host,
            port=config.port,
        ) from error
    with listener:
        yield listener


def _render_url(config: ServerConfig, listener: socket.socket) -> str:
    host = f"[{config.host}]" if ":" in config.host.strip("[]") else config.host
    return f"{config.scheme}://{host}:{listener.getsockname()[1]}"


@contextmanager
def _signals_are_the_servers() -> Iterator[None]:
    """uvicorn stops in order, then raises the signal again for whoever had it before: nobody."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, _ignore) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame
