"""Listing of local files. Any process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from sparkscore.errors import EmptyInputError, InputNotFoundError, InvalidFieldError, PlanError
from sparkscore.listing import Listing, check_input, list_inputs


def write_files(root: Path, *names: str, content: str = "x") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def list_paths(listing: Listing) -> list[str]:
    paths: list[str] = listing.files["path"].to_pylist()
    return paths


@pytest.fixture
def as_nobody():
    """Runs as a user whom permissions bind, also where tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that every user can enter; pytest's own are private."""
    folder = Path(tempfile.mkdtemp()) / "input"
    folder.parent.chmod(0o755)
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder.parent)


def test_listing__nested_folders(tmp_path):
    write_files(tmp_path, "b.txt", "a/z.txt", "a/deep/er/y.txt")
    listing = list_inputs(str(tmp_path))
    assert list_paths(listing) == ["a/deep/er/y.txt", "a/z.txt", "b.txt"]
    assert listing.root == str(tmp_path)
    assert listing.transport == "direct"
    assert listing.skipped_hidden_count == 0


def test_listing__order_is_that_of_path_bytes(tmp_path):
    names = ["a/x", "a.txt", "a-b", "ab/c", "aa", "B", "é", "z", "\U0001f600", "\uffee", "a0/x"]
    write_files(tmp_path, *names)
    assert list_paths(list_inputs(str(tmp_path))) == sorted(names, key=os.fsencode)


def test_listing__size_and_etag(tmp_path):
    write_files(tmp_path, "a.txt", content="four")
    os.utime(tmp_path / "a.txt", ns=(1, 1_700_000_000_123_456_789))
    files = list_inputs(str(tmp_path)).files.to_pylist()
    assert files == [{"path": "a.txt", "size": 4, "etag": "4-1700000000123456789"}]


def test_listing__hidden_names_are_counted_at_every_level(tmp_path):
    write_files(tmp_path, "a", ".git/x", ".git/y", "_tmp", "sub/.b", "sub/c", "sub/_d/e", "s_/f.")
    listing = list_inputs(str(tmp_path))
    assert list_paths(listing) == ["a", "s_/f.", "sub/c"]
    assert listing.skipped_hidden_count == 4


def test_listing__root_may_be_hidden(tmp_path):
    root = write_files(tmp_path / "_in" / ".put", "a")
    assert list_paths(list_inputs(str(root))) == ["a"]


def test_listing__single_file(tmp_path):
    write_files(tmp_path, "_a.csv", "b.csv")
    listing = list_inputs(str(tmp_path / "_a.csv"))
    assert (listing.root, list_paths(listing)) == (str(tmp_path), ["_a.csv"])


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "file:{}", "file://localhost{}/"])
def test_listing__forms_of_a_local_path(tmp_path, form):
    root = write_files(tmp_path / "in put", "a")
    listing = list_inputs(form.format(root))
    assert (listing.root, listing.transport) == (str(root), "direct")


def test_listing__percent_escapes_of_a_file_uri(tmp_path):
    root = write_files(tmp_path / "in put", "a")
    assert list_inputs(root.as_uri()).root == str(root)
    literal = write_files(tmp_path / "in%20put", "b")
    assert list_inputs(f"file://{literal}").root == str(literal)


def test_listing__relative_path(tmp_path, monkeypatch):
    write_files(tmp_path / "in", "a")
    monkeypatch.chdir(tmp_path)
    assert list_inputs("in").root == str(tmp_path / "in")


@pytest.mark.parametrize("limit", [1, 2, 3, 99])
def test_listing__limit_keeps_the_first_by_path(tmp_path, limit):
    write_files(tmp_path, "a/x", "a/y", "a-", "b")
    paths = list_paths(list_inputs(str(tmp_path), limit=limit))
    assert paths == ["a-", "a/x", "a/y", "b"][:limit]


def test_listing__limit_below_one(tmp_path):
    with pytest.raises(InvalidFieldError):
        list_inputs(str(tmp_path), limit=0)


def test_listing__more_files_than_a_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr("sparkscore.listing.columns._CHUNK_FILE_COUNT", 4)
    names = [f"{number:02}" for number in range(10)]
    files = list_inputs(str(write_files(tmp_path, *names))).files
    assert files["path"].num_chunks == 3
    assert files["path"].to_pylist() == names


def test_listing__newline_and_other_odd_names(tmp_path):
    names = ["a\nb", "c\td", "e'\"f", "g h", "%20", "*?[x]", "back\\slash"]
    write_files(tmp_path, *names)
    assert list_paths(list_inputs(str(tmp_path))) == sorted(names)


def test_listing__name_that_is_not_utf8(tmp_path):
    write_files(tmp_path, "good")
    (tmp_path / os.fsdecode(b"b\xffd")).touch()
    with pytest.raises(PlanError) as caught:
        list_inputs(str(tmp_path))
    assert caught.value.condition == "INPUT_NAME_NOT_UTF8"
    assert caught.value.attributes["path"] == r"b\xffd"


