#!/bin/sh
# Usage: submit.sh spark://HOST:PORT
# Driver and workers must see this folder, the input, the job folder and the output.
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
exec "${SPARK_SUBMIT:-spark-submit}" --master "${1:?usage: submit.sh spark://HOST:PORT}" \
  --conf spark.app.name=nightly \
  --conf spark.cores.max=2 \
  --conf spark.databricks.delta.snapshotPartitions=2 \
  --conf spark.executor.cores=2 \
  --conf spark.executor.instances=1 \
  --conf spark.executor.memory=2g \
  --conf spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version=1 \
  --conf spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs=true \
  --conf spark.python.unix.domain.socket.enabled=true \
  --conf spark.python.use.daemon=true \
  --conf spark.python.worker.reuse=true \
  --conf spark.scheduler.mode=FIFO \
  --conf spark.sql.execution.arrow.maxRecordsPerBatch=10000 \
  --conf spark.sql.shuffle.partitions=4 \
  --conf spark.task.maxFailures=4 \
  --conf spark.ui.showConsoleProgress=false \
  --py-files "$folder/sparkscore.zip" \
  "$folder/score.py" "$folder/launch.json"
