"""Scores one mini-batch: attempts, retries, isolation of failing inputs. Python worker process."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Protocol

from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.failure_text import make_failure
from sparkscore.executor.inputs import InputError, InputStage
from sparkscore.executor.replies import (
    ReplyError,
    read_run_reply,
    told_failure,
)
from sparkscore.executor.script_host import (
    HostCrashedError,
    HostTimeoutError,
    HostTooLargeError,
    Reply,
    crash_failure,
)
from sparkscore.messages.launch import ScoringMessage
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import (
    FAILED,
    INIT_FAILED,
    SHORT_RESULT,
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


class MiniBatchRunner:
    """Keeps a script host ready and scores mini-batches with it, one after another."""

    def __init__(
        self,
        host: HostLike,
        scoring: ScoringMessage,
        *,
        folders: AttemptFolders,
        log_file: str | None,
        on_mini_batch_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._host = host
        self._scoring = scoring
        self._merges = scoring.output_action == "append_row"
        self._folders = folders
        self._log_file = log_file
        self._on_mini_batch_end = on_mini_batch_end
        self._hosts_started = self._init_calls = self._init_failures = 0
        self._process = 0
        self._schema: str | None = None

    def open(self) -> None:
        """Let the host get ready in the background."""
        self._host.open()

    def close(self) -> None:
        """End the host."""
        self._host.release()

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
        self._on_mini_batch_end()
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
            self._isolate(mini_batch, paths, inputs, account)
        else:
            account.failures.extend(_failed_inputs(paths, account.error))
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
        self, mini_batch: MiniBatch, paths: Sequence[str], inputs: InputStage, account: _Account
    ) -> None:
        """Halve a failed part, try each half once, and so on down to the inputs that fail."""
        if len(paths) == 1:
            account.failures.extend(_failed_inputs(paths, account.error))
            return
        middle = (len(paths) + 1) // 2
        for half in (paths[:middle], paths[middle:]):
            try:
                self._attempt(mini_batch.mini_batch_id, half, inputs, account, account.attempts + 1)
            except AttemptFailedError as error:
                account.error = error.failure
                self._isolate(mini_batch, half, inputs, account)

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
            raise AttemptFailedError(make_failure(error.condition, error)) from error
        self._ensure_host()
        folder = self._folders.begin()
        try:
            reply = self._run(mini_batch_id, local_paths, number)
            self._take(reply, paths, account)
        except AttemptFailedError:
            self._folders.discard(folder)
            raise
        kept = self._folders.keep(folder, mini_batch_id)
        if kept is not None:
            account.folders.append(kept)

    def _run(self, mini_batch_id: int, local_paths: list[str], number: int) -> Reply:
        request = {
            "type": "run",
            "paths": local_paths,
            "schema": self._schema,
            "merged": self._merges,
            "environment": _attempt_environment(mini_batch_id, number),
        }
        limit = self._scoring.timeout_seconds
        try:
            reply = self._host.ask(request, timeout_seconds=limit)
        except HostTimeoutError:
            failure = ScoringFailure(
                "SCRIPT_TIMEOUT", f"run() took longer than {limit} s (retry_settings.timeout)"
            )
            raise AttemptFailedError(failure) from None
        except HostTooLargeError as error:
            raise AttemptFailedError(self._too_large(error)) from error
        except HostCrashedError as error:
            raise AttemptFailedError(crash_failure(error)) from error
        if not reply.header.get("ok"):
            raise AttemptFailedError(self._told_failure(reply))
        return reply

    def _take(self, reply: Reply, paths: Sequence[str], account: _Account) -> None:
        try:
            told = read_run_reply(
                reply, inputs=len(paths), merged=self._merges, schema=self._schema
            )
        except ReplyError as error:
            self._host.kill()
            raise AttemptFailedError(_broken_reply(error)) from error
        if told.inputs_done < len(paths):
            account.failures.extend(
                _short_result(paths, len(paths) - told.inputs_done, told.missing)
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
                if self._init_failures >= INIT_ATTEMPTS:
                    self._init_failures = 0
                    self._host.kill()
                    raise InitFailedError(error.failure) from error
        self._init_failures = 0
        self._init_seconds += time.monotonic() - started

    def _init(self) -> None:
        scoring = self._scoring
        request = {
            "type": "init",
            "code_folder": scoring.code_folder,
            "scoring_script": scoring.scoring_script,
            "logging_level": scoring.logging_level,
            "log_file": self._log_file,
        }
        try:
            if not self._host.is_running():
                self._process = self._host.start()
                self._hosts_started += 1
            self._init_calls += 1
            reply = self._host.ask(request, timeout_seconds=scoring.init_timeout_seconds)
        except HostTimeoutError:
            message = f"init() took longer than {scoring.init_timeout_seconds} s (init_timeout)"
            raise AttemptFailedError(ScoringFailure("INIT_TIMEOUT", message)) from None
        except HostTooLargeError as error:
            raise AttemptFailedError(self._too_large(error)) from error
        except HostCrashedError as error:
            raise AttemptFailedError(ScoringFailure("INIT_CRASHED", str(error))) from error
        if not reply.header.get("ok"):
            raise AttemptFailedError(self._told_failure(reply))

    def _told_failure(self, reply: Reply) -> ScoringFailure:
        try:
            return told_failure(reply)
        except ReplyError as error:
            self._host.kill()
            return _broken_reply(error)

    def _too_large(self, error: HostTooLargeError) -> ScoringFailure:
        limit = self._scoring.memory_limit_bytes
        return ScoringFailure(
            "MEMORY_LIMIT",
            f"the scoring code used {error.args[0] >> 20} MiB of memory, {limit >> 20} MiB are "
            "allowed (memory_limit)",
        )

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
        )


def _attempt_environment(mini_batch_id: int, number: int) -> dict[str, str]:
    return {"SPARKSCORE_MINI_BATCH_ID": str(mini_batch_id), "SPARKSCORE_ATTEMPT": str(number)}


def _broken_reply(error: ReplyError) -> ScoringFailure:
    return ScoringFailure(
        "SCRIPT_CRASHED",
        f"the script host sent {error}: scoring code must leave descriptors that it did not open "
        "alone",
    )


def _failed_inputs(paths: Sequence[str], error: ScoringFailure | None) -> list[FailedInput]:
    condition, message = (error.condition, error.message) if error else (FAILED, "")
    return [FailedInput(path, condition, message) for path in paths]


def _short_result(paths: Sequence[str], count: int, missing: list[int] | None) -> list[FailedInput]:
    """One line an input where the rows tell which are missing, else one for all of them."""
    message = f"run() returned {len(paths) - count} results for {len(paths)} inputs"
    if missing is not None and len(missing) == count:
        return [FailedInput(paths[position], SHORT_RESULT, message) for position in missing]
    return [FailedInput("", SHORT_RESULT, message, count=count, candidates=tuple(paths))]
