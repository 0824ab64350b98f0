"""Opening a store: what it makes, what it refuses, and what it costs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sparkscore.errors import MissingDependencyError, StateError
from sparkscore.state import open_store
from tests.architecture.sources import ROOT
from tests.servers.postgres import PostgresServer
from tests.state.records import make_endpoint
from tests.state.users import unprivileged


def catch(url: str) -> StateError:
    with pytest.raises(StateError) as caught:
        open_store(url)
    return caught.value


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_sqlite__files_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_store(f"sqlite:///{tmp_path}/store.db") as store:
            with store.writing() as writer:
                writer.put_endpoint(make_endpoint())
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_sqlite__is_set_up_for_several_processes(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/store.db") as store, store.reading() as reader:
        ask = reader._connection.exec_driver_sql
        assert ask("PRAGMA journal_mode").scalar() == "wal"
        assert ask("PRAGMA foreign_keys").scalar() == 1
        assert ask("PRAGMA busy_timeout").scalar() == 60_000


def test_sqlite__opened_twice_in_a_process_keeps_the_log(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    code = (
        "import sys\n"
        "from sparkscore.state import open_store\n"
        "from tests.state.records import make_endpoint\n"
        "with open_store(sys.argv[1]) as store, store.writing() as writer:\n"
        "    writer.put_endpoint(make_endpoint(sys.argv[2]))\n"
    )
    with open_store(url) as store, open_store(url):
        # The other process takes itself for the last one if the locks of this one are gone.
        run_python(code, url, "before")
        assert (tmp_path / "store.db-wal").exists()
        with store.writing() as writer:
            writer.put_endpoint(make_endpoint("here"))
        run_python(code, url, "after")
        with store.reading() as reader:
            names = [record.name for record in reader.list_endpoints()]
    assert names == ["after", "before", "here"]


def test_sqlite__relative_path_is_of_the_folder_it_was_opened_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///store.db") as store:
        monkeypatch.chdir("/")
        with store.writing() as writer:
            writer.put_endpoint(make_endpoint())
    assert (tmp_path / "store.db").stat().st_size > 0
    assert not Path("/store.db").exists()


@pytest.mark.parametrize("place", ["missing/store.db", "file/store.db", "folder"])
def test_sqlite__place_that_is_not_there(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    error = catch(f"sqlite:///{tmp_path}/{place}")
    assert error.condition == "STORE_UNREACHABLE"
    assert error.attributes == {"store": str(tmp_path / place)}
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_sqlite__read_only_folder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        with unprivileged():
            error = catch(f"sqlite:///{folder}/store.db")
        assert error.condition == "STORE_NOT_WRITABLE"
        assert os.listdir(folder) == []


@pytest.mark.parametrize("has_log", [False, True])
@pytest.mark.parametrize("mode", [0o555, 0o755])
def test_sqlite__that_cannot_be_written_can_be_read(mode: int, has_log: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/a store%3F.db"
        with open_store(url) as store, store.writing() as writer:
            writer.put_endpoint(make_endpoint())
        log = open_store(url) if has_log else None
        if log is not None:
            with log.writing() as writer:
                writer.put_endpoint(make_endpoint(name="later"))
        before = sorted(os.listdir(folder))
        for name in before:
            os.chmod(Path(folder, name), 0o444)
        os.chmod(folder, mode)
        with unprivileged(), open_store(url) as store:
            with store.reading() as reader:
                assert len(reader.list_endpoints()) == 1 + has_log
            with pytest.raises(StateError) as caught, store.writing() as writer:
                writer.put_endpoint(make_endpoint(name="third"))
        assert caught.value.condition == "STORE_NOT_WRITABLE"
        assert sorted(os.listdir(folder)) == before
        if log is not None:
            log.close()
        os.chmod(folder, 0o755)


def test_sqlite__file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    assert catch(f"sqlite:///{path}").condition == "STORE_DAMAGED"
    assert path.read_bytes().startswith(b"this is no database")


def test_sqlite__damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}").close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StateError) as caught:  # noqa: PT012 - opening may notice, or the first query
        store = open_store(f"sqlite:///{path}")
        with store.reading() as reader:
            reader.list_endpoints()
    assert caught.value.condition == "STORE_DAMAGED"


def test_sqlite__beside_the_tables_of_others(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
        other.execute("INSERT INTO alembic_version VALUES ('theirs')")
        other.execute("CREATE TABLE jobs (theirs TEXT)")
    other.close()
    with open_store(f"sqlite:///{path}") as store, store.writing() as writer:
        writer.put_endpoint(make_endpoint())
        ask = writer._connection.exec_driver_sql
        assert ask("SELECT version_num FROM alembic_version").scalar() == "theirs"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://host/store.db",
        "sqlite:////tmp/store.db?mode=ro",
        "mysql://user:hunter2@host/name",
        "postgresql://user:hunter2@part@host/name",
        "postgresql://user:hunter2@host:port/name",
    ],
)
def test_url__wrong_one(url: str) -> None:
    error = catch(url)
    assert error.condition == "INVALID_STORE_URL"
    assert "hunter2" not in f"{error} {error.attributes}"
    assert error.__cause__ is None


def test_postgresql__nobody_answers() -> None:
    error = catch("postgresql://user:hunter2@127.0.0.1:1/name?connect_timeout=2")
    assert error.condition == "STORE_UNREACHABLE"
    assert error.attributes == {"store": "postgresql://user:***@127.0.0.1:1/name"}
    assert "hunter2" not in str(error)


def test_postgresql__wrong_password(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("postgres").replace(postgres_server.password, "hunter2")
    error = catch(url)
    assert error.condition == "STORE_UNREACHABLE"
    assert "hunter2" not in f"{error} {error.attributes} {error.__cause__}"
    assert "password authentication failed" in str(error)


def test_postgresql__no_such_database(postgres_server: PostgresServer) -> None:
    assert catch(postgres_server.url("nowhere")).condition == "STORE_UNREACHABLE"


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_postgresql__schemes(scheme: str, postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database().replace("postgresql", scheme, 1)
    with open_store(url) as store:
        with store.reading() as reader:
            assert reader.list_endpoints() == []
        assert postgres_server.password not in f"{store.address} {store!r}"


def test_postgresql__user_who_may_not_make_tables(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    name = url.rpartition("/")[2]
    with postgres_server.connect(name) as connection:
        connection.execute(f"CREATE ROLE guest_{name} LOGIN PASSWORD 'hunter2'".encode())
    guest = url.replace("tester", f"guest_{name}").replace(postgres_server.password, "hunter2")
    error = catch(guest)
    assert error.condition == "STORE_NOT_WRITABLE"
    assert "hunter2" not in str(error)


def test_postgresql__without_psycopg() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from sparkscore.errors import MissingDependencyError
from sparkscore.state import open_store
try:
    open_store("postgresql://user:hunter2@host/name")
except MissingDependencyError as error:
    print(error.condition, error.attributes["extra"], "sparkscore[postgres]" in str(error))
"""
    assert run_python(code) == f"{MissingDependencyError.condition} postgres True"


def test_open_store__current_one_needs_no_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    code = """
import sys
from sparkscore.state import open_store
with open_store(sys.argv[1]) as store, store.reading() as reader:
    reader.list_endpoints()
print("alembic" in sys.modules, "sqlalchemy.orm" in sys.modules)
"""
    assert run_python(code, url).startswith("True")
    assert run_python(code, url) == "False False"


def test_package__costs_nothing_to_import() -> None:
    code = "import sys, sparkscore.state.records, sparkscore.state.job_status;"
    assert run_python(code + "print('sqlalchemy' in sys.modules)") == "False"
