from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkscore.control.assets.code_files import (
    find_script,
    list_code_files,
    list_scripts,
    read_code_file,
)
from sparkscore.control.assets.entities import CodeAsset
from sparkscore.control.workspace import Workspace
from sparkscore.errors import NotFoundError
from tests.control.samples import SCRIPT


def make_code(folder: Path, **files: str | bytes) -> CodeAsset:
    """Code of these files; ``__`` in a name stands for a folder, ``_py`` for the suffix."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return CodeAsset(name="score", version="1", path=folder, digest="d", created_at=0.0)


def test_list_code_files__by_path_with_sizes(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", score_py=SCRIPT, lib__help_py="x = 1", data="12345")
    found = [(file.path, file.byte_count) for file in list_code_files(code)]
    assert found == [("data", 5), ("lib/help.py", 5), ("score.py", len(SCRIPT))]


def test_list_code_files__copy_that_is_elsewhere_has_none(tmp_path: Path) -> None:
    code = CodeAsset(name="a", version="1", path=tmp_path / "no", digest="d", created_at=0.0)
    assert list_code_files(code) == []
    assert find_script(code) is None


def test_list_scripts__those_that_can_score_come_first(tmp_path: Path) -> None:
    broken = "def init(:"
    code = make_code(tmp_path / "code", a_py=broken, z_py=SCRIPT, lib__y_py=SCRIPT, text=SCRIPT)
    assert list_scripts(code) == ["z.py", "lib/y.py", "a.py"]


@pytest.mark.parametrize(
    ("files", "script"),
    [
        ({"main_py": SCRIPT, "helper_py": "prefix = 1"}, "main.py"),
        ({"lib__main_py": SCRIPT}, "lib/main.py"),
        ({"a_py": SCRIPT, "b_py": SCRIPT}, None),
        ({"a_py": "def run(x): ..."}, None),
        ({"readme": "nothing"}, None),
    ],
)
def test_find_script__only_if_one_fits(
    files: dict[str, str], script: str | None, tmp_path: Path
) -> None:
    assert find_script(make_code(tmp_path / "code", **files)) == script


def test_read_code_file__text_and_its_beginning(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", score_py="abc\u00e4def", data=b"\0\1", odd=b"\xff\xfe")
    whole = read_code_file(code, "score.py")
    assert (whole.text, whole.is_cut, whole.byte_count) == ("abc\u00e4def", False, 8)
    # The cut goes through a letter of two bytes.
    cut = read_code_file(code, "score.py", max_bytes=4)
    assert (cut.text, cut.is_cut) == ("abc", True)
    assert read_code_file(code, "data").text is None
    assert read_code_file(code, "odd").text is None


@pytest.mark.parametrize("name", ["no.py", "../secret", "/etc/passwd", "", "lib", "a\0b", "link"])
def test_read_code_file__only_files_of_the_code(name: str, tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", lib__a_py="x")
    (tmp_path / "secret").write_text("secret")
    os.symlink(tmp_path / "secret", tmp_path / "code" / "link")
    with pytest.raises(NotFoundError) as raised:
        read_code_file(code, name)
    assert raised.value.condition == "CODE_FILE_NOT_FOUND"


def test_create__without_a_name_equal_content_is_kept_once(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = make_code(tmp_path / "one", score_py=SCRIPT).path
    first = workspace.code.create(str(folder))
    again = workspace.code.create(str(folder))
    assert first == again
    assert first.name == f"code-{first.digest[:16]}"
    assert workspace.code.resolve(first.reference) == first


def test_list_scripts__does_not_read_huge_files(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", score_py=SCRIPT)
    with (code.path / "a.py").open("w") as stream:
        stream.write(SCRIPT)
        stream.truncate(1024**4)
    assert list_scripts(code) == ["score.py", "a.py"]
    assert find_script(code) == "score.py"
