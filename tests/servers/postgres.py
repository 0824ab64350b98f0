"""A real PostgreSQL server for tests: a cluster of its own in a temporary folder.

The server refuses to run as root, so that root starts it as another user; the folder lies
directly below the system's temporary folder, where that user can reach it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

_START_SECONDS = 60
_START_ATTEMPTS = 3
_SET_PARENT_DEATH_SIGNAL = 1
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


class PostgresMissingError(Exception):
    """No PostgreSQL on this machine, or no user to run it as."""


@dataclass
class PostgresServer:
    """A running server; its superuser is ``tester``."""

    port: int
    password: str = field(repr=False)
    process: subprocess.Popen[bytes]
    restart: Callable[[], subprocess.Popen[bytes]] = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str) -> str:
        return f"postgresql://tester:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True)

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers meanwhile; the server comes back with its data."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)
        yield
        self.process = self.restart()
        assert _answers(self)

    def drop_database(self, url: str) -> None:
        """Remove a database of ``create_database``, whoever is still connected."""
        with self.connect() as connection:
            name = url.rpartition("/")[2]
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def find_programs() -> Path:
    """The folder of initdb and postgres; raises PostgresMissingError, saying what to do."""
    on_path = shutil.which("postgres")
    if on_path is not None and shutil.which("initdb") is not None:
        return Path(on_path).parent
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    found = [folder for folder in folders if (folder / "initdb").is_file()]
    if not found:
        raise PostgresMissingError("PostgreSQL is not installed; run: scripts/postgres")
    return max(found, key=lambda folder: _version(folder.parent.name))


def _version(text: str) -> int:
    return int(text) if text.isdigit() else 0


@contextmanager
def run_postgres() -> Iterator[PostgresServer]:
    """A server that is stopped, and its data removed, at the end."""
    programs = find_programs()
    user = find_server_user()
    folder = Path(tempfile.mkdtemp(prefix="sparkscore-postgres-"))
    password = secrets.token_hex(16)
    try:
        _initialize(programs, folder, user=user, password=password)
        server = _start(programs, folder, user=user, password=password)
        try:
            yield server
        finally:
            _stop(server.process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_server_user() -> pwd.struct_passwd | None:
    """Whom root runs the server as; None for who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresMissingError("PostgreSQL does not run as root; add a user: useradd postgres")


def _initialize(
    programs: Path, folder: Path, *, user: pwd.struct_passwd | None, password: str
) -> None:
    password_file = folder / "password"
    password_file.write_text(password)
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.chown(password_file, user.pw_uid, user.pw_gid)
    command = [str(programs / "initdb"), "--pgdata", str(folder / "data"), "--no-sync"]
    command += ["--username=tester", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    command += ["--encoding=UTF8", "--locale=C"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, **_as_user(user)
    )
    if done.returncode != 0:
        raise PostgresMissingError(f"initdb failed: {done.stderr.strip()}")
    password_file.unlink()


def _as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [user.pw_gid]}


def _start(
    programs: Path, folder: Path, *, user: pwd.struct_passwd | None, password: str
) -> PostgresServer:
    for _ in range(_START_ATTEMPTS):
        port = _find_free_port()
        start = partial(_start_process, programs, folder, user=user, port=port)
        process = start()
        server = PostgresServer(port=port, password=password, process=process, restart=start)
        if _answers(server):
            return server
        _stop(process)
    log = (folder / "server.log").read_text(errors="replace")
    raise PostgresMissingError(f"PostgreSQL does not start: {log[-2000:]}")


def _start_process(
    programs: Path, folder: Path, *, user: pwd.struct_passwd | None, port: int
) -> subprocess.Popen[bytes]:
    command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "server.log").open("ab") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_stop_with_parent,
            **_as_user(user),
        )
    return process


def _stop_with_parent() -> None:
    """A test run that is killed leaves no server behind."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGQUIT)


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(server: PostgresServer) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Immediate shutdown: nobody needs the data."""
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
