"""Scores one mini-batch: attempts, retries, isolation of failing inputs. Python worker process."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sparkscore.errors import StorageError
from sparkscore.executor.attempt_failures import (
    broken_reply,
    failed_inputs,
    init_failure,
    run_failure,
    short_result,
    too_much,
)
from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.failure_text import make_failure
from sparkscore.executor.host_ends import HostEndedError
from sparkscore.executor.inputs import InputError, InputStage
from sparkscore.executor.replies import (
    ReplyError,
    read_run_reply,
    told_failure,
)
from sparkscore.executor.script_host import Reply
from sparkscore.executor.script_log import ScriptLog
from sparkscore.executor.usage import Usage
from sparkscore.messages.launch import ScoringMessage
from sparkscore.messages.log_marks import INIT_MARK, SHUTDOWN_MARK, render_mark
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import (
    FAILED,
    INIT_FAILED,
    SUCCEEDED,
    BadRow,
    FailedInput,
    MiniBatchOutcome,
    ScoringFailure,
    WorkerCount,
)

INIT_ATTEMPTS = 3
"""Failures of ``init()`` in a row in one worker after which no mini-batch can succeed."""


class HostLike(Protocol):
    """What the runner needs of a script host; see ``ScriptHost`` and ``InlineHost``."""

    def is_running(self) -> bool: ...
    def open(self) -> None: ...
    def start(self) -> int: ...
    def ask(self, header: dict[str, Any], *, timeout_seconds: float) -> Reply: ...
    def take_usage(self) -> Usage: ...
    def kill(self) -> None: ...
    def release(self) -> None: ...


class InitFailedError(Exception):
    """``init()`` failed three times in a row."""

    def __init__(self, failure: ScoringFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AttemptFailedError(Exception):
    """One call of ``run`` failed."""

    def __init__(self, failure: ScoringFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class ScoredMiniBatch:
    """An outcome and the Arrow IPC streams of its results."""

    outcome: MiniBatchOutcome
    payloads: tuple[bytearray, ...] = ()


@dataclass
class _Account:
    """What the attempts of one mini-batch have given so far."""

    attempts: int = 0
    rows: int = 0
    failures: list[FailedInput] = field(default_factory=list)
    payloads: list[bytearray] = field(default_factory=list)
    bad_rows: list[BadRow] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    error: ScoringFailure | None = None
    peak_memory_bytes: int = 0
    cpu_seconds: float = 0.0
    size_bytes: int = 0

    def add_usage(self, usage: Usage) -> None:
        """Count what one attempt used."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.peak_memory_bytes)
        self.cpu_seconds += usage.cpu_seconds


