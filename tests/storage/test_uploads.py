"""Uploads that are to stop: nothing of them appears, unless the store has taken all of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sparkscore.errors import CanceledError
from sparkscore.storage import open_store, put_new_file, upload_new_folder
from tests.servers.road import Road, stuck_road
from tests.servers.store import StoreServer

# What Azure's client gives to aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

MEGABYTE = 1 << 20


@pytest.fixture(params=["s3", "abfss"])
def server(request: pytest.FixtureRequest) -> StoreServer:
    """A folder of its own in each store whose server answers while one request is stuck.

    That of GCS serves one request after the other.
    """
    shared: StoreServer = request.getfixturevalue(f"{request.param}_store")
    return replace(shared, uri=f"{shared.uri}/test-{uuid4().hex[:8]}")


@contextmanager
def reached_by(server: StoreServer) -> Iterator[StoreServer]:
    """The environment that reaches a server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


def list_all(server: StoreServer) -> set[str]:
    """What stands below the folder, looked at directly."""
    with reached_by(server):
        store, path = open_store(server.uri, server.options)
        store.invalidate_cache()
        return {found.removeprefix(f"{path}/") for found in store.find(path)}


def cancel_once(road: Road, *, closes: bool = False) -> Callable[[], None]:
    """A check that asks to stop once an upload is stuck."""

    def check() -> None:
        if road.is_stuck.is_set():
            road.is_closed = closes
            raise CanceledError("the job was canceled")

    return check


def make_file(path: Path, megabytes: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(megabytes * MEGABYTE))
    return str(path)


@pytest.mark.parametrize("closes", [False, True], ids=["answers", "deaf"])
def test_put__that_is_stopped_ends_soon_and_leaves_nothing(
    server: StoreServer, tmp_path: Path, closes: bool
) -> None:
    local = make_file(tmp_path / "big", 3)
    with stuck_road(server, most_bytes=MEGABYTE) as (road, slow), reached_by(slow):
        started = time.monotonic()
        with pytest.raises(CanceledError):
            put_new_file(
                local, f"{slow.uri}/big", slow.options, check=cancel_once(road, closes=closes)
            )
        assert time.monotonic() - started < 30
    assert list_all(server) == set()


def test_put__in_parts_that_is_stopped_leaves_no_part(
    s3_store: StoreServer, tmp_path: Path
) -> None:
    local = str(tmp_path / "big")
    Path(local).touch()
    os.truncate(local, 120 * MEGABYTE)
    server = replace(s3_store, uri=f"{s3_store.uri}/test-{uuid4().hex[:8]}")
    way = stuck_road(server, most_bytes=4 * MEGABYTE)
    with way as (road, slow), reached_by(slow), pytest.raises(CanceledError):
        put_new_file(local, f"{slow.uri}/big", slow.options, check=cancel_once(road))
    assert list_all(server) == set()
    with reached_by(server):
        store, _ = open_store(server.uri, server.options)
        assert store.list_multipart_uploads("bucket") == []


def test_put__whose_answer_is_lost_has_ended_all_the_same(
    server: StoreServer, tmp_path: Path
) -> None:
    local = make_file(tmp_path / "big", 3)
    road_and_server = stuck_road(server, most_bytes=3 * MEGABYTE, direction="answer")
    with road_and_server as (road, slow), reached_by(slow):

        def check() -> None:
            if road.is_stuck.is_set() and list_all(server) == {"big"}:
                raise CanceledError("the job was canceled")

        put_new_file(local, f"{slow.uri}/big", slow.options, check=check)
    assert list_all(server) == {"big"}


def test_upload__of_a_folder_that_is_stopped_is_taken_back(
    server: StoreServer, tmp_path: Path
) -> None:
    names = [f"part-{number}" for number in range(12)]
    for name in names:
        make_file(tmp_path / name, 3 if name == "part-5" else 0)
    with stuck_road(server, most_bytes=MEGABYTE) as (road, slow), reached_by(slow):

        def check() -> None:
            if road.is_stuck.is_set() and len(list_all(server)) == len(names) - 1:
                raise CanceledError("the job was canceled")

        with pytest.raises(CanceledError):
            upload_new_folder(str(tmp_path), slow.uri, slow.options, names=names, check=check)
    assert list_all(server) == set()


def test_put__by_a_client_that_cannot_be_interrupted_is_left_alone(tmp_path: Path) -> None:
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    released = threading.Event()

    class StuckFileSystem(MemoryFileSystem):  # type: ignore[misc]
        protocol = "stuck"

        def put_file(self, lpath: str, rpath: str, **arguments: Any) -> None:
            released.wait()

    fsspec.register_implementation("stuck", StuckFileSystem, clobber=True)

    def check() -> None:
        raise CanceledError("the job was canceled")

    try:
        with pytest.raises(CanceledError):
            put_new_file(make_file(tmp_path / "a", 0), "stuck://out/a", {}, check=check)
    finally:
        released.set()
