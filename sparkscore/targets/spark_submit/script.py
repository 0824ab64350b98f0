"""The ``submit.sh`` of a compiled folder: one script for every kind of master. Pure.

Control plane writes it; whoever submits the job runs it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from sparkscore.plan.spark_application import DELTA_CONF, YARN_CONF, SparkApplication

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
GPU_SCRIPT = "find_gpus.sh"
IMAGE_ENTRY = "local:///opt/sparkscore/jobs/score.py"
"""The driver's file in the image of docker/, which holds sparkscore."""
IMAGE_GPU_SCRIPT = "/opt/spark/examples/src/main/scripts/getGpusResources.sh"

GPU_DISCOVERY = "spark.executor.resource.gpu.discoveryScript"
GPU_VENDOR = "spark.executor.resource.gpu.vendor"

FIND_GPUS = """\
#!/bin/sh
# Prints the GPUs of this machine the way Spark asks for them. Needs nvidia-smi.
set -eu
indices=$(nvidia-smi --query-gpu=index --format=csv,noheader)
list=
for index in $indices; do
  list="$list${list:+, }\\"$index\\""
done
printf '{"name": "gpu", "addresses": [%s]}\\n' "$list"
"""

_HEAD = """\
#!/bin/sh
# Submits job @name@ with spark-submit.
set -eu

usage() {
  cat <<'END'
Usage: submit.sh @usage@ [client|cluster] [OPTION...]

MASTER is where the job runs@default_text@:
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
@variables@
  SPARKSCORE_IMAGE            k8s: container image, required
  SPARKSCORE_NAMESPACE        k8s: namespace, default if not given
  SPARKSCORE_SERVICE_ACCOUNT  k8s: service account of the driver, default if not given
END
}

fail() {
  printf 'submit.sh: %s\\n\\n' "$1" >&2
  usage >&2
  exit 2
}

folder=$(cd "$(dirname "$0")" && pwd)
"""

_READ_ARGUMENTS = """\
case ${1-} in
  -h | --help)
    usage
    exit
    ;;
esac
@read_master@
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
  spark://* | local | local\\[* | local-cluster\\[*)
    [ "$mode" = client ] || fail "$master runs Python drivers in client mode only"
@standalone@
    ;;
  yarn)
    [ -n "${HADOOP_CONF_DIR-}${YARN_CONF_DIR-}" ] || fail 'yarn needs HADOOP_CONF_DIR'
@yarn@
    ;;
  k8s://*)
    [ -n "${SPARKSCORE_IMAGE-}" ] || fail 'k8s needs SPARKSCORE_IMAGE'
    set -- \\
      --conf "spark.kubernetes.container.image=$SPARKSCORE_IMAGE" \\
      --conf "spark.kubernetes.namespace=${SPARKSCORE_NAMESPACE:-default}" \\
      --conf "spark.kubernetes.authenticate.driver.serviceAccountName=\\
${SPARKSCORE_SERVICE_ACCOUNT:-default}" \\
      "$@"
@kubernetes@
    if [ "$mode" = cluster ]; then
      [ -n "${SPARKSCORE_STAGING-}" ] || fail 'cluster mode on k8s needs SPARKSCORE_STAGING'
      score=@image_entry@
      packages=
@image_delta@
    fi
    ;;
  *) fail "$master is no master" ;;
esac
[ -z "$packages" ] || set -- --py-files "$packages" "$@"
"""

_READ_MASTER = """\
case ${1-} in
  '') fail 'MASTER is missing' ;;
esac
master=$1
shift"""

_READ_MASTER_OR_DEFAULT = """\
master=@master@
case ${1-} in
  *://* | yarn | local | local\\[* | local-cluster\\[*)
    master=$1
    shift
    ;;
esac"""

_FIND_SUBMIT = """\
submit=${SPARK_SUBMIT:-spark-submit}
command -v "$submit" >/dev/null || {
  printf 'submit.sh: there is no program %s: set SPARK_SUBMIT to the spark-submit of a Spark, ' \\
    "$submit" >&2
  printf '%s\\n' 'which lies in its folder bin, or put that folder on the PATH' >&2
  exit 3
}
"""

_DELTA_VARIABLE = (
    "  SPARKSCORE_DELTA            Maven name of Delta's jars; empty if the cluster has them, as\n"
    "                              the image has in cluster mode on k8s"
)
_IMAGE_DELTA = '      : "${SPARKSCORE_DELTA=}"  # the image has Delta\'s jars'