class MiniBatchRunner:
    """Keeps a script host ready and scores mini-batches with it, one after another."""

    def __init__(
        self,
        host: HostLike,
        scoring: ScoringMessage,
        *,
        folders: AttemptFolders,
        log: ScriptLog,
        max_bytes: int = 0,
    ) -> None:
        """``max_bytes`` bounds results and files of one mini-batch, 0 is no limit."""
        self._host, self._max_bytes = host, max_bytes
        self._scoring = scoring
        self._merges = scoring.output_action == "append_row"
        self._folders = folders
        self._log = log
        self._hosts_started = self._init_calls = self._init_failures = 0
        self._process = 0
        self._schema: str | None = None

    def open(self) -> None:
        """Let the host get ready in the background."""
        self._host.open()

    def rest(self) -> None:
        """Nothing is to be scored now: what a script writes next, ``shutdown()`` writes."""
        self._log.begin(SHUTDOWN_MARK)

    def close(self) -> None:
        """End the host."""
        self.rest()
        self._host.release()
        self._log.end()

    def score(
        self, mini_batch: MiniBatch, inputs: InputStage, *, schema: bytes | None
    ) -> ScoredMiniBatch:
        """Score one mini-batch; never raises for what user code or inputs do.

        ``schema`` is the pinned result schema as serialized by Arrow, None while it is open.
        """
        self._schema = None if schema is None else b64encode(schema).decode("ascii")
        started_at, started = time.time(), time.monotonic()
        self._init_seconds = 0.0
        account = _Account()
        try:
            status = self._score_whole(mini_batch, inputs, account)
        except InitFailedError as error:
            status, account = INIT_FAILED, _Account(error=error.failure)
        seconds = time.monotonic() - started - self._init_seconds
        outcome = self._outcome(mini_batch, status, account, started_at, seconds)
        return ScoredMiniBatch(outcome, tuple(account.payloads))

    def _score_whole(self, mini_batch: MiniBatch, inputs: InputStage, account: _Account) -> str:
        paths = self._take_out_gone(mini_batch, inputs, account)
        if not paths:
            return FAILED
        for _ in range(1 + self._scoring.max_retries):
            account.attempts += 1
            try:
                self._attempt(mini_batch.mini_batch_id, paths, inputs, account, account.attempts)
                return SUCCEEDED
            except AttemptFailedError as error:
                account.error = error.failure
        if self._scoring.isolate_failures:
            self._isolate(mini_batch, paths, inputs, account, attempts=account.attempts)
        else:
            account.failures.extend(failed_inputs(paths, account.error, attempts=account.attempts))
        return FAILED

    def _take_out_gone(
        self, mini_batch: MiniBatch, inputs: InputStage, account: _Account
    ) -> tuple[str, ...]:
        """Fail the inputs that are not what was planned; returns the others."""
        gone = inputs.find_gone(mini_batch.paths, mini_batch.etags)
        for path, error in gone.items():
            account.error = make_failure(error.condition, error)
            account.failures.append(FailedInput(path, error.condition, str(error)))
        return tuple(path for path in mini_batch.paths if path not in gone)

    def _isolate(
        self,
        mini_batch: MiniBatch,
        paths: Sequence[str],
        inputs: InputStage,
        account: _Account,
        *,
        attempts: int,
    ) -> None:
        """Halve a failed part, try each half once, and so on down to the inputs that fail."""
        if len(paths) == 1:
            account.failures.extend(failed_inputs(paths, account.error, attempts=attempts))
            return
        middle = (len(paths) + 1) // 2
        for half in (paths[:middle], paths[middle:]):
            try:
                self._attempt(mini_batch.mini_batch_id, half, inputs, account, attempts + 1)
            except AttemptFailedError as error:
                account.error = error.failure
                self._isolate(mini_batch, half, inputs, account, attempts=attempts + 1)

    def _attempt(
        self,
        mini_batch_id: int,
        paths: Sequence[str],
        inputs: InputStage,
        account: _Account,
        number: int,
    ) -> None:
        """One call of ``run``; on success its results are in the account."""
        try:
            local_paths = inputs.local_paths(paths)
        except InputError as error:
            failure = make_failure(error.condition, error)
            raise AttemptFailedError(replace(failure, attempt=number)) from error
        self._ensure_host()
        folder = self._folders.begin()
        mark = render_mark(mini_batch_id, number)
        self._log.begin(mark)
        try:
            reply = self._run(mini_batch_id, local_paths, number, mark)
            self._check_size(reply, account)
            self._take(reply, paths, account, number)
        except AttemptFailedError as error:
            self._folders.discard(folder)
            failure = replace(error.failure, attempt=number, process=self._process)
            raise AttemptFailedError(failure) from error
        finally:
            account.add_usage(self._host.take_usage())
            self._log.end()
        kept = self._folders.keep(folder, mini_batch_id)
        if kept is not None:
            account.folders.append(kept)

    def _run(self, mini_batch_id: int, local_paths: list[str], number: int, mark: str) -> Reply:
        request = {
            "type": "run",
            "paths": local_paths,
            "schema": self._schema,
            "merged": self._merges,
            "environment": _attempt_environment(mini_batch_id, number),
            "mark": mark,
        }
        try:
            reply = self._host.ask(request, timeout_seconds=self._scoring.timeout_seconds)
        except HostEndedError as error:
            raise AttemptFailedError(run_failure(error, self._scoring)) from error
        if not reply.header.get("ok"):
            raise AttemptFailedError(self._told_failure(reply))
        return reply

    def _check_size(self, reply: Reply, account: _Account) -> None:
        """What a mini-batch gives is bounded where it travels as a whole."""
        if self._max_bytes:
            here = sum(map(len, reply.parts))
            try:
                here += self._folders.measure(most_bytes=self._max_bytes)
            except StorageError as error:
                raise AttemptFailedError(make_failure(error.condition, error)) from error
            if account.size_bytes + here > self._max_bytes:
                raise AttemptFailedError(too_much(account.size_bytes + here, self._max_bytes))
            account.size_bytes += here

    def _take(self, reply: Reply, paths: Sequence[str], account: _Account, number: int) -> None:
        try:
            told = read_run_reply(
                reply, inputs=len(paths), merged=self._merges, schema=self._schema
            )
        except ReplyError as error:
            self._host.kill()
            raise AttemptFailedError(broken_reply(error)) from error
        if told.inputs_done < len(paths):
            account.failures.extend(
                short_result(
                    paths,
                    len(paths) - told.inputs_done,
                    told.missing,
                    attempts=number,
                    process=self._process,
                )
            )
        account.rows += told.rows
        account.bad_rows.extend(told.bad_rows)
        account.payloads.extend(reply.parts)

    def _ensure_host(self) -> None:
        """A running host whose ``init()`` has succeeded; raises InitFailedError."""
        if self._host.is_running():
            return
        started = time.monotonic()
        while True:
            try:
                self._init()
                break
            except AttemptFailedError as error:
                self._init_failures += 1
                number = self._init_failures
                if number >= INIT_ATTEMPTS:
                    self._init_failures = 0
                    self._host.kill()
                    failure = replace(error.failure, attempt=number, process=self._process)
                    raise InitFailedError(failure) from error
            finally:
                self._host.take_usage()
                self._log.end()
        self._init_failures = 0
        self._init_seconds += time.monotonic() - started

    def _init(self) -> None:
        scoring = self._scoring
        request = {
            "type": "init",
            "code_folder": scoring.code_folder,
            "scoring_script": scoring.scoring_script,
            "logging_level": scoring.logging_level,
            "log_file": self._log.entry_script,
            "mark": INIT_MARK,
        }
        self._log.begin_init()
        try:
            if not self._host.is_running():
                self._process = self._host.start()
                self._hosts_started += 1
            self._init_calls += 1
            reply = self._host.ask(request, timeout_seconds=scoring.init_timeout_seconds)
        except HostEndedError as error:
            raise AttemptFailedError(init_failure(error, scoring)) from error
        if not reply.header.get("ok"):
            raise AttemptFailedError(self._told_failure(reply))

    def _told_failure(self, reply: Reply) -> ScoringFailure:
        try:
            return told_failure(reply)
        except ReplyError as error:
            self._host.kill()
            return broken_reply(error)

    def _outcome(
        self,
        mini_batch: MiniBatch,
        status: str,
        account: _Account,
        started_at: float,
        seconds: float,
    ) -> MiniBatchOutcome:
        started = WorkerCount(self._hosts_started, self._init_calls)
        self._hosts_started = self._init_calls = 0
        return MiniBatchOutcome(
            mini_batch_id=mini_batch.mini_batch_id,
            status=status,
            inputs=len(mini_batch.paths),
            failed=sum(failure.count for failure in account.failures),
            rows=account.rows,
            attempts=account.attempts,
            retries=max(0, account.attempts - 1),
            started_at=started_at,
            seconds=max(0.0, seconds),
            host=socket.gethostname(),
            process=self._process,
            failures=tuple(account.failures),
            bad_rows=tuple(account.bad_rows),
            folders=tuple(account.folders),
            error=None if status == SUCCEEDED else account.error,
            started=started,
            peak_memory_bytes=account.peak_memory_bytes,
            cpu_seconds=round(account.cpu_seconds, 6),
        )


def _attempt_environment(mini_batch_id: int, number: int) -> dict[str, str]:
    return {"SPARKSCORE_MINI_BATCH_ID": str(mini_batch_id), "SPARKSCORE_ATTEMPT": str(number)}
