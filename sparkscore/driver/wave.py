"""One wave: a Spark job that scores some tasks and stages their rows. Spark driver process."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyspark import InheritableThread
from pyspark.sql import SparkSession

from sparkscore.driver.counts import Counts
from sparkscore.driver.spark_jobs import wait_for_tasks
from sparkscore.driver.staging import STAGED_DDL, STAGED_WRITER_OPTIONS
from sparkscore.executor.task import FinishedParam, TaskContext, score_partition
from sparkscore.messages import codec
from sparkscore.messages.outcome import MiniBatchOutcome
from sparkscore.plan.scoring_plan import ScoringPlan
from sparkscore.plan.waves import TaskRange


@dataclass(frozen=True)
class WaveTemplate:
    """What all waves of a job share; see ``TaskContext``."""

    spark: SparkSession
    context: TaskContext
    job_name: str


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
        self.finished: dict[int, MiniBatchOutcome] = {}
        self.counts = Counts()
        self._spark = template.spark
        self._group = f"sparkscore {template.job_name} wave {number}"
        context = self._spark.sparkContext
        self._accumulator: Any = context.accumulator({}, FinishedParam())  # type: ignore[arg-type]
        self._broadcast = context.broadcast([task_text(plan, task) for task in tasks])
        values = {**template.context.__dict__, **limits}
        values.update(wave=self._broadcast, finished=self._accumulator)
        self._context = TaskContext(**values)
        self._thread = InheritableThread(target=self._run, session=self._spark)
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
        if len(arrived) == len(self.finished):
            return []
        texts = list(arrived.values())[len(self.finished) :]
        fresh = [codec.from_json(MiniBatchOutcome, text, where="outcome") for text in texts]
        for outcome in fresh:
            self.finished[outcome.mini_batch_id] = outcome
            self.counts.add(outcome)
        return fresh

    def cancel(self) -> None:
        """Ask Spark to end the job; it is over within seconds, at once where Spark is gone."""
        with contextlib.suppress(Exception):
            self._spark.sparkContext.cancelJobGroup(self._group)

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end of a canceled wave and its tasks, which may still write files."""
        deadline = time.monotonic() + timeout_seconds
        if self._over.wait(timeout_seconds):
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
            count = len(self.tasks)
            (
                self._spark.range(0, count, 1, count)
                .mapInArrow(partial(score_partition, context=self._context), STAGED_DDL)
                .write.options(**STAGED_WRITER_OPTIONS)
                .mode("overwrite")
                .parquet(self.folder.as_uri())
            )
        except BaseException as error:
            self.error = error
        finally:
            self._over.set()
            self._ended.set()


def task_text(plan: ScoringPlan, task: TaskRange) -> str:
    """The mini-batches of a task as its worker reads them; see ``score_task``."""
    return json.dumps(
        [
            (mini_batch.mini_batch_id, mini_batch.paths, mini_batch.etags)
            for mini_batch in plan.iter_mini_batches(task.mini_batch_ids)
        ]
    )
