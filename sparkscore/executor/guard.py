"""The guard: a small trusted process between a Python worker and the user's code. Guard process.

It preloads pandas and pyarrow, forks the script host, reports its death, and kills the host with
everything it started: when told to, when the host dies, and when the worker is gone. A worker that
stays stopped is killed, so that Spark runs its task again. The guard serves all jobs of its worker,
one host at a time, and runs no user code itself. It must not ask for a parent-death signal: dying
together with the worker it would leave the host's descendants alive.

Started as ``guard.main(request_fd reply_fd control_fd status_fd parent_pid)``. Orders come as
lines of JSON: ``{"start": {folder, stdout, stderr, environment, preload, stack, log}}`` forks a
host, ``{"kill": true, "stack": bool}`` kills it, its stack written before if asked for; end of
file means that the worker is gone. Each status is a line of JSON: ``{"started": pid}``,
``{"killed": true, "usage": {...}}``, ``{"died": exit code or -signal, "usage": {...}}``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import mmap
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from sparkscore.executor import processes, stack_dump
from sparkscore.executor.script_log import resume_script_log
from sparkscore.executor.usage import render_usage
from sparkscore.messages.log_marks import SHUTDOWN_MARK

_PRELOADED = ("numpy", "pandas", "pyarrow", "pyarrow.pandas_compat", "sparkscore.executor.host")
_MAX_ORDER_BYTES = 16 * 1024 * 1024
_STOPPED_SECONDS = 10.0
"""How long a worker may stay stopped before it is killed."""

SHUTDOWN_SECONDS = 5.0
"""How long a script's ``shutdown()`` may take once its worker has gone."""


def main(arguments: list[str] | None = None) -> None:
    """Serve one worker until it is gone; never returns."""
    request, reply, control, status, parent = map(int, arguments or sys.argv[1:])
    if os.getppid() != parent:
        os._exit(0)
    processes.become_subreaper()
    preload(_PRELOADED)
    Guard(request, reply, control, status, parent).serve()
    os._exit(0)


def preload(names: Sequence[str]) -> None:
    """Import what hosts need, so that a forked host starts in milliseconds.

    A name is a module, or ``module:function`` for one to call.
    """
    for name in names:
        module, _, function = name.partition(":")
        with contextlib.suppress(Exception):
            imported = importlib.import_module(module)
            if function:
                getattr(imported, function)()
    gc.collect()
    gc.freeze()


class Guard:
    """Owns at most one script host at a time."""

    def __init__(self, request: int, reply: int, control: int, status: int, parent: int) -> None:
        self._request, self._reply = request, reply
        self._control, self._status = control, status
        self._parent = parent
        self._stops = processes.StopWatch(parent, seconds=_STOPPED_SECONDS)
        self._host: int | None = None
        self._host_descriptor: int | None = None
        self._busy = mmap.mmap(-1, 1)
        self._orders = b""
        self._loaded: set[str] = set()
        self._launch: dict[str, Any] = {}

    def serve(self) -> None:
        """Handle control bytes and the host's death until the worker is gone."""
        while True:
            ready = self._wait()
            if self._host_descriptor is not None and self._host_descriptor in ready:
                self._report_death()
            if self._control in ready and not self._obey():
                break
            if os.getppid() != self._parent:
                break
            for worker in self._stops.find_over():
                with contextlib.suppress(OSError):
                    os.kill(worker, signal.SIGKILL)
        self._end()

    def _wait(self) -> list[int]:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if self._host_descriptor is not None:
            poll.register(self._host_descriptor, select.POLLIN)
        return [descriptor for descriptor, _ in poll.poll(1000)]

    def _obey(self) -> bool:
        """Carry out the orders that have arrived; False once the worker is gone."""
        text = os.read(self._control, 1 << 16)
        self._orders += text
        while b"\n" in self._orders:
            line, _, self._orders = self._orders.partition(b"\n")
            order = json.loads(line)
            self._start(order["start"]) if "start" in order else self._kill(order)
        return bool(text) and len(self._orders) < _MAX_ORDER_BYTES

    def _start(self, launch: dict[str, Any]) -> None:
        if self._host is not None:
            self._sweep()
        drain(self._request)
        self._load(launch["preload"])
        guard = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            host = os.fork()
        if host == 0:
            self._become_host(guard, launch)
        self._host, self._launch = host, launch
        self._host_descriptor = os.pidfd_open(host)
        self._tell({"started": host})

    def _load(self, names: Sequence[str]) -> None:
        """Import for all later hosts what the first one of a kind asks for."""
        fresh = [name for name in names if name not in self._loaded]
        if fresh:
            preload(fresh)
            self._loaded.update(fresh)

    def _become_host(self, guard: int, launch: dict[str, Any]) -> None:
        """In the forked child: run the host and leave, whatever happens."""
        try:
            processes.die_with_parent(guard)
            os.setsid()
            os.close(self._control)
            os.close(self._status)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            for descriptor in (self._request, self._reply):
                os.set_inheritable(descriptor, False)
                os.set_blocking(descriptor, True)  # an earlier host may have changed that for all
            enter(launch)
            from sparkscore.executor import host

            host.serve(self._request, self._reply, self._busy, stack=launch.get("stack"))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _kill(self, order: dict[str, Any]) -> None:
        file = self._launch.get("stack")
        if order.get("stack") and file and self._host_descriptor is not None:
            stack_dump.ask_for_stack(self._host_descriptor, file)
        self._tell({"killed": True, "usage": self._sweep()})

    def _report_death(self) -> None:
        death = exit_code(self._host) if self._host is not None else 0
        self._tell({"died": death, "usage": self._sweep()})

    def _sweep(self) -> dict[str, Any] | None:
        """Kill the host with all it started; what it used."""
        if self._host is None:
            return None
        used = processes.kill_descendants(self._host)
        if self._host_descriptor is not None:
            os.close(self._host_descriptor)
        self._host = self._host_descriptor = None
        self._busy[0] = 0
        return None if used is None else render_usage(used)

    def _tell(self, status: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._status, json.dumps(status).encode() + b"\n")

    def _end(self) -> None:
        """The worker is gone: an idle host may run its ``shutdown()``, a busy one is killed."""
        order = self._launch.get("log")
        log = resume_script_log(order) if order else None
        if log is not None and not self._busy[0]:
            log.end()
            log.begin(SHUTDOWN_MARK)
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        os.close(self._request)
        while self._host_descriptor is not None and not self._busy[0]:
            left = deadline - time.monotonic()
            if left <= 0 or select.select([self._host_descriptor], [], [], min(left, 0.05))[0]:
                break
        self._sweep()
        if log is not None:
            log.end()
            log.close()


def enter(launch: dict[str, Any]) -> None:
    """In a forked host: the folder, log files and environment of its job."""
    for descriptor, path in ((1, launch["stdout"]), (2, launch["stderr"])):
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, descriptor)
        os.close(log)
    os.chdir(launch["folder"])
    os.environ.clear()
    os.environ.update(launch["environment"])
    time.tzset()


def exit_code(child: int) -> int:
    """How a dead child ended, as a negative signal or its exit code; it stays to be reaped.

    Its number, also that of its process group, cannot be used again before it is reaped.
    """
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    if ended is None:
        return 0
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def drain(descriptor: int) -> None:
    """Throw away what stands in a pipe: a killed host may have left half a request."""
    blocking = os.get_blocking(descriptor)
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while os.read(descriptor, 1 << 16):
            pass
    os.set_blocking(descriptor, blocking)
