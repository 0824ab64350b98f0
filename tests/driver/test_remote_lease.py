"""One driver per job in a store, and what the next one finds there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sparkscore.driver import remote_lease
from sparkscore.driver.cancel import Cancellation
from sparkscore.driver.remote_folder import RemoteFolder
from sparkscore.driver.remote_lease import (
    RemoteLease,
    _claim,
    find_newest_token,
    take_remote_lease,
)
from sparkscore.errors import CanceledError, StateError
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import CANCEL_FILE, CancelMessage
from sparkscore.messages.resume import LeaseMessage

URI = "memory://jobs/one"


@pytest.fixture
def folder(store: Any) -> RemoteFolder:
    del store
    return RemoteFolder(URI, {})


@pytest.fixture
def take(folder: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(remote_lease, "_LOOK_SECONDS", 0.05)
    leases: list[RemoteLease] = []

    def take_it(**settings: Any) -> RemoteLease:
        given = {"beat_seconds": 0.02, "stale_seconds": 2.0, **settings}
        leases.append(take_remote_lease(folder, **given))
        return leases[-1]

    yield take_it
    for lease in leases:
        lease.release()


def die(lease: RemoteLease) -> None:
    """As a driver on a lost machine: no beat any more, and nothing released."""
    lease._released.set()
    lease._thread.join()


def forget_owner(store: Any, token: int) -> None:
    """As if the holder ran on another machine, where its process cannot be looked at."""
    owner = LeaseMessage(token=token, host="elsewhere", machine="x", process=1, started="1")
    store.pipe_file(f"/jobs/one/lease/{token:06d}.json", to_json(owner).encode())


def test_first_driver__has_token_1(take: Any, folder: RemoteFolder) -> None:
    lease = take()
    lease.confirm()
    assert (lease.token, find_newest_token(folder)) == (1, 1)


def test_released__the_next_driver_takes_over_at_once(take: Any) -> None:
    take().release()
    assert take(stale_seconds=600.0).token == 2


def test_living_holder__refuses_the_next(take: Any, store: Any) -> None:
    take()
    forget_owner(store, 1)
    with pytest.raises(StateError) as caught:
        take(stale_seconds=60.0, wait_seconds=0.2)
    assert caught.value.condition == "LEASE_HELD"
    assert caught.value.attributes["host"] == "elsewhere"


def test_holder_in_its_grace_period__is_waited_for(take: Any, store: Any) -> None:
    first = take()
    forget_owner(store, 1)
    looks = []

    def end_first() -> None:
        looks.append(1)
        if len(looks) == 2:
            first.release()

    second = take(stale_seconds=60.0, wait_seconds=60.0, check=end_first)
    assert (second.token, len(looks)) == (2, 2)


def test_wait_for_a_living_holder__hears_the_cancel_file(take: Any, store: Any) -> None:
    take()
    forget_owner(store, 1)
    store.pipe_file(f"/jobs/one/{CANCEL_FILE}", b"")
    cancellation = Cancellation()
    with pytest.raises(CanceledError):
        take(
            stale_seconds=60.0,
            wait_seconds=60.0,
            check=cancellation.check,
            on_cancel=cancellation.ask,
        )


@pytest.mark.parametrize(
    ("content", "run", "is_asked"),
    [(None, 0, False), (b"1", 3, True), (0, 0, True), (0, 1, False), (1, 1, True), (1, 0, True)],
)
def test_cancel_file__is_for_a_run_and_those_before(
    store: Any, folder: RemoteFolder, content: Any, run: int, is_asked: bool
) -> None:
    if isinstance(content, int):
        content = to_json(CancelMessage(content)).encode()
    if content is not None:
        store.pipe_file(f"/jobs/one/{CANCEL_FILE}", content)
    assert folder.is_cancel_asked(run) is is_asked


class LostAnswers(MemoryFileSystem):  # type: ignore[misc]
    """A store whose client gets no answer to an upload, asks again and is refused."""

    protocol = "lostanswers"
    cachable = False
    rival: ClassVar[bytes | None] = None

    def put_file(self, lpath: str, rpath: str, mode: str = "", **arguments: Any) -> None:
        content = self.rival or Path(lpath).read_bytes()
        self.pipe_file(rpath, content)
        raise FileExistsError(rpath)


@pytest.mark.parametrize("is_ours", [True, False])
def test_claim_without_an_answer__is_known_by_its_content(
    store: Any, monkeypatch: pytest.MonkeyPatch, is_ours: bool
) -> None:
    fsspec.register_implementation("lostanswers", LostAnswers, clobber=True)
    rival = LeaseMessage(token=1, host="elsewhere", machine="x", process=1, started="1")
    if not is_ours:
        monkeypatch.setattr(LostAnswers, "rival", to_json(rival).encode())
    folder = RemoteFolder("lostanswers://jobs/one", {})
    assert _claim(folder, 1) is is_ours


def test_holder_without_a_beat__is_followed(take: Any, store: Any) -> None:
    first = take()
    die(first)
    forget_owner(store, 1)
    second = take(stale_seconds=0.2)
    assert second.token == 2
    with pytest.raises(StateError) as caught:
        first.confirm()
    assert caught.value.condition == "LEASE_LOST"
    second.confirm()


def test_wait_for_a_stale_lease__can_be_canceled(take: Any, store: Any) -> None:
    die(take())
    forget_owner(store, 1)

    def refuse() -> None:
        raise CanceledError("the job was canceled")

    with pytest.raises(CanceledError):
        take(stale_seconds=600.0, check=refuse)


def test_two_at_once__get_different_tokens(tmp_path: Path) -> None:
    folder = RemoteFolder(str(tmp_path), {})
    found: list[int | str] = []

    def take_one() -> None:
        try:
            lease = take_remote_lease(folder, beat_seconds=0.02, stale_seconds=60.0)
        except StateError as error:
            found.append(error.condition)
        else:
            found.append(lease.token)
            lease.release()

    threads = [threading.Thread(target=take_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tokens = [token for token in found if isinstance(token, int)]
    assert len(set(tokens)) == len(tokens) >= 1
    assert {*found} - {*tokens} <= {"LEASE_HELD"}


def test_cancel_file__is_heard_once(take: Any, store: Any) -> None:
    heard = threading.Event()
    count = []

    def note() -> None:
        count.append(1)
        heard.set()

    take(on_cancel=note)
    store.pipe_file(f"/jobs/one/{CANCEL_FILE}", b"1")
    assert heard.wait(20)
    assert count == [1]


def test_restore__waves_count_with_their_mark_and_a_plan(
    store: Any, folder: RemoteFolder, tmp_path: Any
) -> None:
    for name in (
        *("status.json", "publish.json", "launch.json", "code/score.py", "logs/a.txt"),
        *("staging/inherited.1.json", "staging/wave-00000.1/part-0.parquet"),
        *("staging/wave-00000.1/_committed.json", "staging/wave-00001.1/part-0.parquet"),
        "plan/files.parquet",
    ):
        store.pipe_file(f"/jobs/one/{name}", name.encode())
    folder.restore(tmp_path / "first")
    assert list_below(tmp_path / "first") == {"status.json", "publish.json"}
    store.pipe_file("/jobs/one/plan/plan.json", b"{}")
    folder.restore(tmp_path / "second")
    assert list_below(tmp_path / "second") == {
        *("status.json", "publish.json", "plan/plan.json", "plan/files.parquet"),
        *("staging/inherited.1.json", "staging/wave-00000.1/part-0.parquet"),
        "staging/wave-00000.1/_committed.json",
    }


def list_below(folder: Any) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
