"""Compiling a registered deployment: target and compute fit before the input is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.endpoints.job_plan import compile_job
from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, PlanError, UnknownTargetError
from tests.control.compile_samples import COMPUTES
from tests.control.endpoints.samples import deployment

DATABRICKS = COMPUTES / "databricks.yml"


def compile_mood(
    workspace: Workspace, place: Path, target: str, *, file: Path | None = None, **asked: Any
) -> dict[str, Any]:
    """The launch message of the compiled folder."""
    request = InvokeRequest(**{"input": "in", **asked})
    folder = place / "compiled"
    compile_job(workspace, "mood", request, target=target, folder=folder, compute_file=file)
    launch: dict[str, Any] = json.loads((folder / "launch.json").read_text())
    return launch


@pytest.fixture
def on_databricks(workspace: Workspace) -> Workspace:
    """The workspace with a deployment whose own compute is ``dbx``."""
    workspace.computes.create(DATABRICKS)
    workspace.batch_endpoints.create(name="mood")
    workspace.batch_deployments.create(deployment("first", compute="azureml:dbx"), set_default=True)
    return workspace


def test_compile_job__compute_of_another_target(on_databricks: Workspace, place: Path) -> None:
    with pytest.raises(PlanError) as caught:
        compile_mood(on_databricks, place, "spark-submit", compute="dbx")
    assert caught.value.condition == "COMPUTE_MISMATCH"


def test_compile_job__deployments_own_compute_of_another_target(
    on_databricks: Workspace, place: Path
) -> None:
    launch = compile_mood(on_databricks, place, "spark-submit")
    assert launch["input"]["uri"] == str(place / "in")
    assert "spark.speculation" not in (place / "compiled" / "submit.sh").read_text()


def test_compile_job__unknown_target(on_databricks: Workspace, place: Path) -> None:
    with pytest.raises(UnknownTargetError) as caught:
        compile_mood(on_databricks, place, "spark")
    assert caught.value.attributes["nearest"] == "spark-submit"


def test_compile_job__instance_count_beyond_a_file(on_databricks: Workspace, place: Path) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        compile_mood(on_databricks, place, "databricks", file=DATABRICKS, instance_count=9)
    assert caught.value.condition == "INSTANCE_COUNT_OUT_OF_RANGE"


def test_compile_job__volume_as_the_platforms_own_command_writes_it(
    on_databricks: Workspace, place: Path
) -> None:
    launch = compile_mood(
        on_databricks, place, "databricks", input="dbfs:/Volumes/a/b/in", output_path="dbfs:/out"
    )
    assert launch["input"]["uri"] == "/Volumes/a/b/in"
    assert launch["output"]["path"] == "/dbfs/out"
