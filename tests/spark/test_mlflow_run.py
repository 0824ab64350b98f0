"""What MLflow's own client finds of a real job: settings, counts over time, files, links."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from sparkscore.control import InvokeRequest, Job, Workspace
from sparkscore.control.jobs.mlflow_run import RUN_ID, SAMPLES_FILE
from tests.spark.drivers import wait_until

SCRIPT = """\
import os
import time

def init():
    pass

def run(mini_batch):
    while any(path.endswith("39.txt") for path in mini_batch) and os.path.exists({gate!r}):
        time.sleep(0.05)
    if any(path.endswith("03.txt") for path in mini_batch):
        raise ValueError("no score for this one")
    return [os.path.basename(path) for path in mini_batch]
"""
SETTINGS = {
    "mini_batch_size": 2,
    "error_threshold": -1,
    "retry_settings": {"max_retries": 0, "timeout": 240},
    "environment_variables": {"TOKEN": "nobody-must-see-this"},
}

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@dataclass(frozen=True)
class Logged:
    """A job that has ended, and its run in the workspace's own MLflow store."""

    job: Job
    run: Run
    client: MlflowClient

    @property
    def folder(self) -> Path:
        """The job folder."""
        return Path(self.job.record.folder)

    def read_artifact(self, name: str, folder: Path) -> str:
        """The text of a file of the run, by way of ``folder``."""
        path = self.client.download_artifacts(self.run.info.run_id, name, str(folder))
        return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """A job on forty inputs, one of which fails; it lasts until half-way counts were noted."""
    place = tmp_path_factory.mktemp("logged")
    for folder in ("in", "code"):
        (place / folder).mkdir()
    for number in range(40):
        (place / "in" / f"{number:02d}.txt").touch()
    gate = place / "gate"
    gate.touch()
    (place / "code" / "score.py").write_text(SCRIPT.format(gate=str(gate)))
    (place / "model.txt").write_text("1")
    deployment = {
        "name": "names-v1",
        "endpoint_name": "names",
        "model": {"path": str(place / "model.txt")},
        "code_configuration": {"code": str(place / "code"), "scoring_script": "score.py"},
        "settings": SETTINGS,
    }
    request = InvokeRequest(
        input=str(place / "in"),
        job_name="logged",
        experiment_name="nightly",
        output_path=str(place / "out"),
        compute="local[1]",
    )
    with closing(Workspace.open(place / "ws")) as workspace:
        workspace.batch_endpoints.create(name="names")
        workspace.batch_deployments.create(deployment, set_default=True)
        job = workspace.batch_endpoints.invoke("names", request)
        wait_until(lambda: list_counts(Path(job.record.folder))[-1] > 0, seconds=240)
        gate.unlink()
        job = job.wait(240)
        wait_until(lambda: RUN_ID in workspace.jobs.get("logged").record.properties, seconds=240)
        client = MlflowClient(tracking_uri=workspace.config.tracking_uri)
        yield Logged(
            job, client.get_run(workspace.jobs.get("logged").record.properties[RUN_ID]), client
        )


def list_counts(folder: Path) -> list[int]:
    """The finished mini-batches of each moment that the launcher has noted, 0 before the first.

    A moment that it has noted twice, as the job's status changed, is one point to MLflow.
    """
    samples = folder / SAMPLES_FILE
    lines = samples.read_text().splitlines() if samples.exists() else []
    noted = [json.loads(line) for line in lines if line.endswith("}")]
    moments = {(one["at"], one["mini_batches_done"]): None for one in noted}
    return [count for _, count in moments] or [0]


def test_run__of_a_real_job_has_its_settings_and_links(logged: Logged) -> None:
    run, job = logged.run, logged.job
    assert job.status == "Completed", job.record.error
    experiment = logged.client.get_experiment_by_name("nightly")
    assert experiment is not None
    assert run.info.experiment_id == experiment.experiment_id
    assert (run.info.status, run.info.run_name) == ("FINISHED", job.to_dict()["display_name"])
    plan = json.loads((logged.folder / "plan" / "plan.json").read_text())
    expected = {
        "plan_digest": plan["digest"],
        "settings.mini_batch_size": "2",
        "settings.error_threshold": "-1",
        "compute.master": "local[1]",
        "versions.spark": pyspark.__version__,
    }
    assert {name: run.data.params.get(name) for name in expected} == expected
    assert run.data.params["settings.environment_variables.TOKEN"] == "(not recorded)"
    assert "nobody-must-see-this" not in str(run.to_dictionary())
    expected = {
        "sparkscore.job": "logged",
        "sparkscore.endpoint": "names",
        "sparkscore.deployment": "names-v1",
        "sparkscore.status": "Completed",
        "sparkscore.output": str(logged.job.record.outputs["score"]["path"]),
    }
    assert {name: run.data.tags.get(name) for name in expected} == expected


def test_run__of_a_real_job_has_its_counts_over_time(logged: Logged) -> None:
    run, client = logged.run, logged.client
    expected: dict[str, Any] = {
        "inputs_total": 40,
        "inputs_succeeded": 39,
        "inputs_failed": 1,
        "mini_batches_total": 20,
        "rows": 39,
        "unprocessed_inputs": 0,
    }
    assert {name: run.data.metrics.get(name) for name in expected} == expected
    assert run.data.metrics["seconds_total"] > 0
    points = client.get_metric_history(run.info.run_id, "mini_batches_done")
    assert [point.value for point in points] == list_counts(logged.folder)
    assert any(0 < point.value < 20 for point in points)
    times = [run.info.start_time, *(point.timestamp for point in points), run.info.end_time]
    assert times == sorted(times)
    assert points[0].step == 0


def test_run__of_a_real_job_has_its_account(logged: Logged, tmp_path: Path) -> None:
    run_id = logged.run.info.run_id
    names = {artifact.path for artifact in logged.client.list_artifacts(run_id)}
    assert names == {"summary.json", "failed_inputs.csv", "output.json"}
    for name in ("summary.json", "failed_inputs.csv"):
        assert logged.read_artifact(name, tmp_path) == (logged.folder / name).read_text()
    assert "03.txt" in logged.read_artifact("failed_inputs.csv", tmp_path)
    output = json.loads(logged.read_artifact("output.json", tmp_path))
    assert output["job_folder"] == str(logged.folder)
    published = Path(output["published"]["path"])
    assert len(published.read_text().splitlines()) == 39 + 1
