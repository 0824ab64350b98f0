"""What a job keeps of code and model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkscore.control import snapshot
from tests.control.samples import list_files


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_copy_code__leaves_out_what_is_no_code(tmp_path: Path) -> None:
    code = tmp_path / "code"
    for name in ("score.py", "lib/a.py", ".git/config", "__pycache__/a.pyc", "lib/.hidden"):
        write(code / name)
    write(code / "sparkscore-jobs" / "job" / "summary.json")
    write(code / "my-job" / "launch.json")
    snapshot.copy_code(code, tmp_path / "copy", excluded=(code / "my-job",))
    assert list_files(tmp_path / "copy") == ["lib", "lib/a.py", "score.py"]


def test_copy_code__follows_links_but_not_in_circles(tmp_path: Path) -> None:
    code = tmp_path / "code"
    write(tmp_path / "shared" / "b.py", "b = 1")
    write(code / "score.py")
    (code / "shared").symlink_to(tmp_path / "shared")
    (code / "circle").symlink_to(code)
    (code / "nowhere").symlink_to(tmp_path / "nowhere")
    os.mkfifo(code / "pipe")
    snapshot.copy_code(code, tmp_path / "copy")
    assert list_files(tmp_path / "copy") == ["score.py", "shared", "shared/b.py"]
    assert not (tmp_path / "copy" / "shared").is_symlink()


@pytest.mark.parametrize("is_folder", [True, False])
def test_link_model__shares_the_files(tmp_path: Path, is_folder: bool) -> None:
    file = write(tmp_path / "model" / "data" / "weights.bin", "1")
    source = tmp_path / "model" if is_folder else file
    snapshot.link_model(source, tmp_path / "copy")
    copy = tmp_path / "copy" / "data" / "weights.bin" if is_folder else tmp_path / "copy"
    assert copy.samefile(file)


def test_link_model__links_what_a_link_names(tmp_path: Path) -> None:
    file = write(tmp_path / "blobs" / "0", "1")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").symlink_to(file)
    snapshot.link_model(tmp_path / "model", tmp_path / "copy")
    assert not (tmp_path / "copy" / "weights.bin").is_symlink()
    assert (tmp_path / "copy" / "weights.bin").read_text() == "1"


def test_copy_model__is_independent(tmp_path: Path) -> None:
    file = write(tmp_path / "model" / "weights.bin", "1")
    snapshot.copy_model(tmp_path / "model", tmp_path / "copy")
    file.write_text("2")
    assert (tmp_path / "copy" / "weights.bin").read_text() == "1"


def test_get_digest__changes_with_content_names_and_settings(tmp_path: Path) -> None:
    code = write(tmp_path / "code" / "score.py", "a").parent
    model = write(tmp_path / "model" / "weights.bin", "1").parent

    def digest(settings: str = "{}") -> str:
        return snapshot.get_digest(model=model, code=code, settings=settings)

    digests = [digest(), digest("{1}")]
    (code / "score.py").write_text("b")
    digests.append(digest())
    (model / "weights.bin").write_text("2")
    digests.append(digest())
    (model / "weights.bin").rename(model / "other.bin")
    digests.append(digest())
    digests.append(snapshot.get_digest(model=model, code=None, settings="{}"))
    assert len(set(digests)) == len(digests)


def test_get_digest__is_the_same_elsewhere(tmp_path: Path) -> None:
    digests = set()
    for place in ("a", "b"):
        model = write(tmp_path / place / "model" / "weights.bin", "1")
        os.utime(model, (0, 0) if place == "a" else None)
        digests.add(snapshot.get_digest(model=model.parent, code=None, settings=""))
    assert len(digests) == 1


def test_get_digest__large_files_by_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LARGE_FILE_BYTES", 4)
    model = write(tmp_path / "weights.bin", "12345")
    before = snapshot.get_digest(model=model, code=None, settings="")
    os.utime(model, (0, 0))
    assert snapshot.get_digest(model=model, code=None, settings="") != before
