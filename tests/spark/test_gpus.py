"""GPUs that Spark hands out: a cluster whose workers find two devices that do not exist."""

from __future__ import annotations

import csv
import itertools
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.spark.clusters import SPARK_HOME, cluster_environment
from tests.spark.test_cluster import sparkscore

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

DEPLOYMENT = """\
name: devices
endpoint_name: files
model: {path: ./model.txt}
code_configuration: {code: ./code, scoring_script: score.py}
resources: {instance_count: 1, gpus: 2}
max_concurrency_per_instance: 2
mini_batch_size: 1
checkpoint_interval: 1
output_header: true
"""
SCRIPT = """\
import os, time

def init():
    global device
    device = os.environ["CUDA_VISIBLE_DEVICES"]

def run(batch):
    began = time.time()
    time.sleep(0.1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == device
    return [{"device": device, "process": os.getpid(), "began": began, "ended": time.time()}]
"""
FIND_GPUS = """\
#!/bin/sh
echo '{"name": "gpu", "addresses": ["0", "1"]}'
"""


def test_gpus__each_script_host_sees_its_own(tmp_path: Path) -> None:
    folder = write_project(tmp_path)
    finder = tmp_path / "find-gpus"
    finder.write_text(FIND_GPUS)
    finder.chmod(0o755)
    sparkscore(
        folder,
        *("compile", "--file", "deployment.yml", "--target", "spark-submit", "-o", "compiled"),
        *("--input", "in", "--output-path", "out"),
    )
    done = subprocess.run(
        [
            *(folder / "compiled" / "submit.sh", "local-cluster[1,2,1024]"),
            *("--conf", "spark.worker.resource.gpu.amount=2"),
            *("--conf", f"spark.worker.resource.gpu.discoveryScript={finder}"),
        ],
        env={
            **cluster_environment(),
            "SPARK_SUBMIT": str(SPARK_HOME / "bin" / "spark-submit"),
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_WORKER_DIR": str(tmp_path / "work"),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    with open(folder / "out" / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    check_devices(rows)


def write_project(folder: Path) -> Path:
    (folder / "deployment.yml").write_text(DEPLOYMENT)
    (folder / "model.txt").write_text("")
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "in").mkdir()
    for number in range(16):
        (folder / "in" / f"{number:02d}.txt").write_text("x")
    return folder


def check_devices(rows: list[dict[str, str]]) -> None:
    """Each process had one device for all its life, and no two had the same at once."""
    devices: dict[str, set[str]] = defaultdict(set)
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        devices[row["process"]].add(row["device"])
        times[row["device"]].append((float(row["began"]), float(row["ended"])))
    assert set(times) == {"0", "1"}
    assert [seen for seen in devices.values() if len(seen) != 1] == []
    for spans in times.values():
        spans.sort()
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))
