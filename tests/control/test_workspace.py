from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.user_config import UserConfig, read_user_config, write_user_config
from sparkscore.control.workspace import Workspace
from sparkscore.control.workspace_config import make_workspace_folder, quote, read_config
from sparkscore.errors import (
    InvalidFieldError,
    MalformedDocumentError,
    NotFoundError,
    OutputNotWritableError,
    UnknownFieldError,
)

InFolder = Callable[[], Path]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a user who has configured nothing."""
    return {"SPARKSCORE_CONFIG_DIR": str(tmp_path / "user")}


def test_open__makes_a_workspace_on_first_use(
    in_folder: InFolder, environment: dict[str, str]
) -> None:
    in_folder()
    lines: list[str] = []
    first = Workspace.open("./ws", environment=environment, on_message=lines.append)
    assert (first.folder, first.name) == (Path.cwd() / "ws", "ws")
    assert len(lines) == 1
    again = Workspace.open("./ws", environment=environment, on_message=lines.append)
    assert (again.config, len(lines)) == (first.config, 1)
    assert sorted(path.name for path in first.folder.iterdir()) == ["sparkscore.toml"]


def test_open__without_a_place_takes_what_is_nearest(
    in_folder: InFolder, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = in_folder()
    default = Workspace.open(environment=environment)
    user = Path(environment["SPARKSCORE_CONFIG_DIR"])
    assert default.folder == user / "workspaces" / "default"
    make_workspace_folder(folder)
    (folder / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(folder / "deep" / "er")
    assert Workspace.open(environment=environment).folder == folder
    config = read_user_config(environment).with_default("workspace", "nightly")
    write_user_config(config)
    assert Workspace.open(environment=environment).folder == user / "workspaces" / "nightly"
    chosen = {**environment, "SPARKSCORE_WORKSPACE": str(folder / "other")}
    assert Workspace.open(environment=chosen).folder == folder / "other"
    assert Workspace.open(folder, environment=chosen).folder == folder


def test_open__known_name_is_its_folder(tmp_path: Path, environment: dict[str, str]) -> None:
    config = read_user_config(environment).with_workspace("team", tmp_path / "far")
    write_user_config(config)
    assert Workspace.open("team", environment=environment).folder == tmp_path / "far"
    write_user_config(config.without_workspace("team"))
    assert Workspace.open("team", environment=environment).folder != tmp_path / "far"


def test_config__paths_are_relative_to_the_file(tmp_path: Path) -> None:
    make_workspace_folder(tmp_path, name='a "quoted" name')
    config = read_config(tmp_path)
    assert config.name == 'a "quoted" name'
    assert config.store_url == f"sqlite:///{tmp_path}/store.db"
    assert config.registry_uri == config.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert config.artifact_root == str(tmp_path / "mlartifacts")
    assert config.datastore_uri == str(tmp_path / "datastores" / "workspaceblobstore")
    assert (config.jobs_folder, config.max_running_jobs) == (str(tmp_path / "jobs"), 1)


def test_config__every_part_is_replaceable(tmp_path: Path) -> None:
    (tmp_path / "sparkscore.toml").write_text(
        '[store]\nurl = "postgresql://db/scores"\n'
        '[mlflow]\ntracking_uri = "http://mlflow:5000"\nregistry_uri = "http://registry:5000"\n'
        '[datastore]\nuri = "s3://bucket/scores"\nprofile = "nightly"\nanonymous = true\n'
        '[jobs]\nfolder = "s3://bucket/jobs"\nmax_running_jobs = 3\n'
        '[server]\nurl = "https://scores.example.com/"\n'
    )
    config = read_config(tmp_path)
    assert config.store_url == "postgresql://db/scores"
    assert (config.tracking_uri, config.registry_uri) == (
        "http://mlflow:5000",
        "http://registry:5000",
    )
    assert config.datastore_uri == "s3://bucket/scores"
    assert config.datastore_options == {"profile": "nightly", "anonymous": "true"}
    assert (config.jobs_folder, config.max_running_jobs) == ("s3://bucket/jobs", 3)
    assert config.server_url == "https://scores.example.com"


def test_config__unknown_key_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "sparkscore.toml").write_text("[jobs]\nmax_runing_jobs = 3\n")
    with pytest.raises(UnknownFieldError) as caught:
        read_config(tmp_path)
    assert caught.value.attributes["nearest"] == "max_running_jobs"
    (tmp_path / "sparkscore.toml").write_text("[job]\n")
    with pytest.raises(UnknownFieldError) as caught:
        read_config(tmp_path)
    assert caught.value.attributes["nearest"] == "[jobs]"


@pytest.mark.parametrize("value", ["0", "true", '"2"', "1.5"])
def test_config__count_that_is_none(value: str, tmp_path: Path) -> None:
    (tmp_path / "sparkscore.toml").write_text(f"[jobs]\nmax_running_jobs = {value}\n")
    with pytest.raises(InvalidFieldError) as caught:
        read_config(tmp_path)
    assert caught.value.attributes["key"] == "jobs.max_running_jobs"


@pytest.mark.parametrize("content", [b"[jobs", b"\xff", b"[workspace]\nname = ''\n"])
def test_config__text_that_is_no_setting(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "sparkscore.toml").write_bytes(content)
    with pytest.raises((MalformedDocumentError, InvalidFieldError)) as caught:
        read_config(tmp_path)
    assert caught.value.attributes["file"] == str(tmp_path / "sparkscore.toml")


def test_config__folder_that_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        read_config(tmp_path)
    assert caught.value.condition == "WORKSPACE_NOT_FOUND"


def test_make__folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritableError) as caught:
        make_workspace_folder(tmp_path / "file" / "ws")
    assert caught.value.condition == "WORKSPACE_NOT_WRITABLE"


@pytest.mark.parametrize("name", ["what?", "100%41"])
def test_make__folder_that_urls_cannot_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        make_workspace_folder(tmp_path / name)
    assert caught.value.condition == "INVALID_WORKSPACE_FOLDER"
    assert list(tmp_path.iterdir()) == []


def test_open__name_that_is_too_long(environment: dict[str, str]) -> None:
    with pytest.raises(OutputNotWritableError) as caught:
        Workspace.open("a" * 300, environment=environment)
    assert caught.value.condition == "WORKSPACE_NOT_WRITABLE"


def test_user_config__that_is_none(tmp_path: Path) -> None:
    environment = {"SPARKSCORE_CONFIG_DIR": str(tmp_path)}
    file = tmp_path / "config.toml"
    file.write_text("defaults = 'a'\n")
    with pytest.raises(MalformedDocumentError) as caught:
        read_user_config(environment)
    assert caught.value.attributes["key"] == "defaults"
    file.unlink()
    file.mkdir()
    with pytest.raises(MalformedDocumentError):
        read_user_config(environment)


def test_make__several_processes_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.map(make_workspace_folder, [tmp_path / "ws"] * 16)
    assert made.count(True) == 1
    assert [path.name for path in (tmp_path / "ws").iterdir()] == ["sparkscore.toml"]


@given(text=st.text(st.characters(codec="utf-8")))
def test_quote__survives_toml(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("user")
    config = UserConfig(folder=folder, defaults={"a": text}, workspaces={text: "b"})
    write_user_config(config)
    assert read_user_config({"SPARKSCORE_CONFIG_DIR": str(folder)}) == config
    assert quote(text).startswith('"')
