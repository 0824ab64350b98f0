"""Listing through fsspec. Any process."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from sparkscore.errors import (
    EmptyInputError,
    InputNotFoundError,
    MissingDependencyError,
    PlanError,
)
from sparkscore.listing import check_input, list_inputs
from sparkscore.storage import get_etag


class RefusingFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """A store without credentials: every look at it fails in its own way."""

    protocol = "refusing"
    cachable = False

    def info(self, path, **_):
        raise RuntimeError(f"no credentials for {path}")


class PlainFileSystem(LocalFileSystem):  # type: ignore[misc]
    """Local files behind a scheme of their own."""

    protocol = "plain"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("plain://"))


@pytest.fixture
def memory():
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("uri", ["memory://in", "memory://in/", "memory:///in"])
def test_store__folder(memory, uri):
    memory.pipe({"/in/b": b"123", "/in/a/x": b"1", "/in/a-": b"", "/input/y": b"1"})
    listing = list_inputs(uri)
    assert listing.root == uri.rstrip("/")
    assert listing.transport == "fetch"
    assert listing.files["path"].to_pylist() == ["a-", "a/x", "b"]
    assert listing.files["size"].to_pylist() == [0, 1, 3]


def test_store__single_file(memory):
    memory.pipe("/in/_b.csv", b"123")
    listing = list_inputs("memory://in/_b.csv")
    assert (listing.root, listing.files["path"].to_pylist()) == ("memory://in", ["_b.csv"])


def test_store__hidden_names_are_counted_once(memory):
    for name in ("a", ".git/x", ".git/y/z", "_t", "sub/_d/e", "sub/_d/f"):
        memory.pipe(f"/in/{name}", b"")
    listing = list_inputs("memory://in")
    assert listing.files["path"].to_pylist() == ["a"]
    assert listing.skipped_hidden_count == 3


def test_store__limit_keeps_the_first_by_path(memory):
    for name in ("c", "a", "b"):
        memory.pipe(f"/in/{name}", b"")
    assert list_inputs("memory://in", limit=2).files["path"].to_pylist() == ["a", "b"]


def test_store__rewritten_file_has_another_etag(memory):
    memory.pipe("/in/a", b"1")
    before = list_inputs("memory://in").files["etag"].to_pylist()
    memory.rm("/in/a")
    memory.pipe("/in/a", b"2")
    assert list_inputs("memory://in").files["etag"].to_pylist() != before


def test_store__same_files_as_locally(tmp_path):
    fsspec.register_implementation("plain", PlainFileSystem, clobber=True)
    for name in ("a/x", "a-", "b", "_c", "d/.e/f", "d/\u00e9"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    local, store = list_inputs(str(tmp_path)), list_inputs(f"plain://{tmp_path}")
    columns = ["path", "size"]
    assert store.files.select(columns).equals(local.files.select(columns))
    assert store.skipped_hidden_count == local.skipped_hidden_count


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_store__missing(memory, call):
    memory.pipe("/in/a", b"")
    with pytest.raises(InputNotFoundError) as caught:
        call("memory://in/nope/more")
    assert caught.value.attributes["nearest"] == "memory:///in"


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_store__only_hidden_files(memory, call):
    memory.pipe({"/in/_a": b"", "/in/sub/_b": b"", "/in/.c/d": b""})
    with pytest.raises(EmptyInputError) as caught:
        call("memory://in")
    assert caught.value.attributes["skipped_hidden"] == 3


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_store__store_refuses(call):
    fsspec.register_implementation("refusing", RefusingFileSystem, clobber=True)
    with pytest.raises(PlanError) as caught:
        call("refusing://in")
    assert caught.value.condition == "INPUT_NOT_READABLE"
    assert "no credentials" in caught.value.message


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_store__unknown_scheme(call):
    with pytest.raises(MissingDependencyError) as caught:
        call("gopher://in")
    assert caught.value.attributes["scheme"] == "gopher"


def test_store__chained_file_systems():
    with pytest.raises(PlanError) as caught:
        list_inputs("zip://*.csv::/data.zip")
    assert caught.value.condition == "CHAINED_URI"


@pytest.mark.parametrize(
    ("uri", "module", "advice"),
    [
        ("s3://b/x", "s3fs", "pip install 'sparkscore[s3]'"),
        ("abfss://c@a.dfs.core.windows.net/x", "adlfs", "pip install 'sparkscore[azure]'"),
        ("https://a.blob.core.windows.net/c", "adlfs", "pip install 'sparkscore[azure]'"),
        ("gs://b/x", "gcsfs", "pip install 'sparkscore[gcs]'"),
        ("sftp://h/x", "paramiko", '"paramiko"'),
    ],
)
def test_store__missing_package(uri, module, advice):
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from sparkscore.errors import MissingDependencyError\n"
        "from sparkscore.listing import check_input\n"
        f"try: check_input({uri!r})\n"
        "except MissingDependencyError as error: print(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert advice in done.stdout, done.stderr


def test_check_input__stops_at_the_first_file(memory):
    memory.pipe({"/in/_x": b"", "/in/sub/a": b""})
    check_input("memory://in")
    check_input("memory://in/sub/a")


def test_etag__as_the_store_tells_it():
    modified = datetime(2024, 1, 2, tzinfo=timezone.utc)
    assert get_etag({"ETag": '"abc"', "size": 1}) == "abc"
    assert get_etag({"etag": "0x8D", "size": 1}) == "0x8D"
    assert get_etag({"size": 7, "LastModified": modified}) == "7-2024-01-02T00:00:00+00:00"
    assert get_etag({"size": None, "mtime": 12.5}) == "0-12.5"
