"""A look at data and models: a few files, the first rows, pictures, signatures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.access.places import PlacePolicy
from sparkscore.control.assets import preview
from sparkscore.control.assets.browsing import Browser
from sparkscore.control.assets.model_look import look_at_model, read_columns
from sparkscore.control.assets.preview import Preview, find_media_type, preview_data, read_image
from sparkscore.control.workspace import Workspace
from sparkscore.errors import NotFoundError, SparkscoreError

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def folder(workspace: Workspace) -> Path:
    made = Path(workspace.datastores.get_default().uri) / "d"
    made.mkdir()
    return made


def look(workspace: Workspace, path: Path) -> Preview:
    return preview_data(workspace, workspace.data.create(name="d", path=str(path)))


def test_preview__lists_files_without_hidden_ones(workspace: Workspace, folder: Path) -> None:
    (folder / "b").mkdir()
    (folder / "_x").mkdir()
    for name in ("z.bin", "b/a.bin", ".hidden", "_SUCCESS", "_x/y"):
        (folder / name).write_bytes(b"\0\1")
    found = look(workspace, folder)
    assert [(file.path, file.byte_count) for file in found.files] == [("z.bin", 2), ("b/a.bin", 2)]
    assert (found.is_whole, found.byte_count, found.columns, found.text) == (True, 4, (), None)


def test_preview__lists_no_more_than_it_says(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "MAX_LISTED", 3)
    for number in range(4):
        (folder / f"{number}.bin").write_bytes(b"\0")
    found = look(workspace, folder)
    assert (len(found.files), found.is_whole) == (3, False)


def test_preview__of_csv_has_the_first_rows(workspace: Workspace, folder: Path) -> None:
    rows = "".join(f'{number},"a ""b"", <i>"\n' for number in range(50))
    (folder / "t.csv").write_text(f"id,text\n{rows}")
    found = look(workspace, folder / "t.csv")
    assert (found.columns, len(found.rows)) == (("id", "text"), 20)
    assert found.rows[3] == ("3", 'a "b", <i>')


def test_preview__of_a_big_csv_reads_its_beginning(workspace: Workspace, folder: Path) -> None:
    (folder / "t.csv").write_text("a\n" + "x" * 300_000)
    found = look(workspace, folder)
    assert (found.columns, found.rows) == (("a",), ())


def test_preview__of_json_lines_has_all_names(workspace: Workspace, folder: Path) -> None:
    lines = [{"a": 1}, {"b": [1, {"c": None}]}, {"a": "x" * 500}]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = look(workspace, folder)
    assert found.columns == ("a", "b")
    assert found.rows[:2] == (("1", ""), ("", '[1, {"c": null}]'))
    assert len(found.rows[2][0]) == 201


def test_preview__of_parquet_has_the_first_rows(workspace: Workspace, folder: Path) -> None:
    columns = {"a": range(100), "b": [b"\0\1"] * 100, "c": [None] * 100}
    pq.write_table(
        pa.table({name: list(values) for name, values in columns.items()}), folder / "t.parquet"
    )
    found = look(workspace, folder)
    assert (found.columns, len(found.rows)) == (("a", "b", "c"), 20)
    assert found.rows[1] == ("1", "(2 bytes)", "")


def test_preview__of_text_shows_it(workspace: Workspace, folder: Path) -> None:
    (folder / "a.txt").write_text("é" * 40_000)
    found = look(workspace, folder)
    assert found.text == "é" * 4000


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.tsv"])
@given(content=st.binary(max_size=300))
def test_preview__shows_whatever_the_bytes_are(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(content)
    browser = Browser(str(folder), {}, is_file=False)
    found = preview._add_beginning(browser, tuple(browser.list_files(5)), is_whole=True)
    assert all(len(row) <= preview.MAX_COLUMNS for row in found.rows)


def test_preview__of_what_is_no_parquet_is_a_named_error(
    workspace: Workspace, folder: Path
) -> None:
    (folder / "t.parquet").write_text("not at all")
    with pytest.raises(SparkscoreError) as caught:
        look(workspace, folder)
    assert caught.value.condition == "DATA_NOT_READABLE"


def test_preview__of_what_has_gone_is_a_named_error(workspace: Workspace, folder: Path) -> None:
    asset = workspace.data.create(name="d", path=str(folder))
    folder.rmdir()
    with pytest.raises(SparkscoreError) as caught:
        preview_data(workspace, asset)
    assert caught.value.condition == "DATA_NOT_READABLE"


def test_preview__asks_no_host_that_callers_may_not_name(workspace: Workspace) -> None:
    asset = workspace.data.create(name="d", path="http://127.0.0.1:9/x")
    workspace.places = PlacePolicy()
    with pytest.raises(SparkscoreError) as caught:
        preview_data(workspace, asset)
    assert caught.value.condition == "HOST_NOT_ALLOWED"


def test_image__is_read_from_the_asset_only(workspace: Workspace, folder: Path) -> None:
    (folder / "sub").mkdir()
    for name in ("sub/a b.png", "_hidden.png", "fake.png"):
        (folder / name).write_bytes(b"<svg onload=x>" if name == "fake.png" else PNG)
    (folder.parent / "outside.png").write_bytes(PNG)
    asset = workspace.data.create(name="d", path=str(folder))
    assert read_image(workspace, asset, "sub/a b.png").media_type == "image/png"
    for path in (
        *("", "../outside.png", "sub/../../outside.png", str(folder.parent / "outside.png")),
        *("fake.png", "_hidden.png", "sub", "none.png", "sub//a b.png", "a\0b", "x" * 5000),
    ):
        with pytest.raises(NotFoundError) as caught:
            read_image(workspace, asset, path)
        assert caught.value.condition == "IMAGE_NOT_FOUND"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"<!doctype html>", None),
        (b"", None),
    ],
)
def test_media_type__is_told_from_the_bytes(content: bytes, expected: str | None) -> None:
    assert find_media_type(content) == expected


SIGNATURE = [{"name": "x", "type": "double"}, {"name": "y", "type": "long", "required": False}]


def test_look__at_an_mlflow_model_has_its_signature(workspace: Workspace, folder: Path) -> None:
    (folder / "MLmodel").write_text(
        "flavors: {python_function: {loader_module: m}}\n"
        f"signature:\n  inputs: '{json.dumps(SIGNATURE)}'\n  outputs: null\n"
    )
    (folder / ".hidden").write_text("x")
    found = look_at_model(workspace.models.create(name="m", path=str(folder)))
    assert {file.path for file in found.files} == {"MLmodel", ".hidden"}
    assert [(one.name, one.type, one.is_required) for one in found.inputs] == [
        ("x", "double", True),
        ("y", "long", False),
    ]
    assert found.has_signature
    assert found.outputs == ()


def test_look__at_a_file(workspace: Workspace, folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"\0\1\2")
    found = look_at_model(workspace.models.create(name="m", path=str(folder / "weights.bin")))
    assert [(file.path, file.byte_count) for file in found.files] == [("weights.bin", 3)]
    assert not found.has_signature


@given(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers()).map(json.dumps)))
def test_columns__of_anything_else_are_none(text: object) -> None:
    assert read_columns(text) == ()


def test_columns__may_be_tensors() -> None:
    text = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]'
    (column,) = read_columns(text)
    assert (column.name, column.type) == ("", "tensor float32 [-1, 3]")
