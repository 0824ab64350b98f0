"""The summary of an ended job. Spark driver process."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field
from typing import Any

from sparkscore import __version__
from sparkscore.driver.account import JobAccount
from sparkscore.driver.counts import Counts
from sparkscore.errors import CanceledError, SparkscoreError
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
    )


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
