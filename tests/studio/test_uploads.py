"""Folders, files and zip files that a browser sends."""

from __future__ import annotations

import io
import re
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, RequestError, SparkscoreError
from sparkscore.spec import parse_data
from sparkscore.studio.uploads import Receiver, check_file_name
from tests.studio.looks import check_looks
from tests.studio.visitor import Seen, Visitor, make_multipart, visiting

BOUNDARY = "------b0undary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
HOSTILE = "<script>alert('x')</script> \"quotes\" 🙂; filename=b"


@pytest.fixture
def visitor(workspace: Workspace) -> Iterator[Visitor]:
    with visiting(workspace) as found:
        yield found


def find_stored(workspace: Workspace, seen: Seen, field: str = "up") -> Path:
    found = re.search(rf'name="{field}" value="([^"]+)"', seen.text)
    assert found is not None, seen.text
    _, place = parse_data(unescape(found[1]))
    return Path(workspace.datastores.resolve(place).uri)  # type: ignore[arg-type]


def receive(tmp_path: Path, body: bytes, *, step: int = 7, kind: str = "folder") -> list[str]:
    """The paths of what arrived, written in pieces of ``step`` bytes."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    with Receiver(CONTENT_TYPE, folder, kind=kind, max_files=5) as receiver:  # type: ignore[arg-type]
        for start in range(0, len(body), step):
            receiver.write(body[start : start + step])
        received = receiver.finish()
    root = received.path
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    return [received.name, *(file.relative_to(folder / "received").as_posix() for file in files)]


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_receiver__writes_files_whatever_the_pieces(tmp_path: Path, step: int) -> None:
    files = [("top/a.txt", b"a" * 100), ("top/sub/b.bin", bytes(range(256)) + b"\r\n--x")]
    assert receive(tmp_path, make_multipart(files, BOUNDARY), step=step) == [
        *("top", "top/a.txt", "top/sub/b.bin")
    ]
    folder = tmp_path / "scratch" / "received"
    assert [(folder / name).read_bytes() for name, _ in files] == [content for _, content in files]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["a.txt", "b.txt"], "upload"),
        (["top/a.txt", "b.txt"], "upload"),
        (["my photos/a.txt"], "my-photos"),
        (["é/a.txt"], "upload"),
        ([".hidden/a.txt"], "hidden"),
    ],
)
def test_receiver__names_the_upload_after_its_folder(
    tmp_path: Path, names: list[str], name: str
) -> None:
    body = make_multipart([(one, b"x") for one in names], BOUNDARY)
    assert receive(tmp_path, body) == [name, *sorted(names)]


def test_receiver__keeps_hostile_names(tmp_path: Path) -> None:
    body = make_multipart([(f"top/{HOSTILE.replace('/', '')}\n.txt", b"x")], BOUNDARY)
    assert receive(tmp_path, body)[1] == f"top/{HOSTILE.replace('/', '')}\n.txt"


@pytest.mark.parametrize(
    "name",
    [
        *("../a", "a/../../b", "/etc/passwd", "a//b", "./a", "a/.", "a\\..\\b", "a\0b", ".."),
        *(b"\xff\xfe", "x" * 300, "/".join("y" * 200 for _ in range(12)), "a/"),
    ],
)
def test_receiver__refuses_names_that_leave_the_folder(tmp_path: Path, name: str | bytes) -> None:
    body = make_multipart([("ok", b"1"), (name, b"x")], BOUNDARY)
    with pytest.raises(InvalidFieldError) as caught:
        receive(tmp_path, body)
    assert caught.value.condition == "INVALID_FILE_NAME"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["ok"]


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_receiver__refuses_what_is_there_twice(tmp_path: Path, names: tuple[str, str]) -> None:
    body = make_multipart([(name, b"x") for name in names], BOUNDARY)
    with pytest.raises(InvalidFieldError):
        receive(tmp_path, body)


def test_receiver__counts_files(tmp_path: Path) -> None:
    body = make_multipart([(f"f/{number}", b"") for number in range(6)], BOUNDARY)
    with pytest.raises(RequestError) as caught:
        receive(tmp_path, body)
    assert (caught.value.condition, caught.value.http_status) == ("TOO_MANY_FILES", 413)


def test_receiver__takes_one_file_where_one_is_asked_for(tmp_path: Path) -> None:
    body = make_multipart([("a", b"1"), ("b", b"2")], BOUNDARY)
    with pytest.raises(RequestError) as caught:
        receive(tmp_path, body, kind="file")
    assert caught.value.condition == "TOO_MANY_FILES"


@pytest.mark.parametrize("body", [b"", b"nothing", make_multipart([("a", b"x")], BOUNDARY)[:-9]])
def test_receiver__refuses_what_is_no_whole_form(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        receive(tmp_path, body)
    assert caught.value.condition == "MALFORMED_BODY"


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=60)), max_size=5), st.binary())
def test_receiver__writes_below_its_folder_only(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bytes]], junk: bytes
) -> None:
    tmp_path = tmp_path_factory.mktemp("receiver")
    raw = [(name.encode("utf-8", "surrogatepass"), content) for name, content in files]
    try:
        receive(tmp_path, make_multipart(raw, BOUNDARY) + junk)
    except (SparkscoreError, OSError) as error:
        assert isinstance(error, SparkscoreError)
    inside = tmp_path / "scratch" / "received"
    assert all(inside in path.parents for path in tmp_path.rglob("*") if path.is_file())


@given(st.text())
def test_file_names__stay_below_their_folder_or_are_refused(name: str) -> None:
    try:
        kept = check_file_name(name.encode("utf-8", "surrogatepass"))
    except InvalidFieldError:
        return
    assert not kept.startswith("/")
    assert not {"", ".", ".."} & set(kept.split("/"))


def test_upload__of_a_folder_lies_in_the_datastore(workspace: Workspace, visitor: Visitor) -> None:
    files = [("photos/a.txt", b"1"), ("photos/sub/b.txt", b"22")]
    seen = visitor.upload("/uploads/data?field=up&kind=folder", files)
    assert seen.status == 201
    stored = find_stored(workspace, seen)
    assert stored.name == "photos"
    assert (stored / "sub" / "b.txt").read_bytes() == b"22"
    assert 'name="up_kind" value="folder"' in seen.text
    assert "2 files" in seen.text
    assert list((workspace.folder / "cache").glob(".unfinished*")) == []


def test_upload__of_a_file_and_a_zip(workspace: Workspace, visitor: Visitor) -> None:
    seen = visitor.upload("/uploads/model?field=up&kind=file", [("weights 1.bin", b"\0" * 9)])
    stored = find_stored(workspace, seen)
    assert (stored.name, stored.read_bytes()) == ("weights-1.bin", b"\0" * 9)
    assert 'name="up_kind" value="file"' in seen.text
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("deep/x.txt", "x")
    seen = visitor.upload("/uploads/model?field=up&kind=zip", [("m.zip", packed.getvalue())])
    assert (find_stored(workspace, seen) / "deep" / "x.txt").read_text() == "x"
    assert find_stored(workspace, seen).name == "m"


def test_upload__of_a_zip_that_leaves_its_folder_is_refused(visitor: Visitor) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../x.txt", "x")
    seen = visitor.upload("/uploads/model?field=up&kind=zip", [("m.zip", packed.getvalue())])
    assert seen.status == 400
    assert "ARCHIVE_REFUSED" in seen.text


def test_upload__of_nothing_says_so(visitor: Visitor) -> None:
    seen = visitor.upload("/uploads/data?field=up", [])
    assert seen.status == 400
    assert "EMPTY_UPLOAD" in visitor.upload("/uploads/data?field=up", [("", b"")]).text


@pytest.mark.parametrize(
    "path", ["/uploads/other?field=a", "/uploads/data", "/uploads/data?field="]
)
def test_upload__for_nothing_known_is_refused(visitor: Visitor, path: str) -> None:
    assert visitor.upload(path, [("a", b"x")]).status == 400


def test_upload__without_the_header_is_refused_unread(visitor: Visitor) -> None:
    token = visitor.get_forgery_token()
    body = make_multipart([("a", b"x")], "bb").replace(b"upload_folder", b"csrf_token")
    sent = {"Content-Type": "multipart/form-data; boundary=bb", "Content-Length": str(10**9)}
    # The answer comes although most of the body never does.
    seen = visitor.ask("POST", "/uploads/data?field=up", body, {**sent, "X-Other": token})
    assert seen.status == 403
    assert "FORGED_REQUEST" in seen.text


def test_upload__of_too_much_is_refused(workspace: Workspace) -> None:
    with visiting(workspace, max_upload_bytes=5000, max_upload_files=3) as visitor:
        assert visitor.upload("/uploads/data?field=up", [("a", b"x" * 4000)]).status == 201
        many = [(f"f/{number}", b"x") for number in range(4)]
        seen = visitor.upload("/uploads/data?field=up", many)
        assert (seen.status, "TOO_MANY_FILES" in seen.text) == (413, True)
        assert visitor.upload("/uploads/data?field=up", [("a", b"x" * 5000)]).status == 413
        assert list((workspace.folder / "cache").glob(".unfinished*")) == []


def test_upload__of_inputs_takes_an_invoker(workspace: Workspace) -> None:
    with visiting(workspace, role="invoker") as visitor:
        assert visitor.upload("/uploads/input?field=up", [("a", b"x")]).status == 201
        assert visitor.upload("/uploads/code?field=up", [("a", b"x")]).status == 403
    with visiting(workspace, role="reader") as visitor:
        assert visitor.upload("/uploads/input?field=up", [("a", b"x")]).status == 403


def test_upload__that_breaks_off_leaves_nothing(
    workspace: Workspace, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    token, cookie = visitor.get_forgery_token(), visitor.cookies["sparkscore_session"]
    body = make_multipart([("top/a.txt", b"x" * 100_000)], BOUNDARY)
    head = (
        "POST /studio/uploads/data?field=up HTTP/1.1\r\nHost: x\r\n"
        f"Cookie: sparkscore_session={cookie}\r\nX-CSRF-Token: {token}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    parts = urlsplit(visitor.server)
    cache = workspace.folder / "cache"
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as connection:
        connection.sendall(head.encode() + body[:50_000])
        wait_until(lambda: list(cache.glob(".unfinished*/received/top/a.txt")))
    wait_until(lambda: not list(cache.glob(".unfinished*")))
    audit = workspace.folder / "audit.jsonl"
    wait_until(lambda: "MALFORMED_BODY" in audit.read_text())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_upload__in_a_browser(
    studio: str, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "my <b>photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / 'a "1" 🙂.txt').write_text("one")
    (folder / "b.txt").write_text("two")
    page.goto(f"{studio}/data/register")
    page.get_by_label("Name").fill("photos")
    page.locator("#uploaded_folder").set_input_files(folder)
    expect(page.get_by_text("my-b-photos: 2 files")).to_be_visible()
    check_looks(page)
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="photos:1")).to_be_visible()
    expect(page.get_by_text('sub/a "1" 🙂.txt').first).to_be_visible()
    assert workspace.data.get("photos").type == "uri_folder"


@pytest.mark.slow
def test_upload__of_too_much_is_said_in_a_browser(
    workspace: Workspace, page: Page, tmp_path: Path
) -> None:
    (tmp_path / "big.bin").write_bytes(b"x" * 3000)
    (tmp_path / "m.zip").write_bytes(b"no zip")
    with visiting(workspace, max_upload_bytes=2000) as visitor:
        page.context.add_cookies(
            [
                {"name": name, "value": value, "url": f"{visitor.server}/studio"}
                for name, value in visitor.cookies.items()
            ]
        )
        page.goto(f"{visitor.server}/studio/models/register")
        page.get_by_label("What to upload").select_option("file")
        page.locator("#uploaded_file").set_input_files(tmp_path / "big.bin")
        expect(page.get_by_text("at most 2,000 can be sent at once")).to_be_visible()
        page.get_by_label("What to upload").select_option("zip")
        page.locator("#uploaded_zip").set_input_files(tmp_path / "m.zip")
        expect(page.get_by_text("ARCHIVE_NOT_READABLE")).to_be_visible()
        expect(page.get_by_role("button", name="Register")).to_be_enabled()
