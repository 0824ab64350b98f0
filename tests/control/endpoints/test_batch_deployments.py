from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    InvalidFieldError,
    NotFoundError,
    SparkscoreError,
    StateError,
    UnresolvedReferenceError,
)
from tests.control.endpoints.samples import deployment, make_endpoint
from tests.control.samples import write_deployment


def test_create__references_are_pinned(workspace: Workspace) -> None:
    make_endpoint(workspace)
    made = workspace.batch_deployments.create(
        deployment("mood-v1", model="azureml:weights@latest", environment={"image": "python:3.11"})
    ).to_dict()
    assert next(iter(made)) == "name"
    assert made["model"] == "azureml:weights:2021-10-21"
    assert made["code_configuration"]["code"].startswith("azureml:")
    assert made["environment"].startswith("azureml:")
    assert made["is_default"] is False
    assert made["settings"]["retry_settings"] == {"max_retries": 3, "timeout": 30}
    assert workspace.batch_endpoints.get("mood").default_deployment is None


def test_create__from_a_file_with_inline_parts(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace)
    file = write_deployment(place / "sample")
    deployments = workspace.batch_deployments
    made = deployments.create(file, name="mood-v1", endpoint_name="mood", set_default=True)
    assert (made.name, made.endpoint_name, made.is_default) == ("mood-v1", "mood", True)
    again = deployments.create(file, name="mood-v2", endpoint_name="MOOD")
    assert again.endpoint_name == "mood"
    for key in ("code_configuration",):
        assert made.to_dict()[key] == again.to_dict()[key]
    assert [one.name for one in deployments.list("mood")] == ["mood-v1", "mood-v2"]
    assert [one.is_default for one in deployments.list("mood")] == [True, False]


def test_create__equal_content_gives_the_equal_version(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace)
    file = write_deployment(place / "sample", endpoint_name="mood")
    first = workspace.batch_deployments.create(file).to_dict()
    again = workspace.batch_deployments.create(file).to_dict()
    assert again["model"] == first["model"]
    (place / "sample" / "model" / "weights.bin").write_bytes(b"\2")
    changed = workspace.batch_deployments.create(file).to_dict()
    assert changed["model"] != first["model"]
    assert changed["code_configuration"] == first["code_configuration"]


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ({"endpoint_name": "moods"}, "ENDPOINT_NOT_FOUND"),
        ({"model": "azureml:weigths:1"}, "MODEL_NOT_FOUND"),
        ({"model": "azureml:weights:7"}, "MODEL_NOT_FOUND"),
        ({"model": {"path": "nowhere"}}, "MODEL_NOT_FOUND"),
        ({"compute": "azureml:cpu-clutser"}, "COMPUTE_NOT_FOUND"),
        ({"environment": "azureml:nothing:1"}, "ENVIRONMENT_NOT_FOUND"),
        ({"environment": {"image": "a", "conda_file": "no.yml"}}, "CONDA_FILE_NOT_FOUND"),
        ({"code_configuration": {"code": "in", "scoring_script": "a.py"}}, "SCRIPT_NOT_FOUND"),
        ({"code_configuration": {"code": "no", "scoring_script": "a.py"}}, "CODE_NOT_FOUND"),
        ({"code_configuration": None}, "MODEL_WITHOUT_SCRIPT"),
        ({"resources": {"instance_count": 4}}, "INSTANCE_COUNT_OUT_OF_RANGE"),
    ],
)
def test_create__what_is_refused(
    change: dict[str, object], condition: str, workspace: Workspace
) -> None:
    make_endpoint(workspace)
    content = deployment("mood-v1", **change)
    with pytest.raises(SparkscoreError) as caught:
        workspace.batch_deployments.create(content)
    assert caught.value.condition == condition
    assert workspace.batch_deployments.list("mood") == []
    assert not (workspace.folder / "code-assets").exists()
    checked = workspace.batch_deployments.validate(content)
    assert checked["result"] == "Failed"
    assert checked["errors"][0]["condition"] == condition


