"""A workspace that keeps data, models, results and job folders in S3: endpoint to download."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control import InvokeRequest, Workspace
from sparkscore.storage import open_store
from tests.servers.store import StoreServer

SCRIPT = """\
import os
from pathlib import Path

def init():
    global words
    words = Path(os.environ["AZUREML_MODEL_DIR"], "words", "good.txt").read_text().split()

def run(mini_batch):
    return [{"file": Path(path).name, "good": score(Path(path))} for path in mini_batch]

def score(path):
    return sum(word in words for word in path.read_text(encoding="utf-8").split())
"""

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.fixture
def workspace(
    s3_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace whose default datastore and job folders are in the bucket, with an endpoint."""
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "ws").mkdir()
    options = "".join(f'{key} = "{value}"\n' for key, value in s3_store.options.items())
    (tmp_path / "ws" / "sparkscore.toml").write_text(
        f'[datastore]\nuri = "{s3_store.uri}/team/data"\n{options}'
        f'[jobs]\nfolder = "{s3_store.uri}/team/jobs"\n'
        "[mlflow]\nlog_jobs = false\n"
    )
    s3_store.put("team/models/words/good.txt", b"good great")
    for name, text in {"a.txt": b"a good day", "b.txt": b"a day", "c.txt": b"\xff"}.items():
        s3_store.put(f"team/data/in/{name}", text)
    s3_store.put("team/data/in/_notes.md", b"hidden")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    opened = Workspace.open(tmp_path / "ws")
    opened.batch_endpoints.create(name="mood")
    opened.batch_deployments.create(
        {
            "name": "mood-v1",
            "endpoint_name": "mood",
            "model": {"path": f"{s3_store.uri}/team/models/words"},
            "code_configuration": {"code": str(tmp_path / "code"), "scoring_script": "score.py"},
            "mini_batch_size": 1,
            "retry_settings": {"max_retries": 0},
        },
        set_default=True,
    )
    yield opened
    for job in opened.jobs.list():
        if not job.is_ended:
            opened.jobs.cancel(job.name).wait(60)
    opened.close()


def test_workspace__data_model_results_and_job_folder_in_s3(
    workspace: Workspace, s3_store: StoreServer, tmp_path: Path
) -> None:
    request = InvokeRequest(input="azureml://datastores/workspaceblobstore/paths/in")
    job = workspace.batch_endpoints.invoke("mood", request).wait(240)
    assert job.status == "Completed", job.record.error
    assert job.summary is not None
    assert (job.summary.inputs.succeeded, job.summary.inputs.failed) == (2, 1)
    assert job.summary.skipped == {"hidden": 1, "filtered": 0}
    output = f"{s3_store.uri}/team/data/{job.name}/predictions.csv"
    assert job.to_dict()["outputs"]["score"]["path"] == output
    rows = job.results().sort_values("file").to_dict("records")
    assert rows == [{"file": "a.txt", "good": 1}, {"file": "b.txt", "good": 0}]
    folder = workspace.jobs.download(job.name, download_path=tmp_path / "down")
    text = (folder / "named-outputs" / "score" / "predictions.csv").read_text()
    assert sorted(text.splitlines()) == ["a.txt,1", "b.txt,0", "file,good"]
    store, path = open_store(f"{s3_store.uri}/team/jobs/{job.name}", s3_store.options)
    kept = json.loads(store.cat_file(f"{path}/summary.json"))
    assert (kept["status"], kept["rows"]) == ("Completed", 2)
    assert {"launch.json", "failed_inputs.csv"} <= {
        name.rpartition("/")[2] for name in store.find(path)
    }
    _retry_what_failed(workspace, s3_store, job.name)
    for secret in s3_store.secrets:
        assert secret not in json.dumps(job.to_dict())
        assert secret not in (Path(job.record.folder) / "launch.json").read_text()


def _retry_what_failed(workspace: Workspace, s3_store: StoreServer, name: str) -> None:
    s3_store.put("team/data/in/c.txt", b"great")
    again = workspace.jobs.retry_failed(name).wait(240)
    assert again.status == "Completed", again.record.error
    assert again.results().to_dict("records") == [{"file": "c.txt", "good": 1}]
    assert again.to_dict()["inputs"]["input"]["count"] == 1
