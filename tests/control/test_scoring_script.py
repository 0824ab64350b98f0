"""Scoring scripts are judged without being run."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.scoring_script import check_scoring_script
from sparkscore.errors import UnresolvedReferenceError


def check(tmp_path: Path, script: str | bytes) -> None:
    code = tmp_path / "code"
    code.mkdir()
    content = script if isinstance(script, bytes) else script.encode()
    (code / "score.py").write_bytes(content)
    check_scoring_script(code, scoring_script="score.py")


@pytest.mark.parametrize(
    "script",
    [
        "def init(): ...\ndef run(mini_batch): ...",
        "\ufeffdef init(): ...\ndef run(mini_batch): ...",
        "from other import init, run",
        "from other import start as init\nrun = init",
        "from other import *",
        "try:\n    from a import init\nexcept ImportError:\n    def init(): ...\nrun = print",
        "if True:\n    def init(): ...\nelse:\n    init = None\nrun: object = print",
        "with open('x'):\n    init, run = 1, 2",
        "import init, run",
        "'\\d'\ndef init(): ...\nclass run: ...",
    ],
)
def test_check_scoring_script__accepts(tmp_path: Path, script: str) -> None:
    check(tmp_path, script)


@pytest.mark.parametrize(
    ("script", "condition"),
    [
        ("def init(): ...", "SCRIPT_WITHOUT_RUN"),
        ("def run(mini_batch): ...", "SCRIPT_WITHOUT_INIT"),
        ("", "SCRIPT_WITHOUT_INIT"),
        ("class Model:\n    def init(self): ...\n    def run(self): ...", "SCRIPT_WITHOUT_INIT"),
        ("def init():\n    def run(): ...", "SCRIPT_WITHOUT_RUN"),
        ("def init(): ...\nasync def run(mini_batch): ...", "SCRIPT_WITHOUT_RUN"),
        ("def init(:", "SCRIPT_SYNTAX_ERROR"),
        ("x = '\0'", "SCRIPT_SYNTAX_ERROR"),
        ("name = 'é'".encode("latin-1"), "SCRIPT_NOT_UTF8"),
    ],
)
def test_check_scoring_script__refuses(tmp_path: Path, script: str | bytes, condition: str) -> None:
    with pytest.raises(UnresolvedReferenceError) as caught:
        check(tmp_path, script)
    assert caught.value.condition == condition


def test_check_scoring_script__names_the_line_of_a_syntax_error(tmp_path: Path) -> None:
    with pytest.raises(UnresolvedReferenceError) as caught:
        check(tmp_path, "def init(): ...\n\ndef run(:\n    pass\n")
    assert caught.value.attributes["file"] == str(tmp_path / "code" / "score.py")
    assert caught.value.attributes["line"] == 3


def test_check_scoring_script__does_not_run_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    check(tmp_path, f"open({str(mark)!r}, 'w')\ndef init(): ...\ndef run(m): ...")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../score.py", "/etc/hostname", "linked.py", "linked/score.py"])
def test_check_scoring_script__stays_in_the_folder(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for file in (tmp_path / "score.py", outside / "score.py"):
        file.write_text("def init(): ...\ndef run(mini_batch): ...")
    code = tmp_path / "code"
    code.mkdir()
    (code / "linked.py").symlink_to(tmp_path / "score.py")
    (code / "linked").symlink_to(outside)
    with pytest.raises(UnresolvedReferenceError) as caught:
        check_scoring_script(code, scoring_script=name)
    assert caught.value.condition == "SCRIPT_NOT_FOUND"


def test_check_scoring_script__below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "score.py").write_text("def init(): ...\ndef run(mini_batch): ...")
    check_scoring_script(tmp_path, scoring_script="src/score.py")


def test_check_scoring_script__folder_missing(tmp_path: Path) -> None:
    with pytest.raises(UnresolvedReferenceError) as caught:
        check_scoring_script(tmp_path / "nope", scoring_script="score.py")
    assert caught.value.condition == "CODE_NOT_FOUND"


@pytest.mark.parametrize("value", ["-" * 100_000 + "1", "1" + "+1" * 100_000])
def test_check_scoring_script__code_too_deep_for_python(tmp_path: Path, value: str) -> None:
    (tmp_path / "score.py").write_text(f"x = {value}\ndef init(): ...\ndef run(mini_batch): ...")
    with pytest.raises(UnresolvedReferenceError) as caught:
        check_scoring_script(tmp_path, scoring_script="score.py")
    assert caught.value.condition == "SCRIPT_SYNTAX_ERROR"