def test_create__unknown_reference_names_the_closest_and_the_line(
    workspace: Workspace, place: Path
) -> None:
    make_endpoint(workspace)
    file = write_deployment(place / "sample", endpoint_name="mood", compute="azureml:cpu-clustr")
    with pytest.raises(NotFoundError) as caught:
        workspace.batch_deployments.create(file)
    attributes = caught.value.attributes
    assert (attributes["closest"], attributes["file"]) == ("cpu-cluster", str(file))
    lines = file.read_text().splitlines()
    assert lines[attributes["line"] - 1].startswith("compute:")


def test_validate__registers_nothing(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace)
    file = write_deployment(place / "sample", endpoint_name="mood")
    assert workspace.batch_deployments.validate(file) == {"result": "Succeeded", "errors": []}
    assert workspace.batch_deployments.list("mood") == []
    assert [model.name for model in workspace.models.list()] == ["weights"] * len(
        workspace.models.list()
    )
    assert not (workspace.folder / "code-assets").exists()


def test_create__script_is_looked_at_unless_told_otherwise(
    workspace: Workspace, place: Path
) -> None:
    make_endpoint(workspace)
    (place / "code" / "score.py").write_text("def init(:\n")
    with pytest.raises(UnresolvedReferenceError) as caught:
        workspace.batch_deployments.create(deployment("mood-v1"))
    assert caught.value.condition == "SCRIPT_SYNTAX_ERROR"
    workspace.batch_deployments.create(deployment("mood-v1"), skip_script_validation=True)


def test_update__settings_and_code(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    deployments = workspace.batch_deployments
    before = deployments.get("mood-v1", "mood").to_dict()
    updated = deployments.update(
        "mood-v1", "mood", overrides=["mini_batch_size=5", "timeout=60"], additions=["tags.a=1"]
    ).to_dict()
    assert updated["settings"]["mini_batch_size"] == 5
    assert updated["settings"]["retry_settings"]["timeout"] == 60
    assert updated["tags"] == {"a": "1"}
    assert updated["model"] == before["model"]
    assert updated["is_default"] is True
    (place / "code" / "helper.py").write_text("prefix = 'b'\n")
    again = deployments.update("mood-v1", "mood", overrides=["code_configuration.code=code"])
    assert again.to_dict()["code_configuration"] != before["code_configuration"]
    assert again.to_dict()["settings"] == updated["settings"]


def test_update__names_stay(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    for change in ("name=mood-v9", "endpoint_name=mood9"):
        with pytest.raises(InvalidFieldError) as caught:
            workspace.batch_deployments.update("mood-v1", "mood", overrides=[change])
        assert caught.value.condition == "NAME_NOT_CHANGEABLE"


def test_delete__default_needs_another_one(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1", "mood-v2", "mood-v3")
    deployments = workspace.batch_deployments
    with pytest.raises(StateError) as caught:
        deployments.delete("mood-v1", "mood")
    assert caught.value.condition == "NEW_DEFAULT_NEEDED"
    with pytest.raises(NotFoundError):
        deployments.delete("mood-v1", "mood", new_default="mood-v9")
    with pytest.raises(InvalidFieldError):
        deployments.delete("mood-v1", "mood", new_default="mood-v1")
    assert len(deployments.list("mood")) == 3
    deployments.delete("mood-v1", "mood", new_default="mood-v2")
    assert workspace.batch_endpoints.get("mood").default_deployment == "mood-v2"
    deployments.delete("mood-v3", "mood")
    deployments.delete("mood-v2", "mood")
    assert workspace.batch_endpoints.get("mood").default_deployment is None


def test_compile__registered_deployment(workspace: Workspace, place: Path) -> None:
    from sparkscore.control.endpoints.request import InvokeRequest

    make_endpoint(workspace, "mood-v1")
    request = InvokeRequest(input="in", overrides=("mini_batch_size=3",))
    compiled = workspace.batch_deployments.compile(
        "mood-v1", "mood", request, target="local", folder=place / "compiled"
    )
    names = sorted(path.name for path in compiled.folder.iterdir())
    assert names == ["code", "launch.json", "model", "submit.sh"]
    assert '"mini_batch_size": 3' in (compiled.folder / "launch.json").read_text()
    assert workspace.jobs.list() == []
