"""The Python worker's hold on its guard and script host. Python worker process, main thread.

A host opened from another thread would die with that thread. One ``ScriptHost`` lives in a
worker for all tasks of a deployment; it survives whatever the user's code does.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

from sparkscore.executor import frames
from sparkscore.executor.guard import SHUTDOWN_SECONDS, drain
from sparkscore.executor.host_ends import (
    HostCrashedError,
    HostTimeoutError,
    HostTooLargeError,
    render_death,
    wrote_stack,
)
from sparkscore.executor.host_launch import HostLaunch, enlarge_pipe, get_guard_code
from sparkscore.executor.processes import (
    find_children,
    kill_children,
    session_memory_bytes,
)
from sparkscore.executor.stack_dump import read_stack
from sparkscore.executor.usage import Usage, UsageMeter

_SLICE_SECONDS = 1.0
_SAMPLE_SECONDS = 0.25
_GUARD_SECONDS = 5.0
_GUARD_START_SECONDS = 120.0
_SAMPLING_SHARE = 0.02
_TRANSFER_SECONDS = 30.0
"""How long after its deadline a reply may go on arriving, as long as it does not pause."""


class _GuardLostError(Exception):
    """The guard does not answer any more."""


@dataclass(frozen=True)
class Reply:
    """A host's answer: header and binary parts."""

    header: dict[str, Any]
    parts: list[bytearray]


