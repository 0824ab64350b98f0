from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.endpoints.invoke import make_job
from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    AlreadyExistsError,
    InvalidFieldError,
    NotFoundError,
    SparkscoreError,
    UnsupportedByTargetError,
)
from sparkscore.state import JobRecord
from tests.control.endpoints.samples import deployment, make_endpoint


def make(workspace: Workspace, **fields: Any) -> JobRecord:
    """A job that waits for its launcher."""
    name = make_job(workspace, "mood", InvokeRequest(**{"input": "in", **fields}))
    with workspace.store.reading() as reader:
        return reader.get_job(name)


def read_launch(record: JobRecord) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(record.folder) / "launch.json").read_text())
    return content


def test_invoke__default_deployment_and_output(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    record = make(workspace)
    assert (record.status, record.deployment_name) == ("NotStarted", "mood-v1")
    assert record.deployment["model"] == "azureml:weights:1"
    output = place / "ws" / "datastores" / "workspaceblobstore" / record.name
    assert record.outputs["score"]["path"] == str(output / "predictions.csv")
    launch = read_launch(record)
    assert (launch["job_name"], launch["input"]["uri"]) == (record.name, str(place / "in"))
    assert launch["output"]["path"] == str(output)
    folder = Path(record.folder)
    assert (folder / "model" / "model" / "weights.bin").read_bytes() == b"\0\1"
    assert sorted(path.name for path in (folder / "code").iterdir()) == ["helper.py", "score.py"]
    assert record.inputs["input"]["path"].startswith("azureml:")


def test_invoke__without_a_default(workspace: Workspace) -> None:
    make_endpoint(workspace)
    workspace.batch_deployments.create(deployment("mood-v1"))
    with pytest.raises(NotFoundError) as caught:
        make(workspace)
    assert caught.value.condition == "NO_DEFAULT_DEPLOYMENT"
    assert "No valid deployments to route to" in caught.value.message
    assert caught.value.attributes["deployments"] == ["mood-v1"]
    assert make(workspace, deployment_name="mood-v1").deployment_name == "mood-v1"
    with pytest.raises(NotFoundError) as caught:
        make(workspace, deployment_name="mod-v1")
    assert caught.value.attributes["closest"] == "mood-v1"


@pytest.mark.parametrize(
    ("override", "where", "value"),
    [
        ("timeout=60", "timeout_seconds", 60),
        ("retry_settings.timeout=61", "timeout_seconds", 61),
        ("settings.retry_settings.max_retries=1", "max_retries", 1),
        ("max_retries=0", "max_retries", 0),
        ("error_threshold=5", "error_threshold", 5),
        ("mini_batch_size=3", "mini_batch_size", 3),
        ("logging_level=debug", "logging_level", "debug"),
        ("environment_variables.A=1", "environment_variables", {"A": "1"}),
        ("isolation=inline", "isolation", "inline"),
    ],
)
def test_invoke__set_takes_every_setting(
    override: str, where: str, value: object, workspace: Workspace
) -> None:
    make_endpoint(workspace, "mood-v1")
    record = make(workspace, overrides=(override,))
    assert read_launch(record)["scoring"][where] == value
    stored = workspace.batch_deployments.get("mood-v1", "mood").to_dict()
    assert stored["settings"] != record.deployment["settings"]


def test_invoke__flags_and_output_name(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    record = make(
        workspace,
        mini_batch_size=4,
        instance_count=2,
        output_path="folder:azureml://datastores/workspaceblobstore/paths/a/b",
        overrides=("output_file_name=moods.csv",),
        include=("*.txt",),
        exclude=("7.txt",),
        limit=5,
    )
    launch = read_launch(record)
    assert (launch["scoring"]["mini_batch_size"], launch["instance_count"]) == (4, 2)
    folder = place / "ws" / "datastores" / "workspaceblobstore" / "a" / "b"
    assert record.outputs["score"]["path"] == str(folder / "moods.csv")
    assert launch["input"]["include"] == ["*.txt"]
    assert (launch["input"]["exclude"], launch["input"]["limit"]) == (["7.txt"], 5)


@pytest.mark.parametrize(
    ("fields", "condition"),
    [
        ({"overrides": ("model=azureml:weights:2021-10-21",)}, "NOT_AN_OVERRIDE"),
        ({"overrides": ("name=mood-v2",)}, "NOT_AN_OVERRIDE"),
        ({"overrides": ("code_configuration.scoring_script=helper.py",)}, "NOT_AN_OVERRIDE"),
        ({"overrides": ("timeot=60",)}, "UNKNOWN_FIELD"),
        ({"overrides": ("timeout=soon",)}, "INVALID_FIELD"),
        ({"instance_count": 4}, "INSTANCE_COUNT_OUT_OF_RANGE"),
        ({"input": None}, "NO_INPUT"),
        ({"input": "nowhere"}, "INPUT_NOT_FOUND"),
        ({"input": "azureml:nothing:1"}, "DATA_NOT_FOUND"),
        ({"input": "azureml://datastores/nowhere/paths/a"}, "DATASTORE_NOT_FOUND"),
        ({"job_name": "../escape"}, "INVALID_JOB_NAME"),
        ({"compute": "azureml:nowhere"}, "COMPUTE_NOT_FOUND"),
        ({"conf": ("spark.python.worker.reuse=false",)}, "REFUSED_CONF"),
    ],
)
def test_invoke__what_is_refused_makes_nothing(
    fields: dict[str, Any], condition: str, workspace: Workspace
) -> None:
    make_endpoint(workspace, "mood-v1")
    with pytest.raises(SparkscoreError) as caught:
        make(workspace, **fields)
    assert caught.value.condition == condition
    assert workspace.jobs.list() == []
    assert not (workspace.folder / "jobs").exists()


def test_invoke__gpus_on_this_machine_are_refused(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    with pytest.raises(UnsupportedByTargetError) as caught:
        make(workspace, overrides=("resources.gpus=1",))
    assert caught.value.attributes == {"target": "local", "capability": "GPU"}
    assert workspace.jobs.list() == []


def test_invoke__output_that_exists(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    (place / "out").mkdir()
    (place / "out" / "predictions.csv").write_text("")
    with pytest.raises(AlreadyExistsError) as caught:
        make(workspace, output_path="out")
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert workspace.jobs.list() == []


def test_invoke__same_name_same_request_is_the_same_job(
    workspace: Workspace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(workspace, "mood-v1")
    first = make(workspace, job_name="nightly", output_path="out")
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    again = make(workspace, job_name="nightly", input="../in", output_path="../out")
    assert again == first
    for change in (
        {"mini_batch_size": 3},
        {"input": str(place / "code")},
        {"deployment_name": "mood-v1"},
    ):
        fields = {"input": "../in", "output_path": "../out", **change}
        with pytest.raises(AlreadyExistsError) as caught:
            make(workspace, job_name="nightly", **fields)
        assert caught.value.condition == "JOB_NAME_CONFLICT"
    assert len(workspace.jobs.list()) == 1


SAME: list[dict[str, Any]] = [
    {"mini_batch_size": 3, "instance_count": 2},
    {"overrides": ("mini_batch_size=3", "instance_count=2")},
    {"overrides": ("resources.instance_count=2", "settings.mini_batch_size = 3")},
    {"overrides": ("mini_batch_size=7", "mini_batch_size=3"), "instance_count": 2},
    {"overrides": ("mini_batch_size=7",), "mini_batch_size": 3, "instance_count": 2},
]


def test_request__same_meaning_is_the_same_request(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    first = make(workspace, job_name="nightly", **SAME[0])
    assert [make(workspace, job_name="nightly", **fields) for fields in SAME] == [first] * 5


@pytest.mark.parametrize(
    "overrides",
    [("mini_batch_size=4",), (), ("mini_batch_size=3", "mini_batch_size=null"), ("timeout=3",)],
)
def test_request__other_meaning_is_another_request(overrides: tuple[str, ...]) -> None:
    asked = InvokeRequest(overrides=("mini_batch_size=3",)).get_digest("mood")
    assert InvokeRequest(overrides=overrides).get_digest("mood") != asked


def test_request__order_counts_where_keys_overlap() -> None:
    sets = ("retry_settings={timeout: 5}", "retry_settings.timeout=6")
    digests = {InvokeRequest(overrides=given).get_digest("a") for given in (sets, sets[::-1])}
    assert len(digests) == 2
    order = [("b=1", "a=2"), ("a=2", "b=1")]
    assert len({InvokeRequest(conf=given).get_digest("a") for given in order}) == 1


def make_abandoned(workspace: Workspace) -> JobRecord:
    """A job whose creator was killed before it had made the folder."""
    first = make(workspace, job_name="nightly")
    dead = dataclasses.replace(first.creator, start_token="boot:0:1") if first.creator else None
    with workspace.store.writing() as writer:
        writer.update_job(dataclasses.replace(first, creator=dead))
    folder = Path(first.folder)
    folder.rename(folder.with_name("killed-before-the-folder-was-there"))
    return first


def test_invoke__goes_on_where_a_killed_one_stopped(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    first = make_abandoned(workspace)
    again = make(workspace, job_name="nightly")
    assert (again.sequence, again.creator) == (first.sequence, first.creator)
    assert (Path(first.folder) / "launch.json").exists()


def test_invoke__going_on_records_what_now_runs(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1", "mood-v2")
    make_abandoned(workspace)
    workspace.batch_endpoints.update("mood", defaults=["deployment_name=mood-v2"])
    again = make(workspace, job_name="nightly")
    assert again.deployment_name == again.deployment["name"] == "mood-v2"


def test_invoke__same_name_at_once_is_the_same_job(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    barrier = threading.Barrier(4)

    def make_one(_: int) -> str:
        barrier.wait()
        return make(workspace, job_name="nightly").name

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make_one, range(4))) == ["nightly"] * 4
    (job,) = workspace.jobs.list()
    assert [path.name for path in Path(job.record.folder).parent.iterdir()] == ["nightly"]


def test_invoke__folder_that_cannot_be_made_leaves_no_job(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(workspace, "mood-v1")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("sparkscore.control.job_folder.os.rename", refuse)
        with pytest.raises(SparkscoreError) as caught:
            make(workspace, job_name="nightly")
    assert caught.value.condition == "JOB_FOLDER_NOT_WRITABLE"
    assert workspace.jobs.list() == []
    assert make(workspace, job_name="nightly").name == "nightly"


def test_invoke__job_keeps_the_deployment_that_it_ran(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    record = make(workspace)
    workspace.batch_deployments.update("mood-v1", "mood", overrides=["mini_batch_size=3"])
    (place / "code" / "score.py").write_text("changed\n")
    workspace.batch_endpoints.delete("mood")
    (job,) = workspace.jobs.list()
    assert job.record.deployment == record.deployment
    assert job.record.deployment["settings"]["mini_batch_size"] == 10
    assert "changed" not in (Path(record.folder) / "code" / "score.py").read_text()


def test_invoke__file_with_inputs_and_outputs(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    (place / "job").mkdir()
    file = place / "job" / "job.yml"
    file.write_text(
        "inputs:\n  texts:\n    type: uri_folder\n    path: ../in\n"
        "outputs:\n  score:\n    type: uri_file\n    path: ../out/moods.csv\n"
    )
    record = make(workspace, input=None, file=file)
    assert record.outputs["score"]["path"] == str(place / "out" / "moods.csv")
    assert read_launch(record)["input"]["uri"] == str(place / "in")
    with pytest.raises(InvalidFieldError) as caught:
        make(workspace, input="in", file=file)
    assert caught.value.condition == "GIVEN_TWICE"
    named = ("inputs.texts.type=uri_folder", "inputs.texts.path=in", "timeout=7")
    record = make(workspace, input=None, overrides=named)
    assert read_launch(record)["scoring"]["timeout_seconds"] == 7


def test_list_jobs__unknown_names(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    assert workspace.batch_endpoints.list_jobs("mood") == []
    assert workspace.batch_deployments.list_jobs("mood-v1", "mood") == []
    with pytest.raises(NotFoundError) as caught:
        workspace.batch_endpoints.list_jobs("mod")
    assert caught.value.attributes["closest"] == "mood"
    with pytest.raises(NotFoundError) as caught:
        workspace.batch_deployments.list_jobs("mood-v2", "mood")
    assert caught.value.condition == "DEPLOYMENT_NOT_FOUND"
    make(workspace)
    workspace.batch_endpoints.delete("mood")
    assert len(workspace.batch_endpoints.list_jobs("mood")) == 1


def test_invoke__paths_below_the_home_folder(
    workspace: Workspace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(workspace, "mood-v1")
    monkeypatch.setenv("HOME", str(place))
    (place / "job.yml").write_text("inputs: {texts: {type: uri_folder, path: ~/in}}\n")
    for fields in ({"input": "~/in"}, {"input": None, "file": place / "job.yml"}):
        record = make(workspace, output_path="folder:~/out", **fields)
        assert record.inputs["input"]["uri"] == str(place / "in")
        assert record.outputs["score"]["path"] == str(place / "out" / "predictions.csv")


def test_invoke__literal_input_is_refused_by_name(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    with pytest.raises(SparkscoreError) as caught:
        make(workspace, input=None, overrides=("inputs.a.type=string", "inputs.a.path=x"))
    assert caught.value.condition == "LITERAL_INPUT_NOT_SUPPORTED"


def test_invoke__registered_data(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    workspace.data.create(name="texts", version="1", path=str(place / "in"))
    record = make(workspace, input="azureml:texts:1")
    assert record.inputs["input"]["path"] == "azureml:texts:1"
    assert read_launch(record)["input"]["uri"] == str(place / "in")


def test_invoke__local_input_is_registered_once(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    first, again = make(workspace), make(workspace)
    assert first.inputs["input"]["path"] == again.inputs["input"]["path"]
    assert first.name != again.name
    assert len(workspace.data.list()) == 1


def test_plan__tells_what_a_job_would_score_and_makes_none(
    workspace: Workspace, place: Path
) -> None:
    make_endpoint(workspace, "mood-v1")
    count = len(list((place / "in").iterdir()))
    planned = workspace.batch_endpoints.plan("mood", InvokeRequest(input="in", mini_batch_size=1))
    shown = planned.to_dict()
    assert (shown["inputs"], shown["mini_batches"]) == (count, count)
    assert workspace.jobs.list() == []
    assert not (place / "ws" / "jobs").exists() or list((place / "ws" / "jobs").iterdir()) == []


def test_plan__refuses_what_invoke_refuses(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    with pytest.raises(SparkscoreError) as caught:
        workspace.batch_endpoints.plan("mood", InvokeRequest(input="nowhere"))
    assert caught.value.condition == "INPUT_NOT_FOUND"
