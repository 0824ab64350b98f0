"""Web servers: what an index is, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.errors import InputNotFoundError, PlanError
from sparkscore.listing import check_input, list_inputs
from sparkscore.listing.web import find_names
from tests.servers.store import StoreServer
from tests.servers.web import web_server

PAGE = """
<a href="?C=N;O=D">Name</a> <a href="../">Parent</a> <a href="/">Root</a>
<a href="a%20b.txt">a b</a> <a href="./c.txt">c</a> <a href="/data/d.txt">d</a>
<a href="http://host/data/sub/">sub</a> <a href="http://other/data/e.txt">e</a>
<A HREF="\u00e9.txt">e</A> <a href="sub/deeper.txt">deeper</a> <a href="c.txt#x">again</a>
<a href="100%25.txt">percent</a> <a name="none">none</a> <a href="http://[bad">bad</a>
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StoreServer]:
    with web_server(tmp_path) as running:
        running.put("a/x.txt", b"1")
        running.put("top.txt", b"22")
        yield running


def test_find_names__directly_below() -> None:
    assert find_names(PAGE, "http://host/data/") == [
        *("a b.txt", "c.txt", "d.txt", "sub/", "\u00e9.txt", "100%.txt"),
    ]


@pytest.mark.parametrize("path", ["", "/"])
def test_web__root_of_the_server(server: StoreServer, path: str) -> None:
    listing = list_inputs(server.uri + path)
    assert listing.files["path"].to_pylist() == ["a/x.txt", "top.txt"]
    assert listing.root == server.uri
    assert list_inputs(f"{server.uri}/*.txt").files["path"].to_pylist() == ["top.txt"]


def test_web__changed_file_has_another_etag(server: StoreServer, tmp_path: Path) -> None:
    before = list_inputs(f"{server.uri}/a").files["etag"].to_pylist()
    server.put("a/x.txt", b"333")
    assert list_inputs(f"{server.uri}/a").files["etag"].to_pylist() != before


def test_web__query_is_refused(server: StoreServer) -> None:
    with pytest.raises(PlanError) as caught:
        check_input(f"{server.uri}/top.txt?version=1")
    assert caught.value.condition == "INPUT_NOT_SUPPORTED"


def test_web__file_with_a_slash_is_no_folder(server: StoreServer) -> None:
    with pytest.raises(InputNotFoundError):
        list_inputs(f"{server.uri}/top.txt/")


def test_web__server_is_gone() -> None:
    with pytest.raises(PlanError) as caught:
        check_input("http://127.0.0.1:9/x")
    assert caught.value.condition in {"INPUT_NOT_READABLE", "INPUT_NOT_FOUND"}


def test_web__link_loop_ends(server: StoreServer, tmp_path: Path) -> None:
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    with pytest.raises(PlanError) as caught:
        list_inputs(server.uri)
    assert caught.value.condition == "INPUT_NOT_READABLE"
