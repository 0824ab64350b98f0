from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from tests.control.samples import SCRIPT, make_quiet_workspace, write_java

COMPUTE = "cpu-cluster"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace whose registry has a model, and with files beside it."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "model").mkdir()
    (folder / "model" / "weights.bin").write_bytes(b"\0\1")
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "code" / "helper.py").write_text("prefix = 'a'\n")
    (folder / "in").mkdir()
    for number in range(8):
        (folder / "in" / f"{number}.txt").write_text(str(number))
    workspace = Workspace.open(make_quiet_workspace(folder / "ws"))
    workspace.models.create(name="weights", version="1", path=str(folder / "model"))
    # Twenty processes that each import MLflow would be a test of this machine's patience.
    workspace.models.get_registered_path("azureml:weights:1")
    workspace.models.create(name="weights", version="2021-10-21", path=str(folder / "code"))
    workspace.computes.create(name=COMPUTE, type="amlcompute", min_instances=0, max_instances=3)
    workspace.close()
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the template, made the current folder, with a Java that is quick to ask."""
    folder = tmp_path / "place"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("JAVA_HOME", str(write_java(tmp_path / "java")))
    return folder


@pytest.fixture
def workspace(place: Path) -> Iterator[Workspace]:
    """The workspace of the copy."""
    opened = Workspace.open(place / "ws")
    yield opened
    opened.close()


@pytest.fixture
def any_workspace(place: Path, store_url: str) -> Iterator[Workspace]:
    """A workspace on one database, then on the other, with the endpoint ``mood``."""
    file = place / "ws" / "sparkscore.toml"
    text = file.read_text().replace('url = "sqlite:///store.db"', f'url = "{store_url}"')
    file.write_text(text)
    opened = Workspace.open(place / "ws")
    opened.computes.create(name=COMPUTE, type="amlcompute", min_instances=0, max_instances=3)
    opened.batch_endpoints.create(name="mood")
    yield opened
    opened.close()
