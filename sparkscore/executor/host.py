"""Serves the requests of one Python worker: runs the user's code. Script host process.

Requests are ``init``, ``run`` and ``shutdown``; a reply is ``{"ok": true, ...}`` or
``{"ok": false, "failure": {condition, message, traceback, ...}}``, with the number of its request
and what the host has used so far. Results follow as Arrow IPC streams. At the end of the requests
``shutdown()`` is called too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from sparkscore.errors import InvalidScoringResultError, ScoringScriptError
from sparkscore.executor import frames, result_schema, results, stack_dump, usage
from sparkscore.executor.scoring_script import (
    ScoringScript,
    configure_logging,
    failure_of,
    load_script,
    set_log_mark,
)
from sparkscore.executor.short_results import find_missing_inputs
from sparkscore.messages.outcome import ScoringFailure

INIT_RAISED = "INIT_FAILED"
RUN_RAISED = "SCRIPT_RAISED"


def serve(request: int, reply: int, busy: Any, *, stack: str | None = None) -> None:
    """Answer requests until they end. ``busy[0]`` is 1 while the user's code runs.

    ``stack`` is the file for the stack at a crash, None for standard error.

    A child that the user's code forked and that comes back from it ends here: the answer is its
    parent's to give.
    """
    stack_dump.watch(stack)
    _reseed()
    host, process = Host(), os.getpid()
    while True:
        header = frames.read_frame(request)
        if header is None:
            break
        busy[0] = 1
        answer, parts = host.answer(header)
        if os.getpid() != process:
            return
        answer["call"] = header["call"]
        _flush()
        for descriptor in (request, reply):
            os.set_blocking(descriptor, True)  # libraries may set what they find to not block
        busy[0] = 0
        frames.write_all(reply, frames.encode(answer, parts))
    host.shutdown()
    _flush()


class Host:
    """The loaded script and how its results are to look; also serves ``isolation: inline``."""

    def __init__(self) -> None:
        self._script: ScoringScript | None = None
        self._code_folder: str | None = None

    def answer(self, header: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """The reply to one request; whatever the user's code raises becomes a failure."""
        set_log_mark(header.get("mark", ""))
        usage.reset_peak()
        answer, parts = self._answer(header)
        answer["usage"] = usage.read_usage()
        return answer, parts

    def _answer(self, header: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        condition = INIT_RAISED if header["type"] == "init" else RUN_RAISED
        try:
            if header["type"] == "shutdown":
                self.shutdown()
                return {"ok": True}, []
            return self._init(header) if header["type"] == "init" else self._run(header)
        except InvalidScoringResultError as error:
            return _refusal(ScoringFailure(error.condition, error.message))
        except BaseException as error:
            return _refusal(failure_of(error, condition=condition, code_folder=self._code_folder))

    def shutdown(self) -> None:
        """Let the script clean up; its errors go to the log."""
        script, self._script = self._script, None
        if script is not None:
            try:
                script.shutdown()
            except BaseException as error:
                failure = failure_of(error, condition="SHUTDOWN_FAILED")
                print(failure.traceback or failure.message, file=sys.stderr)

    def _init(self, header: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        configure_logging(header["logging_level"], file=header.get("log_file"))
        self._code_folder = header["code_folder"]
        script = load_script(code_folder=header["code_folder"], file=header["scoring_script"])
        script.init()
        self._script = script
        return {"ok": True}, []

    def _run(self, header: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        if self._script is None:
            raise ScoringScriptError("run() was asked for before init() had succeeded")
        paths: list[str] = header["paths"]
        os.environ.update(header["environment"])
        returned = self._script.run(list(paths))
        found = results.results_table(returned)
        del returned
        table = found.table
        done = found.count if found.inputs_done is None else found.inputs_done
        missing = find_missing_inputs(table, paths) if done < len(paths) else None
        parts: list[Any] = []
        if header["merged"]:
            table, parts = _payloads(table, header["schema"])
        answer = {
            "ok": True,
            "inputs_done": min(done, len(paths)),
            "rows": table.num_rows,
            "missing": missing,
            "bad_rows": found.bad_rows,
        }
        return answer, parts


def _payloads(table: Any, pinned: str | None) -> tuple[Any, list[Any]]:
    """The table as it is staged, and its Arrow IPC streams.

    While no schema is pinned, results without rows tell their columns: they may be all there is.
    """
    if pinned is not None:
        table = result_schema.cast_table(table, result_schema.schema_from_bytes(b64decode(pinned)))
    elif not table.num_rows and table.num_columns:
        return table, [results.empty_payload(table)]
    parts = list(results.iter_payloads(table))
    size_bytes = sum(map(len, parts))
    if size_bytes > frames.MAX_PARTS_BYTES:
        raise InvalidScoringResultError(
            f"the results take {size_bytes >> 20} MB, the limit of one call of run() is "
            f"{frames.MAX_PARTS_BYTES >> 20} MB: make mini_batch_size smaller",
            condition="RESULT_TOO_LARGE",
            bytes=size_bytes,
        )
    return table, parts


def _refusal(failure: ScoringFailure) -> tuple[dict[str, Any], list[Any]]:
    return {"ok": False, "failure": dataclasses.asdict(failure)}, []


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _reseed() -> None:
    """A forked host has its guard's random state: without this, each would repeat the last."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
