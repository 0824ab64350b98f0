"""S3 without s3fs: what workers read there is what the driver planned."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pyarrow.fs
import pytest

from sparkscore.errors import MissingDependencyError
from sparkscore.executor.arrow_store import ArrowStore, open_input_store
from sparkscore.executor.inputs import InputGoneError, InputStage
from sparkscore.messages.mini_batch import FETCH
from sparkscore.storage import child_path, get_etag, open_store
from tests.servers.store import StoreServer

ODD = "deep/odd é+ %20#.txt"


@pytest.fixture
def folder(s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a folder with two files; s3fs is there for the driver, not for the worker."""
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    path = f"in-{uuid4().hex[:8]}"
    s3_store.put(f"{path}/{ODD}", b"odd")
    s3_store.put(f"{path}/large.bin", b"\1" * 9_000_001)
    return f"{s3_store.uri}/{path}"


@pytest.fixture
def without_s3fs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(protocol: str, arguments: object) -> None:
        raise ImportError("no module named s3fs")

    monkeypatch.setattr("sparkscore.storage.stores._get_class", fail)
    monkeypatch.setattr("sparkscore.storage.stores._open_stores", {})


def find_etags(folder: str) -> dict[str, str]:
    """As the driver plans them."""
    store, root = open_store(folder)
    names = (ODD, "large.bin")
    return {name: get_etag(store.info(child_path(store, root, name))) for name in names}


def open_stage(folder: str, tmp_path: Path) -> InputStage:
    return InputStage(folder, FETCH, scratch=str(tmp_path))


def test_arrow_store__fetches_what_was_planned(
    folder: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    etags = find_etags(folder)
    request.getfixturevalue("without_s3fs")
    assert isinstance(open_input_store(folder)[0], ArrowStore)
    stage = open_stage(folder, tmp_path)
    assert stage.find_gone([*etags], [*etags.values()]) == {}
    odd, large = stage.local_paths([*etags])
    assert Path(odd).read_bytes() == b"odd"
    assert Path(large).read_bytes() == b"\1" * 9_000_001
    stage.close()


def test_arrow_store__tells_changed_files_and_those_that_are_gone(
    folder: str, s3_store: StoreServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    etags = {**find_etags(folder), "gone.txt": "0123"}
    s3_store.put(f"{folder.removeprefix(s3_store.uri + '/')}/{ODD}", b"new")
    request.getfixturevalue("without_s3fs")
    stage = open_stage(folder, tmp_path)
    gone = stage.find_gone([*etags], [*etags.values()])
    assert {path: error.condition for path, error in gone.items()} == {
        ODD: "INPUT_CHANGED",
        "gone.txt": "INPUT_NOT_FOUND",
    }
    assert all(isinstance(error, InputGoneError) for error in gone.values())
    stage.close()


@pytest.mark.usefixtures("without_s3fs")
def test_arrow_store__named_profile_needs_the_package(folder: str) -> None:
    with pytest.raises(MissingDependencyError):
        open_input_store(folder, {"profile": "mine"})
    store, root = open_input_store(folder)
    with pytest.raises(TimeoutError):
        store.fetch(f"{root}/large.bin", "/dev/null", timeout_seconds=-1.0)


@pytest.mark.usefixtures("without_s3fs")
def test_arrow_store__goes_where_the_options_say(
    folder: str, s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint = s3_store.environment["AWS_ENDPOINT_URL"]
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    options = {"endpoint": f"{endpoint}/", "region": "eu-west-2"}
    store, root = open_input_store(folder, options)
    assert store.region == "eu-west-2"
    assert store.info(f"{root}/{ODD}")["size"] == 3
    store.fetch(f"{root}/{ODD}", str(tmp_path / "odd"), timeout_seconds=60)
    assert (tmp_path / "odd").read_bytes() == b"odd"
    assert open_input_store(folder, {"endpoint": endpoint})[0].region == "eu-north-1"
    nobody, _ = open_input_store(folder, {**options, "anonymous": "true"})
    with pytest.raises(OSError, match="ACCESS_DENIED"):
        nobody.info(f"{root}/{ODD}")


@pytest.mark.usefixtures("without_s3fs")
def test_arrow_store__asks_for_the_region_of_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(pyarrow.fs, "resolve_s3_region", {"photos": "ap-south-1"}.__getitem__)
    assert open_input_store("s3://photos/of/cats")[0].region == "ap-south-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert open_input_store("s3://photos/of/cats")[0].region == "eu-north-1"
