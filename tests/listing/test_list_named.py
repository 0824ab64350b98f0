"""Inputs that are named one by one: described as a listing does, and kept when they are gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkscore.errors import PlanError
from sparkscore.executor.inputs import InputStage
from sparkscore.listing import Listing, list_inputs, list_named
from sparkscore.listing.named import GONE

NAMES = ("a/1.txt", "a/2 é.txt", "b.txt", "_hidden/c.txt")


def check_as_listed(listing: Listing, listed: Listing, *, gone: str) -> None:
    """All but the gone one are as a listing of the folder has them."""
    rows = {row["path"]: row for row in listing.files.to_pylist()}
    assert list(rows) == sorted(rows)
    assert rows.pop(gone) == {"path": gone, "size": 0, "etag": GONE}
    assert list(rows.values()) == [row for row in listed.files.to_pylist() if row["path"] in rows]
    assert (listing.root, listing.transport) == (listed.root, listed.transport)


def find_gone(
    listing: Listing, tmp_path: Path, options: dict[str, str] | None = None
) -> dict[str, str]:
    """What a worker says of the inputs."""
    stage = InputStage(
        listing.root, listing.transport, scratch=str(tmp_path / "scratch"), options=options
    )
    try:
        paths = listing.files["path"].to_pylist()
        found = stage.find_gone(paths, listing.files["etag"].to_pylist())
        return {path: error.condition for path, error in found.items()}
    finally:
        stage.close()


def test_list_named__local(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    (tmp_path / "in" / "pipe").parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / "in" / "pipe")
    (tmp_path / "in" / "link").symlink_to("nowhere")
    root = str(tmp_path / "in")
    named = ["b.txt", "a/2 é.txt", "a/1.txt", "a/gone.txt", "b.txt"]
    listing = list_named(root, named)
    check_as_listed(listing, list_inputs(root), gone="a/gone.txt")
    assert find_gone(listing, tmp_path) == {"a/gone.txt": "INPUT_NOT_FOUND"}
    odd = list_named(root, ["_hidden/c.txt", "pipe", "link", "b.txt/below", "a"])
    assert dict(zip(odd.files["path"].to_pylist(), odd.files["etag"].to_pylist(), strict=True)) == {
        "_hidden/c.txt": list_inputs(f"{root}/_hidden/c.txt").files["etag"][0].as_py(),
        "a": GONE,
        "b.txt/below": GONE,
        "link": "",
        "pipe": GONE,
    }


def test_list_named__root_with_a_glob_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "in[1]").mkdir()
    (tmp_path / "in[1]" / "*.txt").write_text("a")
    listing = list_named(str(tmp_path / "in[1]"), ["*.txt"])
    assert listing.files["size"].to_pylist() == [1]


def test_list_named__root_that_is_gone(tmp_path: Path) -> None:
    listing = list_named(str(tmp_path / "nowhere"), ["b", "a"])
    assert listing.files["path"].to_pylist() == ["a", "b"]
    assert find_gone(listing, tmp_path) == dict.fromkeys(("a", "b"), "INPUT_NOT_FOUND")


def test_list_named__check_ends_it(tmp_path: Path) -> None:
    def check() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        list_named(str(tmp_path), ["a"], check=check)


def test_list_named__store_option_that_is_unknown() -> None:
    with pytest.raises(PlanError) as caught:
        list_named("s3://bucket/in", ["a"], options={"x": "y"})
    assert caught.value.condition == "UNKNOWN_STORE_OPTION"
