"""Runs the waves of a job and watches them. Spark driver process.

Up to two waves are in flight, so that the slots that the last tasks of one leave idle work for
the next; the first runs alone where the result schema is pinned from it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from sparkscore.driver import staging
from sparkscore.driver.account import JobAccount
from sparkscore.driver.counts import Counts
from sparkscore.driver.executor_watch import ExecutorWatch
from sparkscore.driver.failures import explain_failure
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.progress import Progress
from sparkscore.driver.staged_waves import StagedWaves
from sparkscore.driver.wave import Wave, WaveTemplate
from sparkscore.errors import ErrorThresholdExceededError, ScoringScriptError, StorageError
from sparkscore.executor.result_schema import common_schema, schema_to_bytes
from sparkscore.messages.launch import ScoringMessage
from sparkscore.messages.outcome import INIT_FAILED, MiniBatchOutcome
from sparkscore.plan.scoring_plan import ScoringPlan
from sparkscore.plan.waves import WaveLimits, plan_pending, plan_wave, remove_tasks

_POLL_SECONDS = 0.05
_CANCEL_SECONDS = 30.0
_WAVES_IN_FLIGHT = 2
_MOST_WAVES_LOST = 2
_MOST_TOLD_BYTES = 128 * 1024 * 1024
"""What the outcomes of a wave may be together, going by those before."""


@dataclass(frozen=True)
class StopSigns:
    """When a job is to stop: ``check`` is cheap and asked often, ``confirm`` before a wave counts.

    Both raise the error that ends the job.
    """

    check: Callable[[], None]
    confirm: Callable[[], None]


class ScoringRun:
    """Scores the mini-batches of a plan that are not staged yet; ``run`` returns when all are.

    ``account`` knows the outcomes of what is staged already.
    """

    def __init__(
        self,
        template: WaveTemplate,
        plan: ScoringPlan,
        *,
        folder: JobFolder,
        account: JobAccount,
        staged: StagedWaves,
        stop: StopSigns,
        slots: int,
        schema: pa.Schema | None,
        limits: WaveLimits,
        progress: Progress,
    ) -> None:
        self._template, self._plan, self._folder = template, plan, folder
        self._account, self._staged, self._stop_signs = account, staged, stop
        self._slots, self._limits = slots, limits
        self._progress = progress
        self._executors = ExecutorWatch(template.spark.sparkContext, progress)
        self._scoring: ScoringMessage = template.context.scoring
        done = staged.mini_batch_ids
        self._pending = plan_pending(plan, done=done)
        self._in_flight: list[Wave] = []
        self._something_ended = threading.Event()
        self._waves = self._waves_lost = 0
        self._told_count = self._told_bytes = 0
        self._weight_done = self._weight_of(done)
        self.schema = schema

    @property
    def _pins_schema(self) -> bool:
        return self._scoring.output_action == "append_row" and self.schema is None

    def run(self) -> None:
        """Score everything; raises the error that ends the job, no wave left running."""
        try:
            self._check_thresholds(self._account.counts)
            if self._pins_schema and self._first_wave_is_done():
                self._pin_schema()
            while self._pending or self._in_flight:
                self._stop_signs.check()
                self._submit()
                self._something_ended.wait(_POLL_SECONDS)
                self._something_ended.clear()
                self._watch()
            if self._pins_schema:
                self._pin_schema()
        except BaseException:
            self._stop()
            raise

    def _submit(self) -> None:
        most = 1 if self._pins_schema else _WAVES_IN_FLIGHT
        while self._pending and len(self._in_flight) < most:
            tasks = plan_wave(
                self._plan,
                self._pending,
                seconds_per_weight=self._seconds_per_weight(),
                slots=self._slots,
                wave_number=self._waves,
                limits=self._limits_now(),
            )
            self._pending = remove_tasks(self._pending, tasks)
            number, folder = self._staged.take_folder()
            wave = Wave(
                self._template,
                number=number,
                tasks=tasks,
                plan=self._plan,
                folder=folder,
                limits=self._wave_limits(),
                ended=self._something_ended,
            )
            self._waves += 1
            self._in_flight.append(wave)
            wave.start()
            ranges = [
                [piece.start, piece.stop] for piece in merge([t.mini_batch_ids for t in tasks])
            ]
            self._progress.event(
                "wave_started", wave=wave.number, tasks=len(tasks), mini_batches=ranges
            )

    def _limits_now(self) -> WaveLimits:
        """Fewer mini-batches in a wave where each has much to tell: the driver holds it all."""
        if not self._told_bytes:
            return self._limits
        most = _MOST_TOLD_BYTES * self._told_count // self._told_bytes
        most = min(self._limits.max_wave_mini_batch_count, max(1, most))
        return replace(self._limits, max_wave_mini_batch_count=most)

    def _wave_limits(self) -> dict[str, Any]:
        """What a wave's tasks may still fail, as known now, and the schema they must keep to."""
        return {
            "failed_inputs_left": _left(self._scoring.error_threshold, self._account.counts.failed),
            "failed_mini_batches_left": _left(
                self._scoring.mini_batch_error_threshold, self._account.counts.mini_batches_failed
            ),
            "schema": None if self.schema is None else schema_to_bytes(self.schema),
        }

    def _weight_of(self, mini_batch_ids: Collection[int]) -> float:
        before = self._plan.cumulative_weights
        ids = np.fromiter(mini_batch_ids, dtype=np.int64)
        return float((before[ids + 1] - before[ids]).sum())

    def _seconds_per_weight(self) -> float | None:
        return self._account.counts.seconds / self._weight_done if self._weight_done else None

    def _watch(self) -> None:
        for wave in list(self._in_flight):
            over = wave.is_over()
            fresh = wave.poll()
            self._account.tell(fresh)
            _check_init(fresh)
            if over:
                self._end(wave)
        live = self._live_counts()
        self._progress.counted(live)
        self._executors.look()
        self._check_thresholds(live)

    def _end(self, wave: Wave) -> None:
        if wave.error is not None:
            doing = f"scoring wave {wave.number}"
            folders = self._folder.written_to()
            raise explain_failure(wave.error, doing=doing, folders=folders) from wave.error
        self._in_flight.remove(wave)
        self._told_count += wave.finished_count
        self._told_bytes += wave.finished_bytes
        self._check_arrived(wave)
        wave.release()
        outcomes = self._staged.commit(wave.folder, confirm=self._stop_signs.confirm)
        self._account.add(outcomes)
        _check_init(outcomes)
        done = {outcome.mini_batch_id for outcome in outcomes}
        self._weight_done += self._weight_of(done)
        self._put_back(wave, done)
        if self._pins_schema and self._first_wave_is_done():
            self._pin_schema()
        self._progress.event("wave_committed", wave=wave.number, mini_batches=len(outcomes))

    def _put_back(self, wave: Wave, done: set[int]) -> None:
        """What a task left when it stopped itself, or what was damaged, is pending again."""
        left = [
            range(number, number + 1)
            for task in wave.tasks
            for number in task.mini_batch_ids
            if number not in done
        ]
        self._pending = merge([*left, *self._pending])

    def _check_arrived(self, wave: Wave) -> None:
        """Workers of another machine may stage into a folder of their own; of one wave alone the
        files may have been removed since, and are made anew."""
        is_lost = wave.finished_count > 0 and not staging.wave_files(wave.folder)
        self._waves_lost = self._waves_lost + 1 if is_lost else 0
        if self._waves_lost == _MOST_WAVES_LOST:
            raise StorageError(
                f"the executors have scored wave {wave.number}, but nothing of it stands in "
                f"{wave.folder}: the job folder must be a folder that driver and executors share, "
                "at the same path; where they share none, name the cluster in a compute with "
                "shared_paths: false",
                condition="JOB_FOLDER_NOT_SHARED",
                path=str(wave.folder),
            )

    def _first_wave_is_done(self) -> bool:
        """Whether results tell the schema; never from a part, which depends on the speed."""
        is_left = self._pending and self._pending[0].start < self._plan.first_wave_count
        return not is_left and self._account.counts.rows > 0

    def _pin_schema(self) -> None:
        schemas = staging.payload_schemas(self._staged.files, check=self._stop_signs.check)
        if not schemas:
            return
        self.schema = common_schema(schemas)
        self._folder.write_result_schema(schema_to_bytes(self.schema))
        self._progress.event("schema_pinned", columns={f.name: str(f.type) for f in self.schema})

    def _live_counts(self) -> Counts:
        live = self._account.counts
        for wave in self._in_flight:
            live = live.plus(wave.counts)
        return live

    def _check_thresholds(self, live: Counts) -> None:
        for what, failed, threshold in (
            ("inputs", live.failed, self._scoring.error_threshold),
            (
                "mini-batches",
                live.mini_batches_failed,
                self._scoring.mini_batch_error_threshold,
            ),
        ):
            if 0 <= threshold < failed:
                raise ErrorThresholdExceededError(
                    f"{failed} {what} failed, {threshold} may: nothing was published "
                    "(failed_inputs.csv names them)",
                    failed=failed,
                    threshold=threshold,
                )

    def _stop(self) -> None:
        """End all waves. What their finished tasks told still counts, so that the account of a
        stopped job names the failures that stopped it."""
        for wave in self._in_flight:
            wave.cancel()
        deadline = time.monotonic() + _CANCEL_SECONDS
        for wave in self._in_flight:
            wave.join(max(0.0, deadline - time.monotonic()))
            self._account.add(wave.iter_finished())
            wave.release()
        self._in_flight.clear()


def _check_init(outcomes: Sequence[MiniBatchOutcome]) -> None:
    for outcome in outcomes:
        if outcome.status == INIT_FAILED and outcome.error is not None:
            raise ScoringScriptError(
                f"init() failed three times in a row on {outcome.host}: {outcome.error.message}",
                condition=outcome.error.condition,
                traceback=outcome.error.traceback,
            )


def _left(threshold: int, failed: int) -> int | None:
    return None if threshold < 0 else max(0, threshold - failed)


def merge(ranges: Sequence[range]) -> list[range]:
    """Disjoint ranges in order, neighbours joined."""
    merged: list[range] = []
    for piece in sorted(ranges, key=lambda item: item.start):
        if merged and merged[-1].stop == piece.start:
            merged[-1] = range(merged[-1].start, piece.stop)
        else:
            merged.append(piece)
    return merged
