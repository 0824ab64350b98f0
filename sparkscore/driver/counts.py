"""Sums over the outcomes of mini-batches. Spark driver process."""

from __future__ import annotations

from dataclasses import dataclass

from sparkscore.messages.outcome import FAILED, INIT_FAILED, MiniBatchOutcome


@dataclass
class Counts:
    """Sums over finished mini-batches."""

    mini_batches: int = 0
    mini_batches_failed: int = 0
    inputs: int = 0
    failed: int = 0
    rows: int = 0
    bad_rows: int = 0
    retries: int = 0
    script_hosts: int = 0
    init_calls: int = 0
    seconds: float = 0.0

    def add(self, outcome: MiniBatchOutcome) -> None:
        """Count one outcome; that of a failed ``init()`` holds no finished inputs."""
        self.script_hosts += outcome.started.script_hosts
        self.init_calls += outcome.started.init_calls
        if outcome.status == INIT_FAILED:
            return
        self.mini_batches += 1
        self.mini_batches_failed += outcome.status == FAILED
        self.inputs += outcome.inputs
        self.failed += outcome.failed
        self.rows += outcome.rows
        self.bad_rows += len(outcome.bad_rows)
        self.retries += outcome.retries
        self.seconds += outcome.seconds

    def plus(self, other: Counts) -> Counts:
        """The sums of both."""
        values = {name: value + getattr(other, name) for name, value in vars(self).items()}
        return Counts(**values)

    @property
    def succeeded(self) -> int:
        """Inputs that succeeded."""
        return self.inputs - self.failed
