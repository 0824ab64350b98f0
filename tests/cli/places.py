"""A workspace with a model, a compute and data, and files beside it, for commands to work on."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.workspace import Workspace
from tests.control.samples import make_quiet_workspace, write_deployment

COMPUTE = "cpu-cluster"
ENDPOINT = "mood"

FLAT_DEPLOYMENT = f"""\
$schema: https://azuremlschemas.azureedge.net/latest/batchDeployment.schema.json
name: first
endpoint_name: {ENDPOINT}
description: the layout of 2021
model: azureml:weights:1
code_configuration:
  code:
    local_path: ./code
  scoring_script: score.py
environment:
  conda_file: ./conda.yml
  image: python:3.11
compute: azureml:{COMPUTE}
resources:
  instance_count: 1
max_concurrency_per_instance: 2
mini_batch_size: 4
output_action: append_row
output_file_name: moods.csv
retry_settings:
  max_retries: 1
  timeout: 45
error_threshold: 5
logging_level: INFO
environment_variables:
  MOOD: good
"""

NESTED_DEPLOYMENT = f"""\
$schema: https://azuremlschemas.azureedge.net/latest/modelBatchDeployment.schema.json
type: model
name: second
endpoint_name: {ENDPOINT}
description: the later layout
tags: {{team: a}}
properties: {{cost: low}}
model: azureml:weights@latest
code_configuration: {{code: ./code, scoring_script: score.py}}
compute: azureml:{COMPUTE}
resources: {{instance_count: 1, instance_type: big}}
settings:
  max_concurrency_per_instance: 1
  mini_batch_size: 2
  output_action: append_row
  output_file_name: other.csv
  retry_settings: {{max_retries: 0, timeout: 20}}
  error_threshold: -1
  logging_level: info
  environment_variables: {{MOOD: bad}}
"""

ENDPOINT_FILE = f"""\
$schema: https://azuremlschemas.azureedge.net/latest/batchEndpoint.schema.json
name: {ENDPOINT}
description: how texts feel
auth_mode: aad_token
tags: {{team: a}}
"""


def make_template(folder: Path) -> None:
    """Files and workspace ``ws``; the model is registered, which is slow the first time."""
    write_deployment(folder)
    (folder / "deployment.yml").write_text(FLAT_DEPLOYMENT, encoding="utf-8")
    (folder / "second.yml").write_text(NESTED_DEPLOYMENT, encoding="utf-8")
    (folder / "endpoint.yml").write_text(ENDPOINT_FILE, encoding="utf-8")
    (folder / "conda.yml").write_text("dependencies: [python=3.11]\n", encoding="utf-8")
    workspace = Workspace.open(make_quiet_workspace(folder / "ws"))
    workspace.models.create(name="weights", version="1", path=str(folder / "model"))
    workspace.computes.create(name=COMPUTE, type="amlcompute", min_instances=0, max_instances=5)
    workspace.data.create(name="texts", version="1", path=str(folder / "in"))
    workspace.close()


def kill_jobs(workspace: Workspace) -> None:
    """End the processes of jobs that still run."""
    with workspace.store.reading() as reader:
        records = reader.list_jobs()
    for record in records:
        for process in (record.launcher, record.driver):
            if process is not None and is_alive(process):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.process_id, signal.SIGKILL)
