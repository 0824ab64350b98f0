"""Models in an embedded MLflow registry: real database, real files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    AlreadyExistsError,
    InvalidFieldError,
    NotFoundError,
    UnresolvedReferenceError,
)
from sparkscore.spec import InlineModel

MLMODEL = """\
flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.pkl}
  sklearn: {sklearn_version: 1.5.0}
"""


def write_model(folder: Path, text: str = "weights") -> Path:
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "weights.txt").write_text(text)
    (folder / "sub" / ".hidden é").write_text("kept too")
    return folder


def list_below(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_create__folder_is_copied_and_keeps_its_name(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    source = write_model(tmp_path / "my model")
    model = models_workspace.models.create(
        name="folder", path=str(source), description="what it is", tags={"team": "a"}
    )
    (source / "weights.txt").write_text("changed")
    path = models_workspace.models.get_local_path(model)
    assert (model.version, model.type, model.base_name) == ("1", "custom_model", "my model")
    assert path.name == "my model"
    assert list_below(path) == ["sub/.hidden é", "weights.txt"]
    assert (path / "weights.txt").read_text() == "weights"
    assert models_workspace.models.get("folder", "1") == model


def test_create__file(models_workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\0\1")
    model = models_workspace.models.create(name="file", path=str(tmp_path / "weights.bin"))
    path = models_workspace.models.get_local_path(model)
    assert (path.name, path.read_bytes()) == ("weights.bin", b"\0\1")


def test_create__yaml_file_with_a_path_beside_it(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    write_model(tmp_path / "model")
    file = tmp_path / "model.yml"
    file.write_text("name: from-file\nversion: 2021-10-01\nlocal_path: ./model\ntags: {a: b}\n")
    model = models_workspace.models.create(file)
    assert (model.reference, model.tags) == ("azureml:from-file:2021-10-01", {"a": "b"})


def test_create__mlflow_model_is_told_by_its_description(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    source = write_model(tmp_path / "mlflow")
    (source / "MLmodel").write_text(MLMODEL)
    model = models_workspace.models.create(name="mlflow", path=str(source))
    assert (model.type, sorted(model.flavors)) == ("mlflow_model", ["python_function", "sklearn"])
    given = models_workspace.models.create(name="mlflow", path=str(source), type="custom_model")
    assert given.type == "custom_model"


def test_create__mlflow_model_without_description(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    source = write_model(tmp_path / "plain")
    with pytest.raises(InvalidFieldError) as caught:
        models_workspace.models.create(name="plain", path=str(source), type="mlflow_model")
    assert caught.value.condition == "MODEL_NOT_MLFLOW"


def test_create__without_version_counts_on(models_workspace: Workspace, tmp_path: Path) -> None:
    create = models_workspace.models.create
    source = str(write_model(tmp_path / "m"))
    versions = [create(name="count", path=source).version for _ in range(2)]
    versions.append(create(name="count", path=source, version="7").version)
    versions.append(create(name="count", path=source, version="7.1-beta").version)
    versions.append(create(name="count", path=source).version)
    assert versions == ["1", "2", "7", "7.1-beta", "8"]


def test_create__same_version_again(models_workspace: Workspace, tmp_path: Path) -> None:
    source = write_model(tmp_path / "m")
    create = models_workspace.models.create
    first = create(name="again", version="2021-10-01", path=str(source))
    assert create(name="again", version="2021-10-01", path=str(source)) == first
    write_model(source, "other weights")
    with pytest.raises(AlreadyExistsError) as caught:
        create(name="again", version="2021-10-01", path=str(source))
    assert caught.value.condition == "MODEL_VERSION_EXISTS"
    assert caught.value.attributes == {"name": "again", "version": "2021-10-01"}
    assert len(models_workspace.models.list("again")) == 1


def test_create__missing_path(models_workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, condition in (
        ("missing", "MODEL_NOT_FOUND"),
        ("x" * 5000, "MODEL_NOT_FOUND"),
        ("empty", "MODEL_EMPTY"),
    ):
        with pytest.raises(UnresolvedReferenceError) as caught:
            models_workspace.models.create(name="bad", path=str(tmp_path / name))
        assert caught.value.condition == condition


def test_get__latest_is_the_newest_that_is_not_archived(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    models = models_workspace.models
    source = str(write_model(tmp_path / "m"))
    for version in ("9", "10", "2"):
        models.create(name="latest", version=version, path=source)
    assert models.resolve("azureml:latest@latest").version == "2"
    models.archive("latest", "2")
    assert models.get("latest").version == "10"
    assert models.get("latest", "2").is_archived
    assert [model.version for model in models.list("latest")] == ["10", "9"]
    assert [model.version for model in models.list("latest", archived="only")] == ["2"]
    models.archive("latest")
    with pytest.raises(NotFoundError):
        models.get("latest")
    models.restore("latest")
    assert models.get("latest").version == "2"


def test_get__unknown_names_the_closest(models_workspace: Workspace, tmp_path: Path) -> None:
    models = models_workspace.models
    models.create(name="heart-model", path=str(write_model(tmp_path / "m")))
    with pytest.raises(NotFoundError) as caught:
        models.resolve("azureml:haert-model:1")
    assert caught.value.condition == "MODEL_NOT_FOUND"
    assert caught.value.attributes["closest"] == "heart-model"
    with pytest.raises(NotFoundError) as caught:
        models.get("heart-model", "5")
    assert caught.value.attributes["closest"] == "1"


def test_get__versions_of_others_go_by_mlflows_number(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    source = write_model(tmp_path / "theirs")
    client = models_workspace.models.mlflow.client
    client.create_registered_model("theirs")
    client.create_model_version("theirs", source=str(source), tags={"by": "others"})
    client.set_registered_model_alias("theirs", "champion", "1")
    model = models_workspace.models.get("theirs", "1")
    assert (model.reference, model.tags) == ("azureml:theirs:1", {"by": "others"})
    assert models_workspace.models.get_local_path(model) == source
    assert models_workspace.models.get("theirs", label="champion") == model
    assert models_workspace.models.resolve("models:/theirs@champion") == model
    with pytest.raises(AlreadyExistsError):
        models_workspace.models.create(name="theirs", version="1", path=str(source))
    assert models_workspace.models.create(name="theirs", path=str(source)).version == "2"


def test_create__from_other_registered_models(models_workspace: Workspace, tmp_path: Path) -> None:
    models = models_workspace.models
    first = models.create(name="origin", version="a", path=str(write_model(tmp_path / "m")))
    for number, reference in enumerate(("azureml:origin:a", "models:/origin/1"), start=1):
        model = models.create(name="copy", path=reference)
        assert (model.version, model.digest, model.path) == (str(number), first.digest, first.path)


def test_create__from_a_run(models_workspace: Workspace, tmp_path: Path) -> None:
    models, client = models_workspace.models, models_workspace.models.mlflow.client
    with models.mlflow.writing():
        run = client.create_run(models.mlflow.get_experiment(client)).info.run_id
        client.log_artifacts(run, str(write_model(tmp_path / "m")), artifact_path="out")
    model = models.create(name="from-run", path=f"runs:/{run}/out")
    assert list_below(models.get_local_path(model)) == ["sub/.hidden é", "weights.txt"]
    with pytest.raises(NotFoundError) as caught:
        models.create(name="from-run", path=f"runs:/{run}/nothing")
    assert caught.value.condition == "MODEL_NOT_FOUND"
    assert models.resolve(f"runs:/{run}/out").digest == model.digest


def test_create__from_the_default_datastore(models_workspace: Workspace) -> None:
    root = Path(models_workspace.datastores.get_default().uri)
    write_model(root / "models" / "m")
    path = "azureml://datastores/workspaceblobstore/paths/models/m"
    model = models_workspace.models.create(name="from-datastore", path=path)
    assert (models_workspace.models.get_local_path(model) / "weights.txt").is_file()


def test_register_inline__equal_content_is_the_equal_version(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    def register(text: str) -> str:
        write_model(tmp_path / "m", text)
        model = models_workspace.models.register_inline(
            InlineModel(path="m"), resolve=lambda path: str(tmp_path / path), default_name="e-d"
        )
        assert model.is_generated
        return model.reference

    first = register("one")
    assert register("two") != first
    assert register("one") == first
    assert len(models_workspace.models.list("e-d")) == 2


def test_delete__one_version_and_all(models_workspace: Workspace, tmp_path: Path) -> None:
    models = models_workspace.models
    source = str(write_model(tmp_path / "m"))
    for _ in range(3):
        models.create(name="gone", path=source)
    models.delete("gone", "2")
    assert [model.version for model in models.list("gone")] == ["3", "1"]
    models.delete("gone")
    with pytest.raises(NotFoundError):
        models.list("gone")


def test_create__after_somebody_deleted_the_experiment(
    models_workspace: Workspace, tmp_path: Path
) -> None:
    models, client = models_workspace.models, models_workspace.models.mlflow.client
    models.create(name="before", path=str(write_model(tmp_path / "m")))
    with models.mlflow.writing():
        client.delete_experiment(models.mlflow.get_experiment(client))
    assert models.create(name="after", path=str(tmp_path / "m")).version == "1"


def test_to_dict__is_json_with_the_name_first(models_workspace: Workspace, tmp_path: Path) -> None:
    source = str(write_model(tmp_path / "m"))
    shown = models_workspace.models.create(name="shown", path=source, tags={"k": "v"}).to_dict()
    assert list(json.loads(json.dumps(shown))) == [
        *("name", "version", "type", "path", "tags", "properties", "flavors", "id"),
        "creation_context",
    ]
    assert shown["creation_context"]["created_at"].endswith("Z")
    created = models_workspace.models.create(shown, version="2")
    assert (created.version, created.tags) == ("2", {"k": "v"})


def test_get_local_path__files_that_are_gone(models_workspace: Workspace, tmp_path: Path) -> None:
    client = models_workspace.models.mlflow.client
    client.create_registered_model("moved")
    client.create_model_version("moved", source=str(tmp_path / "nowhere"))
    with pytest.raises(UnresolvedReferenceError) as caught:
        models_workspace.models.get_local_path(models_workspace.models.get("moved"))
    assert caught.value.condition == "MODEL_NOT_FETCHED"


@pytest.mark.slow
def test_registry__says_nothing_of_its_own(tmp_path: Path) -> None:
    """A new process and a new database: one line of ours, none of MLflow's."""
    write_model(tmp_path / "m")
    code = (
        "import sys, pathlib\n"
        "from sparkscore.control.workspace import Workspace\n"
        "told = []\n"
        "w = Workspace.open(pathlib.Path('ws'), on_message=told.append)\n"
        "w.models.create(name='m', path='m'); w.models.get('m')\n"
        "assert len(told) == 2 and 'mlflow.db' in told[1], told\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "ws"]
