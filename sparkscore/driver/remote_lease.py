"""One driver per job, where drivers share a store and nothing else. Spark driver process.

As ``lease`` does in a folder: a file ``lease/<token>.json``, which the store makes only once, and
the highest token holds the job. Its holder writes ``lease/<token>.beat`` anew every few seconds.
Whoever wants the job watches whether that changes, and compares no clocks.

Platforms start the next driver after the one before has ended, or is about to. Should a lost
driver come back beside its successor, it finds the higher token within seconds and ends; what it
wrote until then stands below names with its own token, which the successor does not count.
"""

from __future__ import annotations

import os
import re
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress

from sparkscore.driver.held_lease import HeldLease
from sparkscore.driver.lease import describe_owner, is_known_dead
from sparkscore.driver.remote_folder import RemoteFolder
from sparkscore.errors import AlreadyExistsError, MessageError, StateError
from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.resume import LeaseMessage
from sparkscore.storage import child_path, join_uri, put_new_file

BEAT_SECONDS = 3.0
STALE_SECONDS = 15.0
"""How long a lease without a beat is watched before it is taken over."""

WAIT_SECONDS = 60.0
"""How long a driver waits for one that still beats: a platform may start the next one while the one
before has its grace period."""

_LOOK_SECONDS = 1.0
_TOKEN = re.compile(r"(\d{6,})\.json")


class RemoteLease(HeldLease):
    """The lease of a job whose folder is in a store.

    ``on_cancel`` is called once the control plane asks for the end of the ``run``-th run.
    """

    def __init__(
        self,
        folder: RemoteFolder,
        token: int,
        *,
        run: int,
        on_cancel: Callable[[], None],
        beat_seconds: float,
    ) -> None:
        super().__init__(token, place=folder.uri, beat_seconds=beat_seconds)
        self._folder, self._run, self._on_cancel = folder, run, on_cancel
        self._is_canceled, self._beats = False, 0
        self._note_loss()
        if not self._is_lost:
            self._beat()
        self._thread.start()

    def _look(self) -> bool:
        """A folder that is gone is lost as well."""
        try:
            return find_newest_token(self._folder) != self.token
        except Exception:
            return False

    def _beat(self) -> None:
        self._beats += 1
        with suppress(Exception):  # a store that does not answer is tried again
            _write(self._folder, f"{self.token:06d}.beat", str(self._beats).encode())
        with suppress(Exception):
            if not self._is_canceled and self._folder.is_cancel_asked(self._run):
                self._is_canceled = True
                self._on_cancel()

    def _mark_released(self) -> None:
        with suppress(Exception):
            _write(self._folder, f"{self.token:06d}.released", b"1")


def take_remote_lease(
    folder: RemoteFolder,
    *,
    run: int = 0,
    check: Callable[[], None] = lambda: None,
    on_cancel: Callable[[], None] = lambda: None,
    stale_seconds: float = STALE_SECONDS,
    wait_seconds: float = WAIT_SECONDS,
    beat_seconds: float = BEAT_SECONDS,
) -> RemoteLease:
    """The lease of the job in ``folder``, for its ``run``-th run.

    Blocks while an earlier driver holds it, and calls ``check`` and ``on_cancel`` meanwhile. Raises
    StateError (LEASE_HELD) if a holder still lives after ``wait_seconds``, what ``put_new_file``
    raises if the folder cannot be written, and what ``check`` raises.
    """
    deadline = time.monotonic() + wait_seconds

    def look() -> None:
        with suppress(Exception):
            if folder.is_cancel_asked(run):
                on_cancel()
        check()

    while True:
        newest = find_newest_token(folder)
        if newest:
            _wait_until_free(
                folder, newest, check=look, stale_seconds=stale_seconds, deadline=deadline
            )
        if _claim(folder, newest + 1):
            return RemoteLease(
                folder, newest + 1, run=run, on_cancel=on_cancel, beat_seconds=beat_seconds
            )


def find_newest_token(folder: RemoteFolder) -> int:
    """The highest token that was given, 0 if none was. Raises whatever the store does."""
    store, root = folder.open()
    store.invalidate_cache()
    try:
        paths = store.ls(child_path(store, root, "lease"), detail=False)
    except FileNotFoundError:
        return 0
    matches = (_TOKEN.fullmatch(str(path).rpartition("/")[2]) for path in paths)
    return max((int(match.group(1)) for match in matches if match), default=0)


def _claim(folder: RemoteFolder, token: int) -> bool:
    """A store's client that got no answer asks again, and is refused for the file that it made."""
    content = to_json(describe_owner(token))
    descriptor, file = tempfile.mkstemp(prefix="sparkscore-lease-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as lease:
            lease.write(content)
        put_new_file(file, join_uri(folder.uri, f"lease/{token:06d}.json"), folder.options)
    except AlreadyExistsError:
        return _try_find(folder, f"{token:06d}.json") == content.encode()
    finally:
        os.unlink(file)
    return True


def _wait_until_free(
    folder: RemoteFolder,
    token: int,
    *,
    check: Callable[[], None],
    stale_seconds: float,
    deadline: float,
) -> None:
    """Return once nobody holds ``token`` any more, or somebody holds a higher one."""
    name = f"{token:06d}"
    first: bytes | Exception | None = Exception()
    silent_since = time.monotonic()
    owner = _find_owner(folder, name)
    while time.monotonic() - silent_since < stale_seconds:
        if isinstance(_try_find(folder, f"{name}.released"), bytes):
            return
        if owner is not None and is_known_dead(owner):
            return
        beat = _try_find(folder, f"{name}.beat")
        is_alive = False
        if not isinstance(beat, Exception):  # a store that does not answer tells nothing
            is_alive = not isinstance(first, Exception) and beat != first
            first = beat
        silent_since = time.monotonic() if is_alive else silent_since
        is_overtaken = _is_overtaken(folder, token)
        if (is_alive or is_overtaken) and time.monotonic() > deadline:
            raise _held(folder, owner)
        if is_overtaken:
            return
        check()
        time.sleep(_LOOK_SECONDS)


def _held(folder: RemoteFolder, owner: LeaseMessage | None) -> StateError:
    who = "another driver" if owner is None else f"process {owner.process} on {owner.host}"
    return StateError(
        f"{who} runs the job in {folder.uri}: wait for its end, or cancel it first",
        condition="LEASE_HELD",
        job_folder=folder.uri,
        host=None if owner is None else owner.host,
        process=None if owner is None else owner.process,
        here=socket.gethostname(),
    )


def _find_owner(folder: RemoteFolder, name: str) -> LeaseMessage | None:
    content = _try_find(folder, f"{name}.json")
    if not isinstance(content, bytes):
        return None
    try:
        return from_json(LeaseMessage, content, where=join_uri(folder.uri, f"lease/{name}.json"))
    except MessageError:
        return None


def _is_overtaken(folder: RemoteFolder, token: int) -> bool:
    try:
        return find_newest_token(folder) != token
    except Exception:
        return False


def _try_find(folder: RemoteFolder, name: str) -> bytes | Exception | None:
    """What the file holds, None if it is not there; a store that does not answer tells nothing."""
    store, root = folder.open()
    try:
        content: bytes = store.cat_file(child_path(store, root, f"lease/{name}"))
    except FileNotFoundError:
        return None
    except Exception as error:
        return error
    return content


def _write(folder: RemoteFolder, name: str, content: bytes) -> None:
    store, root = folder.open()
    store.pipe_file(child_path(store, root, f"lease/{name}"), content)