class ScriptHost:
    """Starts, asks, kills and restarts the process that runs the user's code.

    One job at a time has the host, see ``use``; its guard stays from job to job.
    """

    def __init__(self) -> None:
        self._launch = HostLaunch({}, "/", os.devnull, os.devnull)
        self._on_wait: Callable[[], None] = lambda: None
        self._parent = os.getppid()
        self._guard: subprocess.Popen[bytes] | None = None
        self._others: set[int] = set()
        self._host: int | None = None
        self._call = 0
        self._status_text = b""
        self._sample_at = 0.0
        self._meter = UsageMeter()

    def use(self, launch: HostLaunch, *, on_wait: Callable[[], None] = lambda: None) -> None:
        """From now on start hosts of ``launch``; another job's host must have been released."""
        if launch.guard != self._launch.guard:
            self.close()
        self._launch, self._on_wait = launch, on_wait

    def is_running(self) -> bool:
        """Whether a host stands; notices one that died while nothing was asked of it.

        One that speaks unasked is killed: what it says might be taken for its next reply.
        """
        if self._host is None:
            return False
        ready = select.select([self._status_pipe, self._reply], [], [], 0)[0]
        if self._status_pipe in ready:
            try:
                self._death()
            except _GuardLostError:
                self._drop_guard()
        elif ready:
            self.kill()
        return self._host is not None

    def open(self) -> None:
        """Start the guard; it goes on loading while this returns. ``start`` tells if it cannot."""
        with contextlib.suppress(_GuardLostError):
            self._open_guard()

    def start(self) -> int:
        """Start a new host and return its process id."""
        for attempt in (1, 2):
            try:
                self._open_guard()
                self._order({"start": self._launch.order})
                self._host = int(self._status(_GUARD_START_SECONDS)["started"])
                self._meter.start()
                return self._host
            except (_GuardLostError, KeyError, TypeError, ValueError) as error:
                self._drop_guard()
                if attempt == 2:
                    raise HostCrashedError(_not_started(error)) from error
        raise AssertionError("unreachable")

    def ask(self, header: dict[str, Any], *, timeout_seconds: float) -> Reply:
        """Send a request and wait for its reply.

        Raises HostTimeoutError, HostTooLargeError or HostCrashedError; the host and all that it
        started are then gone.
        """
        self._call = secrets.randbits(53)  # no host can answer before it is asked
        deadline = time.monotonic() + timeout_seconds
        try:
            self._send(frames.encode({**header, "call": self._call}), deadline)
            reply = self._receive(deadline)
        except (HostTimeoutError, HostTooLargeError) as error:
            error.stack = self._kill_with_stack()
            raise
        except _GuardLostError as error:
            self._drop_guard()
            raise HostCrashedError("the script host's guard was killed") from error
        except (frames.FrameError, MemoryError) as error:
            self.kill()
            sent = str(error) or "more than memory holds"
            raise HostCrashedError(
                f"the script host sent {sent}: scoring code must leave descriptors that it did not "
                "open alone"
            ) from error
        self._meter.tell(reply.header.get("usage"))
        return reply

    def take_usage(self) -> Usage:
        """What hosts have used since the last call."""
        return self._meter.take()

    def kill(self) -> None:
        """Kill the host with everything it started; returns when all are gone."""
        self._kill(with_stack=False)

    def _kill_with_stack(self) -> str:
        """Kill the host; the stack that it had, if it could still write one."""
        self._kill(with_stack=True)
        return read_stack(self._launch.stack)

    def _kill(self, *, with_stack: bool) -> None:
        if self._host is None:
            return
        host, self._host = self._host, None
        try:
            self._order({"kill": True, "stack": with_stack})
            killed = False
            while not killed:
                status = self._status(_GUARD_SECONDS)
                self._meter.tell(status.get("usage"))
                killed = "killed" in status
            drain(self._reply)
        except _GuardLostError:
            self._host = host
            self._drop_guard()

    def release(self) -> None:
        """End the host after its ``shutdown()``; the guard stays for the next job."""
        if self.is_running():
            with contextlib.suppress(HostTimeoutError, HostTooLargeError, HostCrashedError):
                self.ask({"type": "shutdown"}, timeout_seconds=SHUTDOWN_SECONDS)
        self.kill()

    def close(self) -> None:
        """End host and guard, letting an idle host run its ``shutdown()``."""
        if self._guard is None:
            return
        for descriptor in (self._request, self._control):
            os.close(descriptor)
        try:
            self._guard.wait(SHUTDOWN_SECONDS + _GUARD_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill_guard()
            kill_children(but=self._others)
        for descriptor in (self._reply, self._status_pipe):
            os.close(descriptor)
        self._guard = self._host = None

    def _open_guard(self) -> None:
        if self._guard is not None:
            return
        request, self._request = os.pipe()
        self._reply, reply = os.pipe()
        control, self._control = os.pipe()
        self._status_pipe, status = os.pipe()
        theirs = (request, reply, control, status)
        for descriptor in (self._request, self._reply, self._control):
            enlarge_pipe(descriptor)
            os.set_blocking(descriptor, False)
        try:
            self._guard = self._start_guard(theirs)
        except OSError as error:
            for descriptor in self._descriptors:
                os.close(descriptor)
            raise _GuardLostError(f"its guard does not start: {error}") from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._status_text = b""

    @property
    def _descriptors(self) -> tuple[int, ...]:
        return self._request, self._reply, self._control, self._status_pipe

    def _start_guard(self, theirs: tuple[int, ...]) -> subprocess.Popen[bytes]:
        python, environment = self._launch.guard
        self._others = find_children()
        with open(self._launch.stderr, "ab") as log:
            return subprocess.Popen(
                [python, "-c", get_guard_code(), *map(str, theirs), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                pass_fds=theirs,
                start_new_session=True,
            )

    def _drop_guard(self) -> None:
        """Forget a guard that is dead or does not answer, and kill what it left: its orphans are
        children of the worker, which is a subreaper."""
        if self._guard is None:
            return
        if self._host is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._host, signal.SIGKILL)
        self._kill_guard()
        kill_children(but=self._others)
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._guard = self._host = None

    def _kill_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()

    def _order(self, order: dict[str, Any]) -> None:
        view = memoryview(json.dumps(order).encode() + b"\n")
        while view.nbytes:
            if not select.select([], [self._control], [], _GUARD_SECONDS)[1]:
                raise _GuardLostError("its guard does not answer")
            try:
                view = view[os.write(self._control, view) :]
            except BrokenPipeError as error:
                raise _GuardLostError("its guard is gone") from error

    def _status(self, timeout_seconds: float) -> dict[str, Any]:
        """The guard's next status."""
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._status_text:
            if time.monotonic() > deadline:
                raise _GuardLostError("its guard does not answer")
            self._poll([(self._status_pipe, select.POLLIN)], deadline)
            self._read_status()
        line, _, self._status_text = self._status_text.partition(b"\n")
        return json.loads(line)  # type: ignore[no-any-return]

    def _read_status(self) -> None:
        if not select.select([self._status_pipe], [], [], 0)[0]:
            return
        text = os.read(self._status_pipe, 4096)
        if not text:
            raise _GuardLostError("its guard is gone")
        self._status_text += text

    def _poll(self, events: Sequence[tuple[int, int]], deadline: float) -> set[int]:
        """Wait for at most a second; leave if Spark's daemon is gone, as nobody else tells."""
        poll = select.poll()
        for descriptor, mask in events:
            poll.register(descriptor, mask)
        self._sample_memory()
        slice_seconds = _SAMPLE_SECONDS if self._launch.memory_limit_bytes else _SLICE_SECONDS
        left = max(0.0, min(slice_seconds, deadline - time.monotonic()))
        ready = {descriptor for descriptor, _ in poll.poll(left * 1000)}
        if not ready:
            if os.getppid() != self._parent:
                os._exit(0)
            self._on_wait()
        return ready

    def _sample_memory(self) -> None:
        """Without a limit more rarely: looking through all processes must not show."""
        started = time.monotonic()
        if self._host is None or started < self._sample_at:
            return
        limit = self._launch.memory_limit_bytes
        used = session_memory_bytes(self._host)
        took = time.monotonic() - started
        rest = _SAMPLE_SECONDS if limit else max(_SLICE_SECONDS, took / _SAMPLING_SHARE)
        self._sample_at = started + rest
        self._meter.sample(used)
        if limit and used > limit:
            raise HostTooLargeError(used)

    def _send(self, buffers: Sequence[Any], deadline: float) -> None:
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            while view.nbytes:
                ready = self._wait_for(self._request, select.POLLOUT, deadline)
                if not ready:
                    raise self._death()
                try:
                    view = view[os.write(self._request, view) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise _GuardLostError("its guard is gone") from error

    def _receive(self, deadline: float) -> Reply:
        while True:
            header_bytes, parts_bytes = frames.decode_prefix(
                bytes(self._read(frames.PREFIX.size, deadline)),
                max_header_bytes=frames.MAX_REPLY_HEADER_BYTES,
            )
            text = bytes(self._read(header_bytes, deadline))
            header = frames.decode_header(text, parts_bytes=parts_bytes)
            parts = [self._read(length, deadline) for length in header["parts"]]
            if header.get("call") == self._call:
                return Reply(header, parts)
            if time.monotonic() >= deadline:
                raise HostTimeoutError

    def _read(self, count: int, deadline: float) -> bytearray:
        """``count`` bytes of the reply; what a dying host wrote is read before its death."""
        data = bytearray(count)
        view = memoryview(data)
        done = 0
        while done < count:
            if time.monotonic() >= deadline + _TRANSFER_SECONDS:
                raise HostTimeoutError
            try:
                count_read = os.readv(self._reply, [view[done:]])
                if not count_read:
                    raise _GuardLostError("its guard is gone")
                done += count_read
            except BlockingIOError:
                if not self._wait_for(self._reply, select.POLLIN, deadline):
                    raise self._death() from None
        return data

    def _wait_for(self, descriptor: int, mask: int, deadline: float) -> bool:
        """Whether ``descriptor`` is ready; False if the host died before it was."""
        while True:
            ready = self._poll([(descriptor, mask), (self._status_pipe, select.POLLIN)], deadline)
            if descriptor in ready:
                return True
            if self._status_pipe in ready:
                return False
            if time.monotonic() >= deadline:
                raise HostTimeoutError

    def _death(self) -> HostCrashedError:
        """How the host died; clears the way for a new one."""
        host, self._host = self._host, None
        try:
            death = self._status(_GUARD_SECONDS)
        except _GuardLostError:
            self._host = host
            raise
        drain(self._reply)
        self._meter.tell(death.get("usage"))
        error = HostCrashedError(render_death(death.get("died")))
        if wrote_stack(death.get("died")):
            error.stack = read_stack(self._launch.stack)
        return error


def _not_started(error: Exception) -> str:
    return f"no script host could be started: {error} (its output is in the job's logs/user/stderr)"
