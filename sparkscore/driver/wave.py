"""One wave: a Spark job that scores some tasks and stages their rows. Spark driver process."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from sparkscore.driver.counts import Counts
from sparkscore.driver.relay import RELAYED_DDL, collect_wave, open_relay_session
from sparkscore.driver.relayed_files import RelayedFiles
from sparkscore.driver.spark_features import make_job_thread
from sparkscore.driver.spark_jobs import wait_for_tasks
from sparkscore.driver.staging import STAGED_DDL, STAGED_WRITER_OPTIONS
from sparkscore.executor.task import FinishedParam, TaskContext, score_partition
from sparkscore.messages import codec
from sparkscore.messages.outcome import MiniBatchOutcome
from sparkscore.plan.scoring_plan import ScoringPlan
from sparkscore.plan.waves import TaskRange

_CANCEL_AGAIN_SECONDS = 0.25


@dataclass(frozen=True)
class WaveTemplate:
    """What all waves of a job share; see ``TaskContext``."""

    spark: SparkSession
    context: TaskContext
    job_name: str

    @cached_property
    def relayed_files(self) -> RelayedFiles:
        """Writes what tasks send beside their rows, where workers share no folder."""
        return RelayedFiles(Path(self.context.job_folder))


class Wave:
    """A wave in flight: runs in a thread of its own, under a job group of its own."""

    def __init__(
        self,
        template: WaveTemplate,
        *,
        number: int,
        tasks: Sequence[TaskRange],
        plan: ScoringPlan,
        folder: Path,
        limits: Mapping[str, Any],
        ended: threading.Event,
    ) -> None:
        self.number, self.tasks, self.folder = number, tuple(tasks), folder
        self.error: BaseException | None = None
        self.finished_count = self.finished_bytes = 0
        self.counts = Counts()
        self._spark, self._files = template.spark, template.relayed_files
        self._group = f"sparkscore {template.job_name} wave {number}"
        context = self._spark.sparkContext
        self._accumulator: Any = context.accumulator({}, FinishedParam())  # type: ignore[arg-type]
        self._broadcast = context.broadcast([task_text(plan, task) for task in tasks])
        values = {**template.context.__dict__, **limits}
        values.update(wave=self._broadcast, finished=self._accumulator)
        self._context = TaskContext(**values)
        self._thread = make_job_thread(self._run, self._spark)
        self._over, self._ended = threading.Event(), ended

    def start(self) -> None:
        """Submit the Spark job."""
        self._thread.start()

    def is_over(self) -> bool:
        """Whether the Spark job has ended; ``error`` tells how."""
        return self._over.is_set()

    def poll(self) -> list[MiniBatchOutcome]:
        """Outcomes that have arrived since the last poll; a live signal, not the record."""
        arrived = self._accumulator.value
        if len(arrived) == self.finished_count:
            return []
        texts = list(arrived.values())[self.finished_count :]
        fresh = [_read_outcome(text) for text in texts]
        for outcome in fresh:
            self.counts.add(outcome)
        self.finished_count += len(texts)
        self.finished_bytes += sum(map(len, texts))
        return fresh

    def iter_finished(self) -> Iterator[MiniBatchOutcome]:
        """All outcomes that have arrived, by mini-batch; they are held as texts, being many."""
        for _, text in sorted(self._accumulator.value.items()):
            yield _read_outcome(text)

    def cancel(self) -> None:
        """Ask Spark to end the job; it is over within seconds, at once where Spark is gone."""
        with contextlib.suppress(Exception):
            self._spark.sparkContext.cancelJobGroup(self._group)

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end of a canceled wave and its tasks, which may still write files.

        It is canceled again and again: Spark forgets that of a job that it did not have yet.
        """
        deadline = time.monotonic() + timeout_seconds
        while not self._over.wait(_CANCEL_AGAIN_SECONDS):
            if time.monotonic() > deadline:
                return
            self.cancel()
        with contextlib.suppress(Exception):
            left = max(0.0, deadline - time.monotonic())
            wait_for_tasks(self._spark.sparkContext, self._group, left)

    def release(self) -> None:
        """Free what Spark keeps for the wave; PySpark never forgets an accumulator."""
        self._accumulator.value = {}
        with contextlib.suppress(Exception):
            self._broadcast.destroy()

    def _run(self) -> None:
        try:
            context = self._spark.sparkContext
            description = f"{len(self.tasks)} tasks of job {self._context.scoring.job_name}"
            context.setJobGroup(self._group, description, interruptOnCancel=False)
            if self._context.shipped is None:
                self._score()
            else:
                self._score_relayed()
        except BaseException as error:
            self.error = error
        finally:
            self._over.set()
            self._ended.set()

    def _score(self) -> None:
        """Tasks write what they score to the wave's folder, which they share with the driver."""
        (
            self._apply(self._spark, STAGED_DDL)
            .write.options(**STAGED_WRITER_OPTIONS)
            .mode("overwrite")
            .parquet(self.folder.as_uri())
        )

    def _score_relayed(self) -> None:
        collect_wave(
            self._apply(open_relay_session(self._spark), RELAYED_DDL),
            tasks=self.tasks,
            wave_folder=self.folder,
            files=self._files,
        )

    def _apply(self, spark: SparkSession, schema: str) -> DataFrame:
        count = len(self.tasks)
        score = partial(score_partition, context=self._context)
        return spark.range(0, count, 1, count).mapInArrow(score, schema)


def _read_outcome(text: str) -> MiniBatchOutcome:
    return codec.from_json(MiniBatchOutcome, text, where="outcome")


def task_text(plan: ScoringPlan, task: TaskRange) -> str:
    """The mini-batches of a task as its worker reads them; see ``score_task``."""
    return json.dumps(
        [
            (mini_batch.mini_batch_id, mini_batch.paths, mini_batch.etags)
            for mini_batch in plan.iter_mini_batches(task.mini_batch_ids)
        ]
    )