def test_listing__hidden_name_that_is_not_utf8(tmp_path):
    write_files(tmp_path, "good")
    (tmp_path / os.fsdecode(b"_\xff")).touch()
    assert list_inputs(str(tmp_path)).skipped_hidden_count == 1


def test_listing__linked_files_and_folders_are_followed(tmp_path):
    write_files(tmp_path / "elsewhere", "x", "sub/y")
    root = write_files(tmp_path / "in", "a")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "file").symlink_to(tmp_path / "elsewhere" / "x")
    listing = list_inputs(str(root))
    assert list_paths(listing) == ["a", "file", "folder/sub/y", "folder/x"]
    assert listing.files["size"].to_pylist() == [1, 1, 1, 1]


def test_listing__link_loops_end(tmp_path):
    root = write_files(tmp_path / "in", "a/x", "b/y")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "a" / "b").symlink_to(root / "b")
    (root / "b" / "a").symlink_to(root / "a")
    assert list_paths(list_inputs(str(root))) == ["a/b/y", "a/x", "b/a/x", "b/y"]


def test_listing__root_is_a_link(tmp_path):
    write_files(tmp_path / "in", "a")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert list_inputs(str(tmp_path / "link")).root == str(tmp_path / "link")


def test_listing__broken_links_stay_inputs(tmp_path):
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    files = list_inputs(str(tmp_path)).files.to_pylist()
    assert files == [
        {"path": "broken", "size": 0, "etag": ""},
        {"path": "circle", "size": 0, "etag": ""},
    ]


def test_listing__pipes_and_sockets_are_no_files(tmp_path, monkeypatch):
    write_files(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert list_paths(list_inputs(str(tmp_path))) == ["a"]


def test_listing__input_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PlanError) as caught:
        list_inputs(str(tmp_path / "pipe"))
    assert caught.value.condition == "INPUT_NOT_SUPPORTED"


@pytest.fixture
def deep_folder(tmp_path):
    """A folder for trees that are too deep for pytest's own cleaning."""
    folder = tmp_path / "deep"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-r", str(folder)], check=True)


def test_listing__tree_deeper_than_the_recursion_limit(deep_folder, monkeypatch):
    monkeypatch.chdir(deep_folder)
    for _ in range(1100):
        Path("d").mkdir()
        os.chdir("d")
    Path("leaf").touch()
    assert list_paths(list_inputs(str(deep_folder))) == ["d/" * 1100 + "leaf"]


@pytest.mark.parametrize("call", [list_inputs, check_input])
@pytest.mark.parametrize("missing", ["nope", "sub/nope/more", "a.txt/nope"])
def test_input__missing(tmp_path, call, missing):
    write_files(tmp_path, "a.txt", "sub/b")
    with pytest.raises(InputNotFoundError) as caught:
        call(str(tmp_path / missing))
    nearest = tmp_path / missing.rpartition("/")[0].removesuffix("/nope")
    assert caught.value.condition == "INPUT_NOT_FOUND"
    assert caught.value.attributes["nearest"] == str(nearest)
    assert str(tmp_path / missing) in caught.value.message


@pytest.mark.parametrize("call", [list_inputs, check_input])
@pytest.mark.parametrize("uri", ["", "  ", "a\0b"])
def test_input__no_path(call, uri):
    with pytest.raises(InputNotFoundError):
        call(uri)


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_input__only_hidden_files(tmp_path, call):
    write_files(tmp_path, "_a", ".b/c", "sub/_d")
    with pytest.raises(EmptyInputError) as caught:
        call(str(tmp_path))
    assert caught.value.attributes["skipped_hidden"] == 3


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_input__empty_folders(tmp_path, call):
    (tmp_path / "a" / "b").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EmptyInputError) as caught:
        call(str(tmp_path))
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_input__folder_below_that_may_not_be_read(call, open_folder, as_nobody):
    closed = open_folder / "closed"
    if os.geteuid() == 65534:
        os.seteuid(0)
        closed.mkdir(mode=0)
        os.seteuid(65534)
    else:
        closed.mkdir(mode=0)
    with pytest.raises(PlanError) as caught:
        call(str(open_folder))
    assert caught.value.condition == "INPUT_NOT_READABLE"
    assert caught.value.attributes["path"] == f"{closed}/"


@pytest.mark.parametrize("call", [list_inputs, check_input])
def test_input__file_that_may_not_be_read(call, open_folder, as_nobody):
    if os.geteuid() == 65534:
        os.seteuid(0)
        os.close(os.open(open_folder / "a", os.O_CREAT, 0))
        os.seteuid(65534)
    else:
        os.close(os.open(open_folder / "a", os.O_CREAT, 0))
    with pytest.raises(PlanError) as caught:
        call(str(open_folder / "a"))
    assert caught.value.condition == "INPUT_NOT_READABLE"


@pytest.mark.parametrize("name", ["a", "sub/a"])
def test_check_input__a_file_is_there(tmp_path, name):
    write_files(tmp_path, "_hidden", name)
    check_input(str(tmp_path))
    check_input(str(tmp_path / name))
