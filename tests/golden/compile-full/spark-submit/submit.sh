#!/bin/sh
# Submits job nightly with spark-submit.
set -eu

usage() {
  cat <<'END'
Usage: submit.sh MASTER [client|cluster] [OPTION...]

MASTER is where the job runs:
  spark://HOST:PORT        a standalone cluster, client mode only
  yarn                     YARN; HADOOP_CONF_DIR names the folder with its configuration
  k8s://https://HOST:PORT  Kubernetes
  local[N]                 this machine, client mode only
client, which is the default, runs the driver here; cluster runs it in the cluster.
OPTION is any option of spark-submit, such as: --queue nightly --conf spark.ui.port=4050
An option given here replaces the script's own.

Driver and workers must see this folder at this path, and input and output, unless the folder
was copied to a store that the driver can read: then SPARKSCORE_STAGING is the copy's URI.

Variables:
  SPARK_SUBMIT                spark-submit to use, if it is not on the PATH
  PYSPARK_PYTHON              Python of the workers; it needs pandas and pyarrow
  SPARKSCORE_STAGING          URI of a copy of this folder
  SPARKSCORE_DELTA            Maven name of Delta's jars; empty if the cluster has them, as
                              the image has in cluster mode on k8s
  SPARKSCORE_IMAGE            k8s: container image, required
  SPARKSCORE_NAMESPACE        k8s: namespace, default if not given
  SPARKSCORE_SERVICE_ACCOUNT  k8s: service account of the driver, default if not given
END
}

fail() {
  printf 'submit.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

folder=$(cd "$(dirname "$0")" && pwd)
case ${1-} in
  -h | --help)
    usage
    exit
    ;;
esac
case ${1-} in
  '') fail 'MASTER is missing' ;;
esac
master=$1
shift
mode=client
case ${1-} in
  client | cluster)
    mode=$1
    shift
    ;;
esac

score=$folder/score.py
packages=$folder/sparkscore.zip
launch=${SPARKSCORE_STAGING:-$folder}/launch.json

# What one kind of master needs; the options given follow, so that they win.
case $master in
  spark://* | local | local\[* | local-cluster\[*)
    [ "$mode" = client ] || fail "$master runs Python drivers in client mode only"
    set -- \
      --total-executor-cores 6 \
      "$@"
    ;;
  yarn)
    [ -n "${HADOOP_CONF_DIR-}${YARN_CONF_DIR-}" ] || fail 'yarn needs HADOOP_CONF_DIR'
    set -- \
      --conf spark.python.unix.domain.socket.enabled=false \
      --files "$folder/find_gpus.sh" \
      --conf spark.executor.resource.gpu.discoveryScript=./find_gpus.sh \
      "$@"
    ;;
  k8s://*)
    [ -n "${SPARKSCORE_IMAGE-}" ] || fail 'k8s needs SPARKSCORE_IMAGE'
    set -- \
      --conf "spark.kubernetes.container.image=$SPARKSCORE_IMAGE" \
      --conf "spark.kubernetes.namespace=${SPARKSCORE_NAMESPACE:-default}" \
      --conf "spark.kubernetes.authenticate.driver.serviceAccountName=\
${SPARKSCORE_SERVICE_ACCOUNT:-default}" \
      "$@"
    set -- \
      --conf spark.executor.resource.gpu.vendor=nvidia.com \
      --conf spark.executor.resource.gpu.discoveryScript=/opt/spark/examples/src/main/scripts/getGpusResources.sh \
      "$@"
    if [ "$mode" = cluster ]; then
      [ -n "${SPARKSCORE_STAGING-}" ] || fail 'cluster mode on k8s needs SPARKSCORE_STAGING'
      score=local:///opt/sparkscore/jobs/score.py
      packages=
      : "${SPARKSCORE_DELTA=}"  # the image has Delta's jars
    fi
    ;;
  *) fail "$master is no master" ;;
esac
[ -z "$packages" ] || set -- --py-files "$packages" "$@"
delta=${SPARKSCORE_DELTA-io.delta:delta-spark_4.2_2.13:4.4.0}
[ -z "$delta" ] || set -- --packages "$delta" "$@"

submit=${SPARK_SUBMIT:-spark-submit}
command -v "$submit" >/dev/null || {
  printf 'submit.sh: there is no program %s: set SPARK_SUBMIT to the spark-submit of a Spark, ' \
    "$submit" >&2
  printf '%s\n' 'which lies in its folder bin, or put that folder on the PATH' >&2
  exit 3
}
exec "$submit" \
  --master "$master" \
  --deploy-mode "$mode" \
  --name nightly \
  --executor-memory 2g \
  --executor-cores 2 \
  --num-executors 3 \
  --conf spark.databricks.delta.snapshotPartitions=2 \
  --conf spark.executor.resource.gpu.amount=2 \
  --conf spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version=1 \
  --conf spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs=true \
  --conf spark.python.unix.domain.socket.enabled=true \
  --conf spark.python.use.daemon=true \
  --conf spark.python.worker.reuse=true \
  --conf spark.scheduler.mode=FIFO \
  --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog \
  --conf spark.sql.execution.arrow.maxRecordsPerBatch=10000 \
  --conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension \
  --conf spark.sql.shuffle.partitions=4 \
  --conf spark.task.maxFailures=4 \
  --conf spark.task.resource.gpu.amount=1 \
  --conf spark.ui.showConsoleProgress=false \
  "$@" \
  "$score" "$launch"
