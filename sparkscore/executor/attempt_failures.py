"""Why an attempt failed, in the words of the account. Python worker process."""

from __future__ import annotations

from collections.abc import Sequence

from sparkscore.executor.failure_text import make_failure
from sparkscore.executor.host_ends import HostEndedError, HostTimeoutError, HostTooLargeError
from sparkscore.executor.replies import ReplyError
from sparkscore.executor.script_stack import explain_dump
from sparkscore.messages.launch import ScoringMessage
from sparkscore.messages.outcome import FAILED, SHORT_RESULT, FailedInput, ScoringFailure


def init_failure(error: HostEndedError, scoring: ScoringMessage) -> ScoringFailure:
    """The failure of an ``init()`` whose host is gone."""
    message = f"init() took longer than {scoring.init_timeout_seconds} s (init_timeout)"
    return _host_failure(error, scoring, timeout=("INIT_TIMEOUT", message), crash="INIT_CRASHED")


def run_failure(error: HostEndedError, scoring: ScoringMessage) -> ScoringFailure:
    """The failure of a ``run`` whose host is gone."""
    message = f"run() took longer than {scoring.timeout_seconds} s (retry_settings.timeout)"
    return _host_failure(
        error, scoring, timeout=("SCRIPT_TIMEOUT", message), crash="SCRIPT_CRASHED"
    )


def broken_reply(error: ReplyError) -> ScoringFailure:
    """The failure of an attempt whose host sent what no host of ours sends."""
    return ScoringFailure(
        "SCRIPT_CRASHED",
        f"the script host sent {error}: scoring code must leave descriptors that it did not open "
        "alone",
    )


def too_much(given_bytes: int, max_bytes: int) -> ScoringFailure:
    """The failure of an attempt whose results and files are too large to travel."""
    return ScoringFailure(
        "RESULT_TOO_LARGE",
        f"the results and files of this mini-batch take {given_bytes >> 20} MiB or more, "
        f"{max_bytes >> 20} MiB can be sent to a driver that shares no folder with its workers: "
        "set a smaller mini_batch_size",
    )


def failed_inputs(
    paths: Sequence[str], error: ScoringFailure | None, *, attempts: int
) -> list[FailedInput]:
    """These inputs as failed for one reason, after so many calls of ``run``."""
    failure = error or ScoringFailure(FAILED, "")
    return [
        FailedInput(
            path,
            failure.condition,
            failure.message,
            attempts=attempts,
            script_line=failure.script_line,
            process=failure.process,
        )
        for path in paths
    ]


def short_result(
    paths: Sequence[str], count: int, missing: list[int] | None, *, attempts: int, process: int
) -> list[FailedInput]:
    """One line an input where the rows tell which are missing, else one for all of them."""
    message = f"run() returned {len(paths) - count} results for {len(paths)} inputs"
    if missing is not None and len(missing) == count:
        failure = ScoringFailure(SHORT_RESULT, message, process=process)
        return failed_inputs([paths[at] for at in missing], failure, attempts=attempts)
    return [
        FailedInput(
            "",
            SHORT_RESULT,
            message,
            count=count,
            candidates=tuple(paths),
            attempts=attempts,
            process=process,
        )
    ]


def _host_failure(
    error: HostEndedError, scoring: ScoringMessage, *, timeout: tuple[str, str], crash: str
) -> ScoringFailure:
    if isinstance(error, HostTimeoutError):
        condition, message = timeout
    elif isinstance(error, HostTooLargeError):
        condition, message = "MEMORY_LIMIT", _too_large(error.args[0], scoring.memory_limit_bytes)
    else:
        condition, message = crash, str(error)
    stack = explain_dump(error.stack, code_folder=scoring.code_folder)
    return make_failure(
        condition,
        message,
        stack.traceback,
        script_line=stack.script_line,
        script_traceback=stack.script_traceback,
    )


def _too_large(used_bytes: int, limit_bytes: int) -> str:
    return (
        f"the scoring code used {used_bytes >> 20} MiB of memory, {limit_bytes >> 20} MiB are "
        "allowed (memory_limit)"
    )
