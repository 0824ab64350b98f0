"""What a running or ended job says of itself. Written by the driver, read by everybody.

``status.json`` (replaced atomically, with a heartbeat), one line an event in ``events.jsonl``, and
``summary.json`` at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sparkscore.messages.codec import nested

RUNNING = "Running"
FINALIZING = "Finalizing"
STARTING = "Starting"
COMPLETED = "Completed"
FAILED = "Failed"
CANCELED = "Canceled"
TERMINAL = (COMPLETED, FAILED, CANCELED)

_LIVE = (STARTING, RUNNING, FINALIZING)
_ERROR = {"condition": str, "message": str, "exit_code": int}
_OUTPUT = {"path": str, "format": str}


@dataclass(frozen=True)
class StatusMessage:
    """Live progress; counts cover finished mini-batches, ``sequence`` grows with each write.

    Times are seconds since the epoch; ``eta_seconds`` is None while unknown. ``hint`` says what the
    job waits for, and why.
    """

    job: str
    status: str
    sequence: int
    heartbeat_at: float
    started_at: float
    mini_batches: int = 0
    mini_batches_done: int = 0
    mini_batches_failed: int = 0
    inputs: int = 0
    inputs_succeeded: int = 0
    inputs_failed: int = 0
    rows: int = 0
    inputs_per_second: float = 0.0
    eta_seconds: float | None = None
    error: str | None = None
    hint: str | None = None

    def find_problem(self) -> str | None:
        """What a driver cannot have written."""
        known = (*_LIVE, *TERMINAL)
        return None if self.status in known else f"has status {self.status!r}, which no job has"


@dataclass(frozen=True)
class EventMessage:
    """One thing that happened, at ``at`` seconds since the epoch."""

    at: float
    type: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InputCounts:
    """Inputs by what became of them; the rest of ``total`` is unprocessed."""

    total: int
    succeeded: int
    failed: int


@dataclass(frozen=True)
class MiniBatchCounts:
    """Mini-batches by what became of them; a failed one may hold inputs that succeeded."""

    total: int
    succeeded: int
    failed: int


@dataclass(frozen=True)
class SummaryMessage:
    """The account of an ended job.

    ``seconds`` holds the phases start, plan, score, publish and total. ``output`` has ``path``,
    ``format`` and, as they apply, ``table``, ``version`` and ``files``; it is None if nothing was
    published. ``error`` has ``condition`` and ``message``. ``errors`` are the first distinct
    reasons of failed inputs: ``condition``, ``message``, ``count`` and a sample ``path``.
    ``skipped`` counts names that are no inputs: ``hidden`` ones and those ``filtered`` by patterns.
    ``run`` is that of the launch message.
    """

    job: str
    status: str
    inputs: InputCounts = nested(InputCounts)
    unprocessed_inputs: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    mini_batches: MiniBatchCounts = field(
        default=MiniBatchCounts(0, 0, 0), metadata={"message": MiniBatchCounts}
    )
    rows: int = 0
    bad_rows: int = 0
    retries: int = 0
    worker_processes: int = 0
    init_calls: int = 0
    output: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    errors: tuple[dict[str, Any], ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    deployment: dict[str, Any] = field(default_factory=dict)
    run: int = 0

    def find_problem(self) -> str | None:
        """What a driver cannot have written."""
        if self.status not in TERMINAL:
            return f"has status {self.status!r}, with which no job ends"
        for name, content, kinds in (
            ("error", self.error, _ERROR),
            ("output", self.output, _OUTPUT),
        ):
            for key, kind in kinds.items():
                if content is not None and not isinstance(content.get(key), kind):
                    return f"has an {name} without {key!r}, or one that is no {kind.__name__}"
        return None
