"""Jobs whose store goes away and comes back: a real PostgreSQL server, real launchers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from sparkscore.control.workspace import Workspace
from tests.control.jobs.conftest import AddJob, let_go, wait_until
from tests.servers.postgres import PostgresServer, run_postgres

LONGER_THAN_A_LOOK = 3.0


@pytest.fixture
def server(workspace: Workspace) -> Iterator[PostgresServer]:
    """The server with the workspace's store."""
    with run_postgres() as started:
        file = workspace.folder / "sparkscore.toml"
        url = started.create_database()
        file.write_text(file.read_text().replace("sqlite:///store.db", url))
        workspace.__dict__["store"] = Workspace.open(workspace.folder).store
        yield started
        workspace.close()


@pytest.mark.slow
def test_store_away__running_and_queued_jobs_complete(
    workspace: Workspace, server: PostgresServer, add_job: AddJob, behave: Callable[[str], None]
) -> None:
    behave("wait_for_go")
    for name in ("first", "second"):
        add_job(name)
        workspace.jobs.start(name)
    wait_until(lambda: workspace.jobs.get("first").status == "Running")
    with server.away():
        time.sleep(LONGER_THAN_A_LOOK)
    for name in ("first", "second"):
        let_go(workspace, name)
    log = workspace.jobs.get_local_folder("second") / "logs" / "launcher.log"
    assert "STORE_UNREACHABLE" in log.read_text()
    for name in ("first", "second"):
        assert workspace.jobs.get(name).wait(60).status == "Completed"