_FLAGS = {
    "spark.driver.memory": "--driver-memory",
    "spark.executor.memory": "--executor-memory",
    "spark.executor.cores": "--executor-cores",
    "spark.executor.instances": "--num-executors",
}
_OWN = {"spark.app.name", "spark.cores.max"}


def render_submit_script(application: SparkApplication, *, default_master: str | None) -> str:
    """The script; ``default_master`` is used where its user names none."""
    quoted = shlex.quote(default_master or "")
    read_master = _READ_MASTER_OR_DEFAULT if default_master else _READ_MASTER
    uses_delta = DELTA_CONF["spark.sql.extensions"] in application.conf.get(
        "spark.sql.extensions", ""
    )
    script = _HEAD + _READ_ARGUMENTS + (_render_delta() if uses_delta else "")
    values = {
        "read_master": read_master.replace("@master@", quoted),
        "name": " ".join(application.name.split()),
        "usage": "[MASTER]" if default_master else "MASTER",
        "default_text": f", {default_master} if it is left out" if default_master else "",
        "variables": _DELTA_VARIABLE if uses_delta else "",
        "image_entry": IMAGE_ENTRY,
        "image_delta": _IMAGE_DELTA if uses_delta else "",
        **_get_branches(application),
    }
    return f"{_fill(script, values)}\n{_render_command(application)}"


def get_gpu_files(application: SparkApplication) -> dict[str, str]:
    """The script that finds GPUs where the cluster has none of its own."""
    return {GPU_SCRIPT: FIND_GPUS} if application.resources.gpus_per_executor else {}


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Put the values into the places ``@name@``; a line with nothing in its place goes."""
    filled = re.sub(r"@(\w+)@", lambda place: values[place[1]] or "\0", template)
    return re.sub(r"^\0\n", "", filled, flags=re.MULTILINE).replace("\0", "")


def _get_branches(application: SparkApplication) -> dict[str, str]:
    """Lines of the script for each kind of master."""
    cores = application.conf.get("spark.cores.max")
    standalone = _render_set([f"--total-executor-cores {shlex.quote(cores)}"]) if cores else ""
    yarn = [f"--conf {key}={value}" for key, value in YARN_CONF.items()]
    if not application.resources.gpus_per_executor:
        return {"standalone": standalone, "yarn": _render_set(yarn), "kubernetes": ""}
    if GPU_DISCOVERY not in application.conf:
        yarn += [f'--files "$folder/{GPU_SCRIPT}"', f"--conf {GPU_DISCOVERY}=./{GPU_SCRIPT}"]
    in_image = {GPU_VENDOR: "nvidia.com", GPU_DISCOVERY: IMAGE_GPU_SCRIPT}
    found_by_kubernetes = [
        f"--conf {key}={value}" for key, value in in_image.items() if key not in application.conf
    ]
    return {
        "standalone": standalone,
        "yarn": _render_set(yarn),
        "kubernetes": _render_set(found_by_kubernetes) if found_by_kubernetes else "",
    }


def _render_set(options: list[str]) -> str:
    return " \\\n      ".join(["    set --", *options, '"$@"'])


def _render_delta() -> str:
    return (
        f"delta=${{SPARKSCORE_DELTA-{DELTA_PACKAGE}}}\n"
        '[ -z "$delta" ] || set -- --packages "$delta" "$@"\n'
    )


def _render_command(application: SparkApplication) -> str:
    lines = [
        'exec "$submit"',
        '--master "$master"',
        '--deploy-mode "$mode"',
        f"--name {shlex.quote(application.name)}",
        *_render_options(application),
        '"$@"',
        '"$score" "$launch"',
    ]
    return _FIND_SUBMIT + " \\\n  ".join(lines) + "\n"


def _render_options(application: SparkApplication) -> Iterable[str]:
    """Resources by their own flags, all else as it stands in the application."""
    for key, flag in _FLAGS.items():
        if key in application.conf:
            yield f"{flag} {shlex.quote(application.conf[key])}"
    for key, value in sorted(application.conf.items()):
        if key not in _FLAGS and key not in _OWN:
            yield f"--conf {shlex.quote(f'{key}={value}')}"
