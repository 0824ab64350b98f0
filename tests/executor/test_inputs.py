"""Inputs that are fetched, and what is left of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from sparkscore.executor.inputs import InputError, InputStage


@pytest.fixture
def store() -> Iterator[str]:
    """The URI of an empty folder in a store."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield "memory://bucket/in"
    files.store.clear()


@pytest.fixture
def stage(store: str, tmp_path: Path) -> Iterator[InputStage]:
    inputs = InputStage(store, "fetch", scratch=str(tmp_path / "scratch"))
    yield inputs
    inputs.close()


def put(store: str, path: str, text: str = "text") -> None:
    with fsspec.open(f"{store}/{path}", "w") as file:
        file.write(text)


def fetched(stage: InputStage) -> set[str]:
    return {
        os.path.relpath(os.path.join(folder, name), stage.root)
        for folder, _, names in os.walk(stage.root)
        for name in names
    }


def test_fetch__brings_files_and_release_removes_them(stage: InputStage, store: str) -> None:
    paths = ["a.txt", "sub/b.txt", "with space #1%20.txt"]
    for path in paths:
        put(store, path, path)
    stage.prefetch(paths)
    local_paths = stage.local_paths(paths)
    assert [Path(path).read_text() for path in local_paths] == paths
    assert [os.path.relpath(path, stage.root) for path in local_paths] == paths
    stage.release(paths)
    assert fetched(stage) == set()


@pytest.mark.parametrize("path", ["/{outside}", "../{outside}", "a/../../{outside}", "a//b", "./a"])
def test_fetch__never_leaves_its_folder(stage: InputStage, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("stays")
    name = path.replace("{outside}", str(outside).lstrip("/") if path[0] == "/" else "outside.txt")
    with pytest.raises(InputError, match="rename"):
        stage.local_paths([name])
    stage.release([name])
    assert outside.read_text() == "stays"


def test_fetch__key_that_is_a_folder_of_another_key_fails_alone(
    stage: InputStage, store: str
) -> None:
    put(store, "a")
    stage.local_paths(["a"])
    with pytest.raises(InputError, match="a/b"):
        stage.local_paths(["a/b"])
    stage.release(["a/b"])
    stage.release(["a"])
    assert fetched(stage) == set()


def test_fetch__missing_file_is_named_and_tried_again(stage: InputStage, store: str) -> None:
    with pytest.raises(InputError, match=r"late\.txt"):
        stage.local_paths(["late.txt"])
    put(store, "late.txt")
    (path,) = stage.local_paths(["late.txt"])
    assert Path(path).read_text() == "text"


@pytest.mark.parametrize("kind", ["removed", "folder"])
def test_release__takes_what_a_script_left_in_place_of_an_input(
    stage: InputStage, store: str, kind: str
) -> None:
    put(store, "a.txt")
    (path,) = stage.local_paths(["a.txt"])
    os.unlink(path)
    if kind == "folder":
        os.mkdir(path)
        Path(path, "more").touch()
    stage.release(["a.txt"])
    assert not os.path.exists(path)


class SilentHandler(BaseHTTPRequestHandler):
    """Promises a file and never sends it."""

    def do_GET(self) -> None:
        """Only the head of an answer."""
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.flush()
        self.server.released.wait(30)  # type: ignore[attr-defined]

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def test_fetch__hung_download_ends(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), SilentHandler)
    server.released = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        stage = InputStage(
            f"http://127.0.0.1:{server.server_address[1]}",
            "fetch",
            scratch=str(tmp_path),
            timeout_seconds=0.3,
        )
        with pytest.raises(InputError) as caught:
            stage.local_paths(["a.txt"])
        assert caught.value.condition == "INPUT_FETCH_TIMEOUT"
        stage.release(["a.txt"])
        stage.close()
        assert not Path(stage.root).exists()
    finally:
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()
