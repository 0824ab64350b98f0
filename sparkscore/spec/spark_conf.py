"""Spark properties that would break the account of inputs, each with its reason. Any process.

Used for ``spark_conf`` in a deployment and for ``--conf``; standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

FEWEST_TASK_FAILURES = 4


def _never(_: str) -> bool:
    return False


def _only(*allowed: str) -> Callable[[str], bool]:
    return lambda value: value.strip().lower() in allowed


def _is_patient(value: str) -> bool:
    return re.fullmatch(r"\d{1,9}", value.strip()) is not None and (
        int(value) >= FEWEST_TASK_FAILURES
    )


def _is_positive(value: str) -> bool:
    return re.fullmatch(r"0*[1-9]\d{0,8}", value.strip()) is not None


@dataclass(frozen=True)
class Refusal:
    """Keys that are refused, by exact name or by prefix (ends in ``*``), unless ``accepts``."""

    keys: tuple[str, ...]
    why: str
    accepts: Callable[[str], bool] = _never

    def concerns(self, key: str) -> bool:
        """Whether ``key`` is one of these keys."""
        return any(
            key.startswith(name[:-1]) if name.endswith("*") else key == name for name in self.keys
        )


REFUSALS = (
    Refusal(
        ("spark.master", "spark.submit.deployMode"),
        "the compute decides where a job runs: use --compute",
    ),
    Refusal(("spark.app.name",), "the application carries the job's name, by which it is found"),
    Refusal(
        ("spark.submit.pyFiles",), "it would replace the sparkscore sources that workers import"
    ),
    Refusal(
        ("spark.remote", "spark.connect.*"),
        "failed inputs are counted by accumulators, which Spark Connect does not have",
    ),
    Refusal(
        ("spark.api.mode",),
        "failed inputs are counted by accumulators, which Spark Connect does not have",
        _only("classic"),
    ),
    Refusal(
        ("spark.python.use.daemon", "spark.python.worker.reuse"),
        "without reused Python workers init() would run again for each task",
        _only("true"),
    ),
    Refusal(
        ("spark.python.factory.idleWorkerMaxPoolSize",),
        "without idle Python workers init() would run again for each task",
        _is_positive,
    ),
    Refusal(
        ("spark.python.daemon.module", "spark.python.worker.module"),
        "script hosts and their clean-up rely on Spark's own Python daemon and worker",
    ),
    Refusal(
        (
            "spark.python.worker.killOnIdleTimeout",
            "spark.sql.execution.pyspark.udf.killOnIdleTimeout",
        ),
        "a worker is silent while a long mini-batch runs and would be killed: use "
        "retry_settings.timeout",
        _only("false"),
    ),
    Refusal(
        ("spark.task.maxFailures",),
        f"with fewer than {FEWEST_TASK_FAILURES} attempts per task a few lost workers would end "
        "the job",
        _is_patient,
    ),
    Refusal(
        ("spark.hadoop.mapreduce.fileoutputcommitter.*",),
        "a wave counts as committed by the default committer's _SUCCESS; any other algorithm lets "
        "rows of killed attempts through",
    ),
    Refusal(
        (
            "spark.sql.sources.commitProtocolClass",
            "spark.sql.sources.outputCommitterClass",
            "spark.sql.parquet.output.committer.class",
            "spark.hadoop.mapreduce.outputcommitter.*",
            "spark.hadoop.mapred.output.committer.class",
        ),
        "a wave counts as committed by the default committer's _SUCCESS; another committer could "
        "lose or repeat rows",
    ),
    Refusal(
        ("spark.sql.files.maxRecordsPerFile",),
        "it would tear the staged results of one mini-batch into several files",
        _only("0", "-1"),
    ),
    Refusal(
        (
            "spark.sql.files.ignoreCorruptFiles",
            "spark.sql.files.ignoreMissingFiles",
            "spark.files.ignoreCorruptFiles",
            "spark.files.ignoreMissingFiles",
        ),
        "staged results that cannot be read would be left out silently",
        _only("false"),
    ),
    Refusal(
        ("spark.sql.parquet.binaryAsString",),
        "staged results are binary and would be read as text",
        _only("false"),
    ),
    Refusal(
        ("spark.sql.sources.partitionOverwriteMode",),
        "output_mode: overwrite would leave old rows in partitions without new ones",
        _only("static"),
    ),
    Refusal(
        ("spark.sql.storeAssignmentPolicy",),
        "results that do not fit a table's column would become null silently",
        _only("ansi", "strict"),
    ),
    Refusal(
        ("spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion*"),
        "the job's own transaction number makes a repeated publish write nothing twice",
    ),
    Refusal(
        ("spark.jobGroup.*", "spark.job.*"),
        "cancel and the stop at error_threshold work by the job groups that sparkscore sets",
    ),
)


def refused_spark_conf(conf: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each key of ``conf`` that is refused, with the reason; sorted by key."""
    return sorted(
        (key, why) for key, value in conf.items() for why in _iter_reasons(key, value=str(value))
    )


def _iter_reasons(key: str, *, value: str) -> Iterator[str]:
    if not re.fullmatch(r"spark\.\S+", key):
        yield "Spark reads only keys that start with `spark.` and hold no blanks"
        return
    for refusal in REFUSALS:
        if refusal.concerns(key) and not refusal.accepts(value):
            yield refusal.why
            return
