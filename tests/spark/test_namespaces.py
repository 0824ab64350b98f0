"""A cluster that shares nothing: two workers with a network and file systems of their own, inputs
and outputs on S3, and a Python that has neither sparkscore nor s3fs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import sparkscore
from sparkscore.control import InvokeRequest, Job, Workspace
from sparkscore.storage import open_store
from tests.servers.s3 import s3_server
from tests.servers.store import StoreServer
from tests.spark.clusters import Cluster
from tests.spark.namespaces import Network, make_bare_python, open_network

pytestmark = pytest.mark.cluster

SCRIPT = """
import importlib.util
import os
import naming
import pandas as pd

def init():
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as model:
        naming.factor = float(model.read())
    print("init", flush=True)

def run(batch):
    seen = len(os.listdir(os.environ["HIDDEN"]))
    found = [name for name in ("sparkscore.control", "s3fs", "pyspark") if is_here(name)]
    rows = [naming.row(path) for path in batch]
    return pd.DataFrame(rows).assign(seen=seen, found=" ".join(found) or "none")

def is_here(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
"""
HELPER = """
import os

def row(path):
    if path.endswith("17.txt"):
        raise ValueError(path)
    with open(path) as file:
        return {"file": os.path.basename(path), "score": len(file.read()) * factor}
"""
INPUTS = 40
ROWS = [(f"{n:02d}.txt", n / 2) for n in range(INPUTS) if n != 17]


@dataclass(frozen=True)
class Place:
    """A workspace whose compute ``far`` is the cluster."""

    workspace: Workspace
    inputs: Path
    store: StoreServer
    network: Network


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with open_network(2) as opened:
        yield opened


@pytest.fixture(scope="module")
def store(network: Network) -> Iterator[StoreServer]:
    with s3_server(host=network.own_address) as server:
        yield server


@pytest.fixture(scope="module")
def own_folder() -> Iterator[Path]:
    """A folder that the workers keep; all that tests use elsewhere is hidden from them."""
    folder = Path(tempfile.mkdtemp(prefix="sparkscore-machines-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    (package,) = sparkscore.__path__
    return [Path(package), tmp_path_factory.getbasetemp().parent]


@pytest.fixture(scope="module")
def master(
    network: Network, store: StoreServer, own_folder: Path, hidden: list[Path]
) -> Iterator[str]:
    variables = {**store.environment, "SPARK_NO_DAEMONIZE": "1"}
    cluster = Cluster(own_folder, network=network.prefix, first_worker=2, variables=variables)
    try:
        cluster.start(workers=0)
        for machine in network.machines:
            cluster.start_worker(by=machine.command(hidden))
        cluster.wait_for_workers(len(network.machines))
        yield cluster.url
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def place(
    master: str,
    network: Network,
    store: StoreServer,
    own_folder: Path,
    hidden: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "sparkscore.toml").write_text(
        f'[datastore]\nuri = "{store.uri}/kept"\n[mlflow]\nlog_jobs = false\n'
    )
    with pytest.MonkeyPatch.context() as patch, closing(Workspace.open(folder)) as workspace:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        workspace.computes.create(
            {
                "name": "far",
                "type": "spark",
                "master": master,
                "shared_paths": False,
                "spark_conf": {
                    "spark.driver.host": network.own_address,
                    "spark.pyspark.python": str(make_bare_python(own_folder / "python")),
                },
            }
        )
        workspace.batch_endpoints.create(name="files")
        make_deployment(workspace, folder, hidden=hidden[-1])
        yield Place(workspace, make_inputs(folder / "in"), store, network)


def make_deployment(workspace: Workspace, folder: Path, *, hidden: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "code" / "naming.py").write_text(HELPER)
    (folder / "model.txt").write_text("0.5")
    workspace.batch_deployments.create(
        {
            "name": "sizes",
            "endpoint_name": "files",
            "model": {"path": str(folder / "model.txt")},
            "code_configuration": {"code": str(folder / "code"), "scoring_script": "score.py"},
            "resources": {"instance_count": 2},
            "compute": "azureml:far",
            "mini_batch_size": 3,
            "retry_settings": {"max_retries": 0, "timeout": 30},
            "environment_variables": {"HIDDEN": str(hidden)},
        },
        set_default=True,
    )


def make_inputs(folder: Path) -> Path:
    folder.mkdir()
    for number in range(INPUTS):
        (folder / f"{number:02d}.txt").write_text("x" * number)
    return folder


def invoke(place: Place, name: str, *overrides: str) -> Job:
    request = InvokeRequest(input=str(place.inputs), job_name=name, overrides=overrides)
    job = place.workspace.batch_endpoints.invoke("files", request).wait(240)
    log = Path(job.record.folder, "logs", "driver.log")
    assert job.status == "Completed", (job.record.error, log.read_text()[-3000:])
    return job


def read_store(place: Place, uri: str) -> dict[str, bytes]:
    files, root = open_store(uri, place.store.options)
    return {path.removeprefix(f"{root}/"): files.cat_file(path) for path in files.find(root)}


def test_cluster_that_shares_nothing__scores_to_a_file(place: Place) -> None:
    job = invoke(place, "far-csv")
    summary = job.to_dict()["summary"] if "summary" in job.to_dict() else read_summary(job)
    assert summary["inputs"] == {"total": INPUTS, "succeeded": INPUTS - 1, "failed": 1}
    assert summary["worker_processes"] == 2
    files = read_store(place, summary["output"]["path"].rpartition("/")[0])
    lines = files["predictions.csv"].decode().splitlines()
    assert lines[0] == "file,score,seen,found"
    assert lines[1:] == [f"{name},{score},0,none" for name, score in ROWS]
    logs = list(Path(job.record.folder, "logs", "user", "stdout").rglob("*.txt"))
    assert len(logs) == 2
    assert all("[init] init" in log.read_text() for log in logs)


def read_summary(job: Job) -> Any:
    import json

    return json.loads(Path(job.record.folder, "summary.json").read_text())


def test_cluster_that_shares_nothing__scores_to_a_delta_table(place: Place) -> None:
    job = invoke(place, "far-table", "output_format=delta")
    output = read_summary(job)["output"]
    assert output["path"].startswith(place.store.uri)
    files = read_store(place, output["path"])
    assert sorted(name.rpartition(".")[2] for name in files) == ["json", "parquet"]
    assert b'"numOutputRows": "39"' in files["_delta_log/00000000000000000000.json"]
