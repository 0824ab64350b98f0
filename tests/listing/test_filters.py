"""Patterns of paths."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import EmptyInputError
from sparkscore.listing import check_input, find_input_folder, list_inputs
from sparkscore.listing.filters import NameFilter, compile_pattern, split_glob

NAMES = st.text(alphabet="ab.-[]!^\\é ", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.png", "a.png", True),
        ("*.png", "x/a.png", False),
        ("**/*.png", "a.png", True),
        ("**/*.png", "x/y/a.png", True),
        ("x/**", "x/y/a", True),
        ("x/**/a", "x/a", True),
        ("?.txt", "a.txt", True),
        ("?.txt", "/.txt", False),
        ("[ab].txt", "b.txt", True),
        ("[!ab].txt", "b.txt", False),
        ("[!a].txt", "/.txt", False),
        ("[", "[", True),
        ("a+b", "aab", False),
        ("A", "a", False),
    ],
)
def test_pattern__examples(pattern: str, path: str, matches: bool) -> None:
    assert bool(compile_pattern(pattern).fullmatch(path)) == matches


@given(pattern=st.text(alphabet="ab*?.-[]!", max_size=8), name=NAMES)
def test_pattern__within_a_name_is_fnmatch(pattern: str, name: str) -> None:
    if "**" in pattern or "[]" in pattern or "[!]" in pattern:
        return
    assert bool(compile_pattern(pattern).fullmatch(name)) == fnmatch.fnmatchcase(name, pattern)


@given(parts=st.lists(NAMES.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4))
def test_filter__takes_everything_by_default(parts: list[str]) -> None:
    path = "/".join(parts)
    assert NameFilter().takes(path)
    assert NameFilter(include=["**"]).takes(path)
    assert not NameFilter(exclude=["**"]).takes(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/images", None),
        ("/data/*.png", ("/data", "*.png")),
        ("/data/**/x/*.png", ("/data", "**/x/*.png")),
        ("/*", ("/", "*")),
    ],
)
def test_split_glob__at_the_first_pattern(path: str, expected: tuple[str, str] | None) -> None:
    assert split_glob(path) == expected


def test_local__path_that_exists_is_no_glob(tmp_path: Path) -> None:
    for name in ("[1].txt", "1.txt", "a*b/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list_inputs(f"{tmp_path}/[1].txt").files["path"].to_pylist() == ["[1].txt"]
    assert list_inputs(f"{tmp_path}/a*b").files["path"].to_pylist() == ["x.txt"]
    assert list_inputs(f"{tmp_path}/[12].txt").files["path"].to_pylist() == ["1.txt"]
    assert find_input_folder(f"{tmp_path}/[12].txt") == str(tmp_path)
    assert find_input_folder(f"{tmp_path}/a*b") == f"{tmp_path}/a*b"


def test_local__relative_glob_and_file_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text("x")
    (tmp_path / "images" / "b.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    for uri in ("images/*.png", f"file://{tmp_path}/images/*.png", f"file:{tmp_path}/images/*.png"):
        listing = list_inputs(uri)
        assert (listing.root, listing.transport) == (str(tmp_path / "images"), "direct")
        assert listing.files["path"].to_pylist() == ["a.png"]
        assert listing.skipped_filtered_count == 1


def test_local__folders_deeper_than_the_glob_are_not_entered(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_text("x")
    with pytest.raises(EmptyInputError) as caught:
        check_input(f"{tmp_path}/*.png")
    assert caught.value.attributes["skipped_filtered"] == 0
