"""One driver per job, where drivers share a store and nothing else. Spark driver process.

As ``lease`` does in a folder: a file ``lease/<token>.json``, which the store makes only once, and
the highest token holds the job. Its holder writes ``lease/<token>.beat`` anew every few seconds.
Whoever wants the job watches whether that changes, and compares no clocks.

Platforms start the next driver after the one before has ended, so a wait is rare. Should a lost
driver come back beside its successor, it finds the higher token within seconds and ends; what it
wrote until then stands below names with its own token, which the successor does not count.
"""

from __future__ import annotations

import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from sparkscore.driver.lease import describe_owner, is_known_dead
from sparkscore.driver.remote_folder import RemoteFolder
from sparkscore.errors import AlreadyExistsError, MessageError, StateError
from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.resume import LeaseMessage
from sparkscore.storage import child_path, join_uri, put_new_file

BEAT_SECONDS = 3.0
STALE_SECONDS = 15.0
"""How long a lease without a beat is watched before it is taken over."""

_LOOK_SECONDS = 1.0
_TOKEN = re.compile(r"(\d{6,})\.json")


class RemoteLease:
    """A lease that this process holds, kept alive by a thread of its own until ``release``.

    ``on_cancel`` is called once the control plane asks for the job's end.
    """

    def __init__(
        self,
        folder: RemoteFolder,
        token: int,
        *,
        on_cancel: Callable[[], None],
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self.token = token
        self._folder, self._on_cancel, self._beat_seconds = folder, on_cancel, beat_seconds
        self._is_lost, self._is_canceled, self._beats = False, False, 0
        self._released = threading.Event()
        self._beat()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise StateError (LEASE_LOST) if another driver was found to hold the job."""
        if self._is_lost:
            raise StateError(
                f"another driver has taken over the job in {self._folder.uri}: this one stops and "
                "writes nothing more",
                condition="LEASE_LOST",
                token=self.token,
            )

    def confirm(self) -> None:
        """Look now, and raise StateError (LEASE_LOST) if another driver holds the job."""
        self._look()
        self.check()

    def release(self) -> None:
        """Let the next driver in at once; without effect on a lease that was lost."""
        self._released.set()
        self._thread.join()
        self._look()
        if not self._is_lost:
            with suppress(Exception):
                _write(self._folder, f"{self.token:06d}.released", b"1")

    def _keep(self) -> None:
        while not self._released.wait(self._beat_seconds):
            self._beat()
            if self._is_lost:
                return

    def _beat(self) -> None:
        self._look()
        if self._is_lost:
            return
        self._beats += 1
        with suppress(Exception):  # a store that does not answer is tried again
            _write(self._folder, f"{self.token:06d}.beat", str(self._beats).encode())
        with suppress(Exception):
            if not self._is_canceled and self._folder.is_cancel_asked():
                self._is_canceled = True
                self._on_cancel()

    def _look(self) -> None:
        """A folder that is gone is lost as well; one that cannot be read just now is not."""
        try:
            self._is_lost = self._is_lost or find_newest_token(self._folder) != self.token
        except Exception:
            return


def take_remote_lease(
    folder: RemoteFolder,
    *,
    check: Callable[[], None] = lambda: None,
    on_cancel: Callable[[], None] = lambda: None,
    stale_seconds: float = STALE_SECONDS,
    beat_seconds: float = BEAT_SECONDS,
) -> RemoteLease:
    """The lease of the job in ``folder``.

    Raises StateError (LEASE_HELD) once another holder shows a beat, what ``put_new_file`` raises
    if the folder cannot be written, and what ``check`` raises while a stale lease is watched.
    """
    while True:
        newest = find_newest_token(folder)
        if newest:
            _wait_until_free(folder, newest, check=check, stale_seconds=stale_seconds)
        if _claim(folder, newest + 1):
            return RemoteLease(folder, newest + 1, on_cancel=on_cancel, beat_seconds=beat_seconds)


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
    descriptor, file = tempfile.mkstemp(prefix="sparkscore-lease-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as lease:
            lease.write(to_json(describe_owner(token)))
        put_new_file(file, join_uri(folder.uri, f"lease/{token:06d}.json"), folder.options)
    except AlreadyExistsError:
        return False
    finally:
        os.unlink(file)
    return True


def _wait_until_free(
    folder: RemoteFolder, token: int, *, check: Callable[[], None], stale_seconds: float
) -> None:
    name = f"{token:06d}"
    first: bytes | Exception | None = Exception()
    started = time.monotonic()
    owner = _find_owner(folder, name)
    while time.monotonic() - started < stale_seconds:
        if isinstance(_try_find(folder, f"{name}.released"), bytes):
            return
        if owner is not None and is_known_dead(owner):
            return
        beat = _try_find(folder, f"{name}.beat")
        if isinstance(first, Exception):
            first = beat
        is_alive = not isinstance(beat, Exception) and beat != first
        if is_alive or _is_overtaken(folder, token):
            raise _held(folder, owner)
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
