"""Spark properties that would break the account are refused, others are not."""

from __future__ import annotations

import pytest

from sparkscore.spec import refused_spark_conf

REFUSED = [
    ("spark.master", "local[2]"),
    ("spark.app.name", "x"),
    ("spark.submit.deployMode", "cluster"),
    ("spark.submit.pyFiles", "x.zip"),
    ("spark.remote", "sc://host"),
    ("spark.connect.grpc.binding.port", "15002"),
    ("spark.api.mode", "connect"),
    ("spark.python.use.daemon", "false"),
    ("spark.python.worker.reuse", "false"),
    ("spark.python.factory.idleWorkerMaxPoolSize", "0"),
    ("spark.python.daemon.module", "mine"),
    ("spark.python.worker.module", "mine"),
    ("spark.python.worker.killOnIdleTimeout", "true"),
    ("spark.sql.execution.pyspark.udf.killOnIdleTimeout", "TRUE"),
    ("spark.task.maxFailures", "3"),
    ("spark.task.maxFailures", "many"),
    ("spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version", "2"),
    ("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", "false"),
    ("spark.sql.sources.commitProtocolClass", "x"),
    ("spark.sql.sources.outputCommitterClass", "x"),
    ("spark.sql.parquet.output.committer.class", "x"),
    ("spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a", "x"),
    ("spark.hadoop.mapred.output.committer.class", "x"),
    ("spark.sql.files.maxRecordsPerFile", "10"),
    ("spark.sql.files.ignoreCorruptFiles", "true"),
    ("spark.sql.files.ignoreMissingFiles", "true"),
    ("spark.files.ignoreCorruptFiles", "true"),
    ("spark.files.ignoreMissingFiles", "true"),
    ("spark.sql.parquet.binaryAsString", "true"),
    ("spark.sql.sources.partitionOverwriteMode", "dynamic"),
    ("spark.sql.storeAssignmentPolicy", "LEGACY"),
    ("spark.databricks.delta.write.txnAppId", "x"),
    ("spark.databricks.delta.write.txnVersion", "1"),
    ("spark.databricks.delta.write.txnVersion.autoReset.enabled", "true"),
    ("spark.jobGroup.id", "x"),
    ("spark.job.interruptOnCancel", "true"),
    ("mapreduce.fileoutputcommitter.algorithm.version", "2"),
    ("spark.", "x"),
    ("", "x"),
    (" spark.master", "x"),
    ("spark.a b", "x"),
]

ALLOWED = [
    ("spark.speculation", "true"),
    ("spark.sql.shuffle.partitions", "8"),
    ("spark.sql.execution.arrow.maxRecordsPerBatch", "1"),
    ("spark.executorEnv.OMP_NUM_THREADS", "2"),
    ("spark.executor.memory", "4g"),
    ("spark.executor.instances", "3"),
    ("spark.jars.packages", "a:b:1"),
    ("spark.hadoop.fs.s3a.endpoint", "http://localhost:9000"),
    ("spark.task.maxFailures", "8"),
    ("spark.python.worker.reuse", "true"),
    ("spark.python.worker.killOnIdleTimeout", "false"),
    ("spark.python.factory.idleWorkerMaxPoolSize", "4"),
    ("spark.sql.files.maxRecordsPerFile", "0"),
    ("spark.api.mode", "classic"),
    ("spark.masterx", "y"),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_spark_conf__refused_with_a_reason(key, value):
    [(refused, why)] = refused_spark_conf({key: value})
    assert refused == key
    assert len(why) > 20


@pytest.mark.parametrize(("key", "value"), ALLOWED)
def test_spark_conf__allowed(key, value):
    assert refused_spark_conf({key: value}) == []


def test_spark_conf__several_are_sorted_by_key():
    conf = {"spark.master": "x", "spark.executor.cores": "2", "spark.app.name": "y"}
    assert [key for key, _ in refused_spark_conf(conf)] == ["spark.app.name", "spark.master"]
