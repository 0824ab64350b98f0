"""The list of exactly which inputs a job scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkscore.errors import MessageError
from sparkscore.messages.input_list import read_input_list, write_input_list

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=5)


@given(paths=PATHS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_input_list__comes_back(paths: list[str], tmp_path: Path) -> None:
    file = tmp_path / "inputs.jsonl"
    file.unlink(missing_ok=True)
    write_input_list(file, paths)
    assert read_input_list(file) == paths


def test_input_list__is_not_written_twice(tmp_path: Path) -> None:
    write_input_list(tmp_path / "list", ["a"])
    with pytest.raises(FileExistsError):
        write_input_list(tmp_path / "list", ["b"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"protocol": 1, "count": 2}\n"a"\n',
        '{"protocol": 1, "count": 1}\n"a"\n"b"\n',
        '{"protocol": 2, "count": 1}\n"a"\n',
        '{"protocol": 1, "count": 1}\n"a',
        '{"protocol": 1, "count": 1}\n7\n',
        '{"protocol": 1, "count": 1}\n"/etc/passwd"\n',
        '{"protocol": 1, "count": 1}\n"a/../../b"\n',
        '{"protocol": 1, "count": 1}\n""\n',
        '"a"\n',
        "[" * 100_000,
    ],
)
def test_input_list__that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(MessageError):
        read_input_list(tmp_path / "list")


def test_input_list__that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    for name in ("bytes", "gone", "."):
        with pytest.raises(MessageError):
            read_input_list(tmp_path / name)
