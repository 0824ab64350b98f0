"""One scoring job inside a Spark session: plan, score, publish, account. Spark driver process.

``run`` is also the way to score in a notebook or on a platform that owns the session: it never
stops the session.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from sparkscore.driver.account import JobAccount
from sparkscore.driver.cancel import Cancellation
from sparkscore.driver.executor_package import ship_executor_package
from sparkscore.driver.failures import explain_failure
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.mirror import CANCEL_SECONDS, END_SECONDS, JobMirror
from sparkscore.driver.progress import Progress
from sparkscore.driver.publishing import publish_output
from sparkscore.driver.scoring import ScoringRun
from sparkscore.driver.summary import JobEnd, make_summary
from sparkscore.driver.wave import WaveTemplate
from sparkscore.errors import CanceledError, NoSuccessfulInputError, SparkscoreError
from sparkscore.executor.result_schema import arrow_schema
from sparkscore.executor.task import TaskContext
from sparkscore.listing import Listing, list_inputs
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import FINALIZING, SummaryMessage
from sparkscore.plan.scoring_plan import ScoringPlan, plan_scoring, write_plan
from sparkscore.plan.waves import WaveLimits


def run(spark: SparkSession, launch: LaunchMessage) -> SummaryMessage:
    """Score a job in ``spark``, a running session, and leave the session running.

    Blocks until the job has ended. What ends a job is told in the summary's ``status`` and
    ``error``; nothing is raised for it but KeyboardInterrupt, once the job is canceled.
    """
    return JobRun(launch).run(lambda: spark)


class JobRun:
    """A job from launch message to summary."""

    def __init__(self, launch: LaunchMessage) -> None:
        self.launch = launch
        self.cancellation = Cancellation()
        self._folder = JobFolder(launch.job_folder)
        self._progress = Progress(self._folder, launch.job_name)
        self._mirror = JobMirror(self._folder, launch.mirror)
        self._end = JobEnd()
        self._account: JobAccount | None = None

    def run(self, open_session: Callable[[], SparkSession]) -> SummaryMessage:
        """Run the job in the session that ``open_session`` gives."""
        self._folder.make()
        self._progress.start()
        self._mirror.start()
        try:
            with self._phase("total"):
                self._run(open_session)
        except Exception as cause:
            self._end.error = explain_failure(cause, doing="the job")
            if not isinstance(cause, SparkscoreError):
                traceback.print_exception(cause)
                with suppress(OSError):
                    self._progress.event("error", text=repr(cause))
        except BaseException:
            self._end.error = CanceledError("the job was interrupted", condition="INTERRUPTED")
            self._write_end()
            raise
        return self._write_end()

    def _run(self, open_session: Callable[[], SparkSession]) -> None:
        spark, listing = self._open(open_session)
        self.cancellation.check()
        with self._phase("plan"):
            slots = spark.sparkContext.defaultParallelism
            plan = self._plan(listing, slots)
        self._account = account = JobAccount(self._folder)
        self._progress.planned(mini_batches=plan.mini_batch_count, inputs=plan.input_count)
        ship_executor_package(spark)
        scoring = self._scoring_run(spark, plan, account, slots)
        with self._phase("score"):
            scoring.run()
        self._progress.enter(FINALIZING)
        self._check_successes(plan, account)
        account.close()
        self.cancellation.check()
        with self._phase("publish"):
            published = publish_output(
                spark, self.launch, staged=scoring.staged, schema=scoring.schema, account=account
            )
        self._end.output = published.to_summary()
        if not self.launch.keep_staging:
            self._folder.remove_staging()

    def _open(self, open_session: Callable[[], SparkSession]) -> tuple[SparkSession, Listing]:
        """Session and listing; inputs are listed while the session starts."""
        inputs = self.launch.input
        with ThreadPoolExecutor(1) as pool:
            listing = pool.submit(
                list_inputs,
                inputs.uri,
                limit=inputs.limit,
                options=inputs.options,
                include=inputs.include,
                exclude=inputs.exclude,
            )
            with self._phase("start"):
                spark = open_session()
            self._end.versions["spark"] = spark.version
            return spark, listing.result()

    def _plan(self, listing: Listing, slots: int) -> ScoringPlan:
        size = self.launch.scoring.mini_batch_size
        plan = plan_scoring(
            listing.files,
            mini_batch_size=size,
            root=listing.root,
            transport=listing.transport,
            slots=slots,
            skipped_hidden_count=listing.skipped_hidden_count,
            skipped_filtered_count=listing.skipped_filtered_count,
        )
        write_plan(plan, self.launch.job_folder)
        self._end.plan = plan
        return plan

    def _scoring_run(
        self, spark: SparkSession, plan: ScoringPlan, account: JobAccount, slots: int
    ) -> ScoringRun:
        launch = self.launch
        limits = WaveLimits(checkpoint_interval_seconds=launch.checkpoint_interval_seconds)
        context = TaskContext(
            scoring=launch.scoring,
            input_root=plan.root,
            transport=plan.transport,
            job_folder=launch.job_folder,
            schema=None,
            failed_inputs_left=None,
            failed_mini_batches_left=None,
            seconds_left=limits.max_task_seconds,
            wave=None,
            finished=None,
            input_options=launch.input.options,
        )
        return ScoringRun(
            WaveTemplate(spark, context, launch.job_name),
            plan,
            folder=self._folder,
            account=account,
            cancellation=self.cancellation,
            slots=slots,
            schema=declared_schema(launch),
            limits=limits,
            progress=self._progress,
        )

    def _check_successes(self, plan: ScoringPlan, account: JobAccount) -> None:
        if self.launch.output.action == "append_row" and account.counts.succeeded == 0:
            raise NoSuccessfulInputError(
                f"none of {plan.input_count} inputs succeeded: nothing to publish "
                "(failed_inputs.csv has the reasons)"
            )

    def _write_end(self) -> SummaryMessage:
        if self._account is not None:
            with suppress(OSError):
                self._account.close()
        is_canceled = isinstance(self._end.error, CanceledError)
        seconds = CANCEL_SECONDS if is_canceled else END_SECONDS
        self._end.warnings = self._mirror.finish(timeout_seconds=seconds)
        summary = make_summary(self.launch, self._end, self._account)
        self._progress.end()
        self._folder.write_summary(summary)
        self._progress.enter(summary.status, error=self._end.message)
        warnings = self._mirror.finish_account()
        if warnings and not self._end.warnings:
            summary = replace(summary, warnings=(*summary.warnings, *warnings))
            self._folder.write_summary(summary)
        return summary

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._end.seconds[name] = time.monotonic() - started


def declared_schema(launch: LaunchMessage) -> pa.Schema | None:
    """The result schema that the deployment declares, None if results decide."""
    columns: dict[str, Any] | None = launch.output.schema
    return None if columns is None else arrow_schema(columns)
