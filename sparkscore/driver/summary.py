"""The summary of an ended job. Spark driver process."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import dataclass, field
from typing import Any

from sparkscore import __version__
from sparkscore.driver.account import JobAccount
from sparkscore.driver.counts import Counts
from sparkscore.errors import CanceledError, SparkscoreError, StorageError
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import (
    CANCELED,
    COMPLETED,
    FAILED,
    InputCounts,
    MiniBatchCounts,
    SummaryMessage,
)
from sparkscore.plan.scoring_plan import ScoringPlan

_REASONS_SHOWN = 10
_PHASES = ("start", "plan", "score", "publish", "total")


@dataclass
class JobEnd:
    """What a job leaves behind besides its account."""

    plan: ScoringPlan | None = None
    output: dict[str, Any] | None = None
    error: SparkscoreError | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """The job's terminal status."""
        if self.error is None:
            return COMPLETED
        return CANCELED if isinstance(self.error, CanceledError) else FAILED

    @property
    def message(self) -> str:
        """Why the job did not complete, in one line; empty if it did."""
        return "" if self.error is None else f"{self.error.condition}: {self.error.message}"


def make_summary(launch: LaunchMessage, end: JobEnd, account: JobAccount | None) -> SummaryMessage:
    """The summary of ``launch``; ``account`` is None if nothing was scored."""
    counts = account.counts if account is not None else Counts()
    total = end.plan.input_count if end.plan is not None else 0
    mini_batches = end.plan.mini_batch_count if end.plan is not None else 0
    reasons = account.reasons(_REASONS_SHOWN) if account is not None else []
    return SummaryMessage(
        job=launch.job_name,
        status=end.status,
        inputs=InputCounts(total, counts.succeeded, counts.failed),
        unprocessed_inputs=total - counts.inputs,
        skipped=_skipped(end.plan),
        mini_batches=MiniBatchCounts(
            mini_batches,
            counts.mini_batches - counts.mini_batches_failed,
            counts.mini_batches_failed,
        ),
        rows=counts.rows,
        bad_rows=counts.bad_rows,
        retries=counts.retries,
        worker_processes=counts.script_hosts,
        init_calls=counts.init_calls,
        output=end.output,
        error=_error(end.error),
        errors=tuple(reason.render() for reason in reasons),
        seconds={name: round(end.seconds.get(name, 0.0), 3) for name in _PHASES},
        versions={**_versions(), **end.versions},
        warnings=(*launch.warnings, *end.warnings),
        deployment=launch.settings,
        run=launch.run,
    )


def make_left_error(launch: LaunchMessage, seen: SparkscoreError | None) -> CanceledError:
    """The error of a driver that was stopped and leaves its job to the next one.

    ``seen`` is what it saw of that: Spark may have ended by a fault of its own.
    """
    what = ""
    if seen is not None and not isinstance(seen, CanceledError):
        what = f"; what it saw: {seen.condition}: {seen.message}"
    return CanceledError(
        f"the driver of job {launch.job_name} was stopped, and nobody has canceled the job: it "
        f"has no summary, and the next driver goes on from what is scored{what}",
        condition="INTERRUPTED",
    )


def make_untold_error(uri: str, summary: SummaryMessage, warnings: tuple[str, ...]) -> StorageError:
    """The error of a driver whose summary did not reach the job's folder ``uri``: nobody else can
    know how the job ended."""
    return StorageError(
        f"job {summary.job} has ended ({summary.status}), but its summary could not be written to "
        f"{uri} ({'; '.join(warnings)}): start the driver again; it goes on from what is there, "
        "and publishes nothing twice",
        condition="STAGING_NOT_WRITABLE",
        uri=uri,
    )


def print_error(summary: SummaryMessage) -> None:
    """One line on stderr that says why the job did not complete, or why its driver left it."""
    if summary.error is not None:
        error = summary.error
        print(f"sparkscore: {error['condition']}: {error['message']}", file=sys.stderr, flush=True)


def _skipped(plan: ScoringPlan | None) -> dict[str, int]:
    if plan is None:
        return {}
    return {"hidden": plan.skipped_hidden_count, "filtered": plan.skipped_filtered_count}


def _error(error: SparkscoreError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "condition": error.condition,
        "message": error.message,
        "exit_code": error.exit_code,
        **error.attributes,
    }


def _versions() -> dict[str, str]:
    found = {"sparkscore": __version__, "python": platform.python_version()}
    for name in ("pyspark", "pandas", "pyarrow", "delta-spark", "mlflow"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
