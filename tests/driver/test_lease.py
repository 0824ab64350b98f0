"""One driver per job folder, whoever was killed, stopped or has a wrong clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.driver.lease import Lease, find_newest_token, take_lease
from sparkscore.errors import CanceledError, StateError

HOLD = """
import sys, time
from pathlib import Path
from sparkscore.driver.lease import take_lease
lease = take_lease(Path(sys.argv[1]), heartbeat_seconds=0.05)
print(lease.token, flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "job" / "lease"


@pytest.fixture
def take(folder: Path) -> Iterator[Any]:
    leases: list[Lease] = []

    def take_it(**settings: Any) -> Lease:
        given = {"heartbeat_seconds": 0.02, "stale_seconds": 0.5, **settings}
        leases.append(take_lease(folder, **given))
        return leases[-1]

    yield take_it
    for lease in leases:
        lease.release()


def hold_elsewhere(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    return holder


def stop_beating(lease: Lease) -> None:
    lease._released.set()
    lease._thread.join()


def pretend(folder: Path, token: int, **changes: Any) -> None:
    """Change who holds the lease."""
    file = folder / f"{token:06d}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_lease__tokens_grow(take: Any, folder: Path) -> None:
    for token in (1, 2, 3):
        lease = take()
        assert lease.token == token == find_newest_token(folder)
        lease.confirm()
        lease.release()


def test_lease__held_by_a_living_driver(take: Any, folder: Path) -> None:
    first = take()
    before = sorted(folder.iterdir())
    started = time.monotonic()
    with pytest.raises(StateError) as caught:
        take(stale_seconds=30)
    assert time.monotonic() - started < 5
    assert (caught.value.condition, caught.value.exit_code) == ("LEASE_HELD", 5)
    assert caught.value.attributes["process"] == os.getpid()
    assert sorted(folder.iterdir()) == before
    first.confirm()


def test_lease__of_a_killed_process_of_this_machine_is_free_at_once(
    take: Any, folder: Path
) -> None:
    holder = hold_elsewhere(folder)
    with pytest.raises(StateError):
        take(stale_seconds=30)
    holder.kill()
    holder.communicate()
    started = time.monotonic()
    assert take(stale_seconds=30).token == 2
    assert time.monotonic() - started < 5


def test_lease__id_of_a_dead_owner_given_to_another_process(take: Any, folder: Path) -> None:
    stop_beating(take())
    pretend(folder, 1, started="1")
    assert take(stale_seconds=30).token == 2


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"machine": ""}, {"machine": "x:1"}])
def test_lease__of_another_machine_is_watched_first(
    take: Any, folder: Path, change: dict[str, str]
) -> None:
    stop_beating(take())
    pretend(folder, 1, started="1", **change)
    started = time.monotonic()
    assert take(stale_seconds=0.6).token == 2
    assert time.monotonic() - started >= 0.6


@pytest.mark.parametrize("text", ["", "{", '{"protocol": 99}'])
def test_lease__whose_owner_did_not_write_its_name(take: Any, folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "000001.json").write_text(text)
    assert take().token == 2


@pytest.mark.parametrize("jump_seconds", [-86400 * 365, 86400 * 365])
def test_lease__clocks_do_not_matter(take: Any, folder: Path, jump_seconds: int) -> None:
    """A time that is old or lies in the future is no sign of life, and one that moves is."""
    stop_beating(take())
    pretend(folder, 1, host="elsewhere")
    file = folder / "000001.json"
    then = time.time() + jump_seconds
    os.utime(file, (then, then))
    ended = threading.Event()

    def beat_backwards() -> None:
        step = 0
        while not ended.wait(0.05):
            step += 1
            os.utime(file, (then - step, then - step))

    beating = threading.Thread(target=beat_backwards)
    beating.start()
    with pytest.raises(StateError) as caught:
        take(stale_seconds=5)
    ended.set()
    beating.join()
    assert caught.value.condition == "LEASE_HELD"
    assert take().token == 2


def test_lease__taken_over_is_lost_and_never_released(take: Any, folder: Path) -> None:
    zombie = take()
    stop_beating(zombie)
    pretend(folder, 1, host="elsewhere")
    successor = take()
    for ask in (zombie.confirm, zombie.check):
        with pytest.raises(StateError) as caught:
            ask()
        assert (caught.value.condition, caught.value.exit_code) == ("LEASE_LOST", 5)
    zombie.release()
    successor.confirm()
    with pytest.raises(StateError) as caught:
        take(stale_seconds=30)
    assert caught.value.condition == "LEASE_HELD"


def test_lease__heartbeat_finds_the_successor(take: Any, folder: Path) -> None:
    lease = take()
    (folder / "000002.json").touch()
    lease._thread.join(10)
    with pytest.raises(StateError) as caught:
        lease.check()
    assert caught.value.condition == "LEASE_LOST"


def test_lease__of_a_removed_job_folder_is_lost(take: Any, folder: Path) -> None:
    lease = take()
    lease._released.set()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(StateError) as caught:
        lease.confirm()
    assert caught.value.condition == "LEASE_LOST"


def test_lease__cancel_while_a_stale_one_is_watched(take: Any, folder: Path) -> None:
    stop_beating(take())
    pretend(folder, 1, host="elsewhere")

    def check() -> None:
        raise CanceledError("the job was canceled")

    with pytest.raises(CanceledError):
        take(stale_seconds=30, check=check)
    assert find_newest_token(folder) == 1


def test_lease__one_of_many_gets_it(folder: Path) -> None:
    barrier = threading.Barrier(8)
    taken: list[Lease] = []
    refused: list[str] = []

    def compete() -> None:
        barrier.wait()
        try:
            taken.append(take_lease(folder, heartbeat_seconds=0.02, stale_seconds=5))
        except StateError as error:
            refused.append(error.condition)

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lease in taken:
        lease.release()
    assert len(taken) == 1
    assert refused == ["LEASE_HELD"] * 7
