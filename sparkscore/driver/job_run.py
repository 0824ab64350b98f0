"""One scoring job inside a Spark session: plan, score, publish, account. Spark driver process.

``run`` is also the way to score in a notebook or on a platform that owns the session: it never
stops the session. A job folder with a plan is a job to go on with: it is never planned again.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pyarrow as pa
from pyspark.sql import SparkSession

from sparkscore.driver.account import JobAccount
from sparkscore.driver.background import Background
from sparkscore.driver.cancel import Cancellation
from sparkscore.driver.environment import pin_environment
from sparkscore.driver.failures import explain_failure
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.job_home import JobHome, LocalHome
from sparkscore.driver.mirror import JobMirror
from sparkscore.driver.planning import (
    check_successes,
    find_schema,
    list_of_launch,
    make_task_context,
    plan_listing,
)
from sparkscore.driver.progress import Progress
from sparkscore.driver.publish.gate import PublishGate
from sparkscore.driver.publishing import publish_output
from sparkscore.driver.scoring import ScoringRun, StopSigns
from sparkscore.driver.session import is_session_gone
from sparkscore.driver.shipping import ship_job
from sparkscore.driver.staged_waves import StagedWaves, remove_unnamed
from sparkscore.driver.staging import check_whole, read_outcomes
from sparkscore.driver.summary import (
    JobEnd,
    make_left_error,
    make_summary,
    make_untold_error,
    print_error,
)
from sparkscore.driver.wave import WaveTemplate
from sparkscore.driver.worker_logs import WorkerLogs
from sparkscore.errors import CanceledError, PublishError, SparkscoreError, StateError
from sparkscore.listing import Listing
from sparkscore.listing.location import find_local_path
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import COMPLETED, FINALIZING, RUNNING, SummaryMessage
from sparkscore.plan.scoring_plan import ScoringPlan, read_plan, write_plan
from sparkscore.plan.waves import WaveLimits

MAX_REPAIRS = 2
"""How often damaged staged files are scored again before the job fails."""


def run(spark: SparkSession, launch: LaunchMessage) -> SummaryMessage:
    """Score a job in ``spark``, a running session, and leave the session running.

    Blocks until the job has ended. What ends a job is told in the summary's ``status`` and
    ``error``; nothing is raised for it but KeyboardInterrupt, once the job is canceled.
    """
    return JobRun(launch).run(lambda: spark)


class JobRun:
    """A job from launch message to summary, or from where an earlier run of it ended."""

    def __init__(self, launch: LaunchMessage, *, home: JobHome | None = None) -> None:
        self.launch = launch
        self._home: JobHome = LocalHome(launch) if home is None else home
        self.cancellation = Cancellation()
        self._folder = JobFolder(launch.job_folder)
        self._progress = Progress(self._folder, launch.job_name)
        self._mirror = JobMirror(self._folder, launch.mirror, home_has=self._home.fetched)
        self.worker_logs = WorkerLogs(self._folder)
        self._end = JobEnd()
        self._account: JobAccount | None = None
        self.is_told = False
        """Whether the job folder says how the job ended; if not, it belongs to another driver."""

    def run(self, open_session: Callable[[], SparkSession]) -> SummaryMessage:
        """Run the job in the session that ``open_session`` gives.

        A job that has completed here is left alone: its summary is returned. If another driver
        holds the job folder, what is returned says so and stands nowhere.
        """
        try:
            self._lease = self._home.take_lease(
                check=self.cancellation.check, on_cancel=self.cancellation.ask
            )
        except (SparkscoreError, OSError) as error:
            self._end.error = self._explain(error)
            return make_summary(self.launch, self._end, None)
        try:
            ended = self._home.find_ended()
            if ended is None:
                return self._run_to_the_end(open_session)
            print(f"job {self.launch.job_name}: {ended.status} before, nothing to do", flush=True)
            if ended.status == COMPLETED:
                self._drop_staging()
            self.is_told = True
            return ended
        finally:
            self._lease.release()

    def _run_to_the_end(self, open_session: Callable[[], SparkSession]) -> SummaryMessage:
        try:
            with self._phase("total"):
                self._start()
                self._run(open_session)
        except Exception as cause:
            if self._is_lease_lost():
                return self._give_up()
            self._end.error = self._explain(cause)
            if not isinstance(cause, SparkscoreError):
                traceback.print_exception(cause)
                with suppress(OSError):
                    self._progress.event("error", text=repr(cause))
            if self._is_left_to_next(is_session_gone):
                return self._leave()
        except BaseException:
            self._end.error = CanceledError("the job was interrupted", condition="INTERRUPTED")
            if self._is_left_to_next(lambda: True):
                print_error(self._leave())
            else:
                self._write_end()
            raise
        return self._write_end()

    def remove_leftovers(self) -> None:
        """Remove what attempts that Spark gave up have staged of a job after it had completed."""
        if self._end.output is not None:
            self._drop_staging()

    def _drop_staging(self) -> None:
        if not self.launch.keep_staging:
            self._folder.remove_staging()

    def _start(self) -> None:
        self._folder.make()
        if self._lease.token > 1:
            self._folder.remove_account()
        is_far = self._home.fetched is not None
        self._progress.start(self._lease.check if is_far else self._lease.confirm)
        self._mirror.start(self._lease.check)
        self.worker_logs.start()

    def _run(self, open_session: Callable[[], SparkSession]) -> None:
        spark, plan = self._open(open_session)
        self._check()
        staged = self._restore(plan)
        self._shipped = ship_job(spark, self.launch)
        slots = spark.sparkContext.defaultParallelism
        for repairs_left in reversed(range(1 + MAX_REPAIRS)):
            with self._phase("score"):
                scoring = self._score(spark, plan, staged, slots)
            self._progress.enter(FINALIZING)
            try:
                self._finish(spark, plan, staged, scoring.schema)
            except PublishError:
                lost = set() if self._account is None else self._account.find_lost()
                count = staged.drop_damaged(lost=lost, check=self._check)
                if count == 0 or repairs_left == 0:
                    raise
                self._progress.event("staging_damaged", mini_batches=count)
                self._progress.enter(RUNNING)
            else:
                return

    def _score(
        self, spark: SparkSession, plan: ScoringPlan, staged: StagedWaves, slots: int
    ) -> ScoringRun:
        """Score what is not staged; the account starts with what is."""
        if self._account is not None:
            self._account.close()
        if self._lease.token > 1:
            self._folder.remove_account()
        self._account = account = JobAccount(self._folder)
        for files in staged.iter_waves():
            self._check()
            outcomes = read_outcomes(files)
            account.tell(outcomes)
            account.add(outcomes)
        self._progress.counted(account.counts)
        scoring = self._scoring_run(spark, plan, staged, slots)
        scoring.run()
        return scoring

    def _finish(
        self, spark: SparkSession, plan: ScoringPlan, staged: StagedWaves, schema: pa.Schema | None
    ) -> None:
        """Publish; raises PublishError also if a staged file is damaged."""
        assert self._account is not None
        check_successes(self.launch, plan, succeeded_count=self._account.counts.succeeded)
        self._account.close()
        self._check()
        with self._phase("publish"):
            check_whole(staged.find_damaged(check=self._check))
            gate = PublishGate(
                self._folder.publish,
                self._lease.token,
                self._check,
                self._lease.confirm,
                self._mirror.keep_announcement,
            )
            published = publish_output(
                spark,
                self.launch,
                staged=staged.files,
                schema=schema,
                account=self._account,
                gate=gate,
            )
        self._end.output = published.to_summary()

    def _open(self, open_session: Callable[[], SparkSession]) -> tuple[SparkSession, ScoringPlan]:
        """Session and plan; inputs are listed, or the plan is read, while the session starts."""
        is_planned = self._folder.has_plan()
        work = self._read_plan if is_planned else self._list_inputs
        found = Background(work, name="plan")
        with self._phase("start"), self.cancellation.interrupting():
            spark = open_session()
        self._end.versions["spark"] = spark.version
        with self._phase("plan"):
            given = found.get(self._check)
            if isinstance(given, ScoringPlan):
                plan = given
            else:
                plan = self._plan(given, spark.sparkContext.defaultParallelism)
        self._end.plan = plan
        return spark, plan

    def _read_plan(self) -> ScoringPlan | Listing:
        return read_plan(self.launch.job_folder)

    def _list_inputs(self) -> ScoringPlan | Listing:
        return list_of_launch(self.launch, self._folder, check=self._check)

    def _plan(self, listing: Listing, slots: int) -> ScoringPlan:
        plan = plan_listing(listing, self.launch, slots=slots)
        self._lease.confirm()
        self._folder.write_identity(self.launch)
        write_plan(plan, self.launch.job_folder)
        return plan

    def _restore(self, plan: ScoringPlan) -> StagedWaves:
        """What earlier runs of the job have staged and is whole."""
        staged = StagedWaves(self._folder.staging, token=self._lease.token)
        self._lease.confirm()
        damaged = staged.restore(check=self._check)
        self._progress.planned(mini_batches=plan.mini_batch_count, inputs=plan.input_count)
        if self._lease.token > 1:
            self._progress.event(
                "resumed", mini_batches=len(staged.mini_batch_ids), damaged=damaged
            )
        files = self._folder.staging / "files"
        if self._lease.token > 1 and files.is_dir():
            named = (
                folder
                for file in staged.files
                for outcome in read_outcomes([file])
                for folder in outcome.folders
            )
            remove_unnamed(files, named)
        return staged

    def _check(self) -> None:
        self.cancellation.check()
        self._lease.check()

    def _explain(self, error: Exception) -> SparkscoreError:
        """A cancellation shows up as whatever it interrupted."""
        if self.cancellation.is_asked() and not isinstance(error, SparkscoreError):
            return CanceledError("the job was canceled")
        return explain_failure(error, doing="the job", folders=self._folders_written_to())

    def _folders_written_to(self) -> dict[str, str]:
        folders = self._folder.written_to()
        output = find_local_path(self.launch.output.path)
        return folders if output is None else {**folders, "output": output}

    def _is_lease_lost(self) -> bool:
        try:
            self._lease.confirm()
        except StateError as error:
            self._end.error = error
            return True
        return False

    def _give_up(self) -> SummaryMessage:
        """Another driver goes on with the job: nothing more is written."""
        self._progress.abandon()
        self._mirror.abandon()
        self.worker_logs.abandon()
        if self._account is not None:
            self._account.abandon()
        return make_summary(self.launch, self._end, self._account)

    def _is_left_to_next(self, is_gone: Callable[[], bool]) -> bool:
        """Whether this driver was stopped and shall not end its job."""
        if self._home.fetched is None:
            return False
        gone = is_gone()
        if not gone and not self.cancellation.is_asked():
            return False
        if self._home.is_left_to_next():
            return True
        if gone and not isinstance(self._end.error, CanceledError):
            self._end.error = CanceledError("the job was canceled")
        return False

    def _leave(self) -> SummaryMessage:
        """Save what the next driver goes on from, and say of no end."""
        self._end.error = error = make_left_error(self.launch, self._end.error)
        with suppress(OSError):
            self._progress.event("left_to_next", error=error.message)
        self._progress.abandon()
        self.worker_logs.abandon()
        self.worker_logs.copy()
        if self._account is not None:
            self._account.abandon()
        self._mirror.leave()
        return make_summary(self.launch, self._end, self._account)

    def _scoring_run(
        self, spark: SparkSession, plan: ScoringPlan, staged: StagedWaves, slots: int
    ) -> ScoringRun:
        launch = pin_environment(self.launch)
        assert self._account is not None
        limits = WaveLimits(checkpoint_interval_seconds=launch.checkpoint_interval_seconds)
        context = replace(
            make_task_context(launch, plan, seconds_left=limits.max_task_seconds),
            logs_marker=self.worker_logs.marker,
            shipped=self._shipped,
        )
        return ScoringRun(
            WaveTemplate(spark, context, launch.job_name),
            plan,
            folder=self._folder,
            account=self._account,
            staged=staged,
            stop=StopSigns(self._check, self._lease.confirm),
            slots=slots,
            schema=find_schema(launch, self._folder),
            limits=limits,
            progress=self._progress,
        )

    def _write_end(self) -> SummaryMessage:
        if self._is_lease_lost():
            return self._give_up()
        if self._account is not None:
            with suppress(OSError):
                self._account.close()
        if self._end.plan is None and self._folder.has_plan():
            with suppress(SparkscoreError, OSError):
                self._end.plan = read_plan(self.launch.job_folder)
        self.worker_logs.finish()
        drops_staging = self._end.output is not None and not self.launch.keep_staging
        self._end.warnings = self._mirror.finish(
            is_canceled=self.cancellation.is_asked, drops_staging=drops_staging
        )
        if self._is_lease_lost():  # the copy may have taken minutes
            return self._give_up()
        summary = make_summary(self.launch, self._end, self._account)
        self._progress.end()
        self._folder.write_summary(summary)
        self.is_told = True
        self._progress.enter(summary.status, error=self._end.message)
        if drops_staging:
            self._folder.remove_staging()
        warnings = self._mirror.finish_account(is_canceled=self.cancellation.is_asked)
        untold = self._mirror.find_untold()
        if untold is not None:
            if self._is_lease_lost():
                return self._give_up()
            self._end.error, self.is_told = make_untold_error(untold, summary, warnings), False
            return make_summary(self.launch, self._end, self._account)
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
