"""What became of one mini-batch. Written by the Python worker, read by the driver.

The JSON of an outcome stands in the last staged row of its mini-batch, so results and account
cannot be separated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SUCCEEDED = "succeeded"
FAILED = "failed"
INIT_FAILED = "init_failed"

SHORT_RESULT = "SHORT_RESULT"


@dataclass(frozen=True)
class ScoringFailure:
    """Why an attempt failed: a condition name, one line, and the user's traceback if any.

    ``script_line`` is ``file:line`` of the innermost frame in the code folder, relative to it,
    ``script_traceback`` the part of the traceback that lies there; both are empty if nothing does.
    ``attempt`` is its number (1 for the first), ``process`` the id of the script host.
    """

    condition: str
    message: str
    traceback: str = ""
    script_line: str = ""
    script_traceback: str = ""
    attempt: int = 0
    process: int = 0


@dataclass(frozen=True)
class FailedInput:
    """Failed inputs of one reason.

    ``path`` is the input as planned (relative to the input's root); it is empty for inputs that a
    short result left unnamed: then ``count`` says how many of ``candidates`` they are.
    ``attempts`` counts the calls of ``run`` that had the input; ``script_line`` and ``process``
    are those of the last one, see ``ScoringFailure``.
    """

    path: str
    condition: str
    message: str
    count: int = 1
    candidates: tuple[str, ...] = ()
    attempts: int = 0
    script_line: str = ""
    process: int = 0


@dataclass(frozen=True)
class BadRow:
    """A row that ``on_bad_row: skip`` left out; ``row`` counts from 0 in ``file``."""

    file: str
    row: int
    message: str


@dataclass(frozen=True)
class WorkerCount:
    """What a worker started since its last outcome: script hosts and calls of ``init()``."""

    script_hosts: int = 0
    init_calls: int = 0


@dataclass(frozen=True)
class MiniBatchOutcome:
    """The account of one mini-batch: ``inputs`` = succeeded + ``failed`` inputs, always.

    ``status`` is succeeded (an attempt of the whole mini-batch returned), failed (retries used up;
    isolated inputs may still have succeeded) or init_failed (no mini-batch can succeed).
    ``attempts`` counts calls of ``run`` with the whole mini-batch, ``retries`` those after the
    first. ``seconds`` is the wall time with all attempts, ``init()`` left out. ``folders`` are
    the folders of files that the script wrote in its successful attempts. ``peak_memory_bytes`` is
    the most resident memory of the script host's session in any attempt, ``cpu_seconds`` the user
    and system time of the host and its reaped children in all of them, ``init()`` left out.
    """

    mini_batch_id: int
    status: str
    inputs: int
    failed: int
    rows: int
    attempts: int
    retries: int
    started_at: float
    seconds: float
    host: str
    process: int
    failures: tuple[FailedInput, ...] = field(default=(), metadata={"items": FailedInput})
    bad_rows: tuple[BadRow, ...] = field(default=(), metadata={"items": BadRow})
    folders: tuple[str, ...] = ()
    error: ScoringFailure | None = field(default=None, metadata={"message": ScoringFailure})
    started: WorkerCount = field(default=WorkerCount(), metadata={"message": WorkerCount})
    peak_memory_bytes: int = 0
    cpu_seconds: float = 0.0
