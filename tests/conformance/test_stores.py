"""What every store must do alike: list, filter, fetch, publish, refuse. Against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from sparkscore.control.model import fetch_uri
from sparkscore.control.output_checks import check_output
from sparkscore.errors import (
    AlreadyExistsError,
    EmptyInputError,
    InputNotFoundError,
    OutputNotWritableError,
    SparkscoreError,
)
from sparkscore.executor.inputs import InputError, InputStage
from sparkscore.listing import check_input, fetch_tree, list_inputs, list_named
from sparkscore.listing.named import GONE
from sparkscore.messages.launch import OutputMessage
from sparkscore.storage import open_store, put_new_file, upload_new_folder
from tests.servers.store import StoreServer

STORES = ("local", "memory", "s3", "abfss", "wasbs", "https-blob", "gs", "http", "nginx")
WRITABLE = tuple(name for name in STORES if name not in ("http", "nginx"))
MAKES_FOLDERS = ("local", "memory")

FILES = {
    "a.png": b"1",
    "b.txt": b"22",
    "sub/c.png": b"333",
    "sub/deep/d e#1%20.png": b"4444",
    "sub/deep/\u00e9+&.txt": b"55555",
    "_hidden.png": b"h",
    ".git/config": b"h",
    "sub/_tmp/e.png": b"h",
}
VISIBLE = sorted(
    ["a.png", "b.txt", "sub/c.png", "sub/deep/d e#1%20.png", "sub/deep/\u00e9+&.txt"],
    key=str.encode,
)


@pytest.fixture(params=STORES)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StoreServer:
    """Each store in turn, at a folder of its own."""
    return open_server(request, request.param, monkeypatch)


@pytest.fixture(params=WRITABLE)
def writable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StoreServer:
    """Each store that can be written to."""
    return open_server(request, request.param, monkeypatch)


def open_server(
    request: pytest.FixtureRequest, name: str, monkeypatch: pytest.MonkeyPatch
) -> StoreServer:
    shared: StoreServer = request.getfixturevalue(f"{name.replace('-', '_')}_store")
    for variable, value in shared.environment.items():
        monkeypatch.setenv(variable, value)
    folder = f"test-{uuid4().hex[:8]}"
    return replace(
        shared,
        uri=f"{shared.uri}/{folder}",
        put=lambda path, body: shared.put(f"{folder}/{path}", body),
    )


@pytest.fixture
def filled(server: StoreServer) -> StoreServer:
    """The same with some files."""
    for path, body in FILES.items():
        server.put(path, body)
    return server


def list_paths(server: StoreServer, pattern: str = "", **filters: list[str]) -> list[str]:
    listing = list_inputs(server.uri + pattern, options=server.options, **filters)  # type: ignore[arg-type]
    paths: list[str] = listing.files["path"].to_pylist()
    return paths


def test_list__folder(filled: StoreServer) -> None:
    listing = list_inputs(filled.uri, options=filled.options)
    assert listing.files["path"].to_pylist() == VISIBLE
    assert listing.files["size"].to_pylist() == [len(FILES[path]) for path in VISIBLE]
    assert all(listing.files["etag"].to_pylist())
    assert (listing.skipped_hidden_count, listing.skipped_filtered_count) == (3, 0)
    check_input(filled.uri, options=filled.options)


def test_list__folder_with_a_slash(filled: StoreServer) -> None:
    assert list_paths(filled, "/sub/deep/") == ["d e#1%20.png", "\u00e9+&.txt"]


def test_list__single_file_even_a_hidden_one(filled: StoreServer) -> None:
    listing = list_inputs(f"{filled.uri}/_hidden.png", options=filled.options)
    assert listing.files["path"].to_pylist() == ["_hidden.png"]
    assert listing.root.endswith(filled.uri.rpartition("/")[2])


@pytest.mark.parametrize(
    ("pattern", "expected", "filtered"),
    [
        ("/*.png", ["a.png"], 1),
        ("/**/*.png", ["a.png", "sub/c.png", "sub/deep/d e#1%20.png"], 2),
        ("/sub/*/*.txt", ["deep/\u00e9+&.txt"], 2),
        ("/s*/c.png", ["sub/c.png"], 2),
    ],
)
def test_list__glob(filled: StoreServer, pattern: str, expected: list[str], filtered: int) -> None:
    listing = list_inputs(filled.uri + pattern, options=filled.options)
    assert listing.files["path"].to_pylist() == expected
    assert listing.skipped_filtered_count == filtered
    check_input(filled.uri + pattern, options=filled.options)


def test_list__include_and_exclude(filled: StoreServer) -> None:
    assert list_paths(filled, include=["*.png"]) == [p for p in VISIBLE if p.endswith(".png")]
    assert list_paths(filled, include=["sub/**"], exclude=["*.txt", "sub/c*"]) == [
        "sub/deep/d e#1%20.png"
    ]
    assert list_paths(filled, exclude=["sub/"]) == ["a.png", "b.txt"]


@pytest.mark.parametrize("pattern", ["", "/*.jpg", "/**"])
def test_list__nothing_left_is_counted(filled: StoreServer, pattern: str) -> None:
    for call in (list_inputs, check_input):
        with pytest.raises(EmptyInputError) as caught:
            call(filled.uri + pattern, options=filled.options, exclude=["*"])
        assert caught.value.attributes["skipped_filtered"] == (2 if pattern == "/*.jpg" else 5)
        assert caught.value.attributes["skipped_hidden"] == (2 if pattern == "/*.jpg" else 3)


def test_list__missing(filled: StoreServer) -> None:
    for call in (list_inputs, check_input):
        with pytest.raises(InputNotFoundError):
            call(f"{filled.uri}/nope/nothing", options=filled.options)


def test_list__limit(filled: StoreServer) -> None:
    listing = list_inputs(filled.uri, options=filled.options, limit=2)
    assert listing.files["path"].to_pylist() == VISIBLE[:2]


def test_list_named__as_listed_and_gone_ones_kept(filled: StoreServer, tmp_path: Path) -> None:
    listed = list_inputs(filled.uri, options=filled.options)
    gone = ("sub/gone.png", "b.txt/below", "sub")
    named = list_named(listed.root, [*reversed(VISIBLE), *gone], options=filled.options)
    rows = {row["path"]: row for row in named.files.to_pylist()}
    assert list(rows) == sorted(rows)
    for path in gone:
        assert rows.pop(path) == {"path": path, "size": 0, "etag": GONE}
    assert list(rows) == VISIBLE
    assert [row["size"] for row in rows.values()] == listed.files["size"].to_pylist()
    assert (named.root, named.transport) == (listed.root, listed.transport)
    rows[gone[0]] = {"etag": GONE}
    stage = InputStage(
        named.root, named.transport, scratch=str(tmp_path), options=dict(filled.options)
    )
    try:
        found = stage.find_gone([*rows], [row["etag"] for row in rows.values()])
    finally:
        stage.close()
    assert {path: error.condition for path, error in found.items()} == {gone[0]: "INPUT_NOT_FOUND"}


def test_fetch__brings_every_listed_file(filled: StoreServer, tmp_path: Path) -> None:
    listing = list_inputs(filled.uri, options=filled.options)
    stage = InputStage(
        listing.root, listing.transport, scratch=str(tmp_path), options=filled.options
    )
    paths = listing.files["path"].to_pylist()
    found = {
        path: Path(local).read_bytes()
        for path, local in zip(paths, stage.local_paths(paths), strict=True)
    }
    assert found == {path: FILES[path] for path in VISIBLE}
    stage.release(paths)
    stage.close()


def test_fetch__single_file(filled: StoreServer, tmp_path: Path) -> None:
    uri = f"{filled.uri}/sub/c.png"
    listing = list_inputs(uri, options=filled.options)
    stage = InputStage(
        listing.root, listing.transport, scratch=str(tmp_path), options=filled.options
    )
    (local,) = stage.local_paths(listing.files["path"].to_pylist())
    assert Path(local).read_bytes() == b"333"
    stage.close()


def test_fetch__file_that_is_gone(filled: StoreServer, tmp_path: Path) -> None:
    listing = list_inputs(filled.uri, options=filled.options)
    if listing.transport == "direct":
        return
    stage = InputStage(
        listing.root, listing.transport, scratch=str(tmp_path), options=filled.options
    )
    with pytest.raises(InputError) as caught:
        stage.local_paths(["gone.png"])
    assert caught.value.condition == "INPUT_NOT_READABLE"
    stage.close()


def test_fetch_tree__takes_hidden_files_too(filled: StoreServer, tmp_path: Path) -> None:
    if "://" not in filled.uri:
        return
    fetch_tree(filled.uri, str(tmp_path / "all"), options=filled.options)
    found = {
        path.relative_to(tmp_path / "all").as_posix(): path.read_bytes()
        for path in (tmp_path / "all").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    file = fetch_uri(f"{filled.uri}/a.png", folder=tmp_path, options=filled.options)
    assert (file.name, file.read_bytes()) == ("a.png", b"1")


def test_check_output__free_and_taken(writable: StoreServer) -> None:
    if "://" not in writable.uri:
        return
    writable.put("out/a.csv", b"1")
    job = Path("/nowhere/job")
    check_output(output(writable, "out", "b.csv"), job_folder=job)
    check_output(output(writable, "new/folder", ""), job_folder=job)
    for name in ("a.csv", ""):
        with pytest.raises(AlreadyExistsError) as caught:
            check_output(output(writable, "out", name), job_folder=job)
        assert caught.value.condition == "OUTPUT_EXISTS"
    assert list_all(writable) == {"out/a.csv"}


def test_check_output__container_is_missing(writable: StoreServer) -> None:
    container = next((c for c in ("bucket", "container") if c in writable.uri), None)
    if container is None:
        return
    elsewhere = replace(writable, uri=writable.uri.replace(container, "nosuchplace"))
    with pytest.raises(OutputNotWritableError) as caught:
        check_output(output(elsewhere, "out", "a.csv"), job_folder=Path("/nowhere/job"))
    assert caught.value.condition == "OUTPUT_NOT_WRITABLE"


def test_put__once_and_never_again(writable: StoreServer, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two")
    uri = f"{writable.uri}/out/a b.csv"
    put_new_file(str(tmp_path / "one"), uri, writable.options)
    with pytest.raises(AlreadyExistsError):
        put_new_file(str(tmp_path / "two"), uri, writable.options)
    store, path = open_store(writable.uri, writable.options)
    assert store.cat_file(f"{path}/out/a b.csv") == b"one"


def test_upload__all_or_nothing(writable: StoreServer, tmp_path: Path) -> None:
    for name in ("x/1", "x/2", "log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    uri = f"{writable.uri}/out"
    with pytest.raises(SparkscoreError):
        upload(tmp_path, uri, writable, ["x/1", "x/2", "gone"], last=["log"])
    assert list_all(writable) == set()
    upload(tmp_path, uri, writable, ["x/1", "x/2"], last=["log"])
    assert list_all(writable) == {"out/x/1", "out/x/2", "out/log"}
    with pytest.raises(AlreadyExistsError):
        upload(tmp_path, uri, writable, ["x/1"], last=[])
    assert list_all(writable) == {"out/x/1", "out/x/2", "out/log"}


def upload(
    local: Path, uri: str, server: StoreServer, names: list[str], *, last: list[str]
) -> None:
    upload_new_folder(str(local), uri, server.options, names=names, last=last)


def output(server: StoreServer, folder: str, name: str) -> OutputMessage:
    return OutputMessage(
        path=f"{server.uri}/{folder}",
        action="append_row" if name else "summary_only",
        format="csv",
        file_name=name,
        options=dict(server.options),
    )


def list_all(server: StoreServer) -> set[str]:
    store, path = open_store(server.uri, server.options)
    return {found.removeprefix(f"{path}/") for found in store.find(path)}


def test_web__is_read_only(http_store: StoreServer, tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritableError) as caught:
        check_output(output(http_store, "out", "a.csv"), job_folder=Path("/nowhere/job"))
    assert caught.value.condition == "STORE_READ_ONLY"


@pytest.fixture(scope="session")
def local_store(tmp_path_factory: pytest.TempPathFactory) -> StoreServer:
    root = tmp_path_factory.mktemp("local-store")

    def put(path: str, body: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)

    return StoreServer(uri=str(root), put=put)


@pytest.fixture(scope="session")
def memory_store() -> Iterator[StoreServer]:
    store, _ = open_store("memory://store")
    yield StoreServer(
        uri="memory://store", put=lambda path, body: store.pipe(f"/store/{path}", body)
    )
    store.store.clear()
