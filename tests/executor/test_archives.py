"""Archives that are unpacked once for all processes of a host."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.errors import StorageError
from sparkscore.executor import archives
from sparkscore.executor.archives import _stays_inside, unpack_once

DIGEST = "0123456789abcdef"
ROOT = Path(__file__).parents[2]

UNPACK = """
import sys, os, time
sys.path.insert(0, sys.argv[1])
from sparkscore.executor import archives
folder = archives.unpack_once(sys.argv[2], digest=sys.argv[3], root=sys.argv[4])
print(folder, os.stat(folder).st_ino, flush=True)
if len(sys.argv) > 5:
    sys.stdin.readline()
"""


def write_tar(path: Path, members: list[tarfile.TarInfo], content: bytes = b"text") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix != ".zst" else "w") as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    if path.suffix == ".zst":
        text = path.read_bytes()
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(text)
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, mode
    return made


def plain() -> list[tarfile.TarInfo]:
    return [
        member("bin", tarfile.DIRTYPE),
        member("bin/python3.9", mode=0o755),
        member("bin/python", tarfile.SYMTYPE, "python3.9"),
        member("lib/a/b.py"),
        member("lib/c.py", tarfile.LNKTYPE, "lib/a/b.py"),
    ]


def start(archive: Path, root: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", UNPACK, str(ROOT), str(archive), DIGEST, str(root), *more]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar.zst"])
def test_unpack_once__gives_files_modes_and_links(name: str, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / name, plain())
    folder = Path(unpack_once(str(archive), digest=DIGEST, root=str(tmp_path / "root")))
    assert folder == tmp_path / "root" / f"sparkscore-{DIGEST}"
    assert os.readlink(folder / "bin/python") == "python3.9"
    assert os.access(folder / "bin/python", os.X_OK)
    assert not os.access(folder / "lib/a/b.py", os.X_OK)
    assert (folder / "lib/c.py").read_bytes() == b"text"


def test_unpack_once__reads_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("model/weights.bin", b"12")
        link = zipfile.ZipInfo("model/latest")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "weights.bin")
    folder = Path(unpack_once(str(archive), digest=DIGEST, root=str(tmp_path)))
    assert (folder / "model/latest").read_bytes() == b"12"


def test_unpack_once__by_default_goes_to_a_folder_of_this_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    archive = write_tar(tmp_path / "a.tar.gz", plain())
    folder = Path(unpack_once(str(archive), digest=DIGEST))
    assert folder.parent == tmp_path / f"sparkscore-archives-{os.getuid()}"
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_unpack_once__refuses_a_root_that_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"sparkscore-archives-{os.getuid()}").symlink_to(tmp_path)
    archive = write_tar(tmp_path / "a.tar.gz", plain())
    with pytest.raises(StorageError) as caught:
        unpack_once(str(archive), digest=DIGEST)
    assert caught.value.condition == "ARCHIVE_NOT_UNPACKED"


def test_unpack_once__by_many_processes_at_once(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", plain(), b"x" * 4_000_000)
    processes = [start(archive, tmp_path / "root") for _ in range(8)]
    printed = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 8
    assert len(printed) == 1, "all see the one folder that one of them made"
    left = {entry.name for entry in (tmp_path / "root").iterdir()}
    assert left == {f"sparkscore-{DIGEST}", f"sparkscore-{DIGEST}.lock"}


def test_unpack_once__after_an_unpacker_was_killed(tmp_path: Path) -> None:
    fifo = tmp_path / "a.tar.gz"
    os.mkfifo(fifo)
    root = tmp_path / "root"
    process = start(fifo, root)
    with open(fifo, "wb"):  # the unpacker has opened it, and waits for bytes
        deadline = time.monotonic() + 60
        while not list(root.glob(".sparkscore-*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert list(root.glob(".sparkscore-*")), "the killed one has left its half"
    archive = write_tar(tmp_path / "b.tar.gz", plain())
    folder = Path(unpack_once(str(archive), digest=DIGEST, root=str(root)))
    assert (folder / "lib/a/b.py").exists()
    assert not list(root.glob(".sparkscore-*"))


def test_unpack_once__mends_what_others_have_swept(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", plain())
    folder = Path(unpack_once(str(archive), digest=DIGEST, root=str(tmp_path)))
    (folder / "lib/a/__pycache__").mkdir()
    (folder / "lib/a/__pycache__/b.pyc").touch()
    (folder / "lib/a/b.py").unlink()
    assert unpack_once(str(archive), digest=DIGEST, root=str(tmp_path)) == str(folder)
    assert (folder / "lib/a/b.py").exists()


def test_unpack_once__keeps_what_stands(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", plain())
    folder = Path(unpack_once(str(archive), digest=DIGEST, root=str(tmp_path)))
    archive.unlink()
    (folder / "more.txt").touch()
    assert unpack_once(str(archive), digest=DIGEST, root=str(tmp_path)) == str(folder)
    assert (folder / "more.txt").exists()


def test_unpack_once__removes_what_nobody_uses(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", plain())
    user = start(archive, tmp_path / "root", "stay")
    assert user.stdout is not None
    used = Path(user.stdout.readline().split()[0])
    other = Path(unpack_once(str(archive), digest="fedcba98", root=str(tmp_path / "root")))
    os.close(archives._IN_USE.pop(str(other)))
    long_ago = time.time() - 2 * archives.UNUSED_SECONDS
    for lock in (tmp_path / "root").glob("*.lock"):
        os.utime(lock, (long_ago, long_ago))
    unpack_once(str(archive), digest="abcdef0123", root=str(tmp_path / "root"))
    assert used.exists(), "a process that lives has it"
    assert not other.exists()
    user.communicate("\n")


HOSTILE = {
    "above": [member("../evil")],
    "deep above": [member("a/../../evil")],
    "absolute": [member("/tmp/evil")],
    "absolute link": [member("a", tarfile.SYMTYPE, "/etc/passwd")],
    "link above": [member("a/b", tarfile.SYMTYPE, "../../evil")],
    "link over links": [
        member("p/q/d", tarfile.SYMTYPE, "../.."),
        member("p/q/e", tarfile.SYMTYPE, "d/../evil"),
    ],
    "circle": [member("a", tarfile.SYMTYPE, "b"), member("b", tarfile.SYMTYPE, "a")],
    "hard link above": [member("a", tarfile.LNKTYPE, "../evil")],
    "device": [member("null", tarfile.CHRTYPE)],
    "pipe": [member("pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_unpack_once__refuses_what_leaves_the_folder(
    members: list[tarfile.TarInfo], tmp_path: Path
) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", members)
    with pytest.raises(StorageError) as caught:
        unpack_once(str(archive), digest=DIGEST, root=str(tmp_path / "root"))
    assert caught.value.condition == "ARCHIVE_REFUSED"
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.tar.gz", "root"}
    assert [entry.suffix for entry in (tmp_path / "root").iterdir()] == [".lock"]


UNREADABLE = {
    "through a link": [member("a", tarfile.SYMTYPE, "."), member("a/b")],
    "twice": [member("a"), member("a")],
    "hard link to nothing": [member("a", tarfile.LNKTYPE, "b")],
}


@pytest.mark.parametrize("members", UNREADABLE.values(), ids=UNREADABLE)
def test_unpack_once__refuses_what_contradicts_itself(
    members: list[tarfile.TarInfo], tmp_path: Path
) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", members)
    with pytest.raises(StorageError) as caught:
        unpack_once(str(archive), digest=DIGEST, root=str(tmp_path / "root"))
    assert caught.value.condition == "ARCHIVE_UNREADABLE"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst", "a.zip"])
@pytest.mark.parametrize("content", [None, b"", b"no archive at all" * 100])
def test_unpack_once__names_an_archive_that_is_none(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StorageError) as caught:
        unpack_once(str(tmp_path / name), digest=DIGEST, root=str(tmp_path / "root"))
    assert caught.value.condition == "ARCHIVE_UNREADABLE"
    assert caught.value.attributes == {"path": str(tmp_path / name)}


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst"])
def test_unpack_once__names_an_archive_that_was_cut(name: str, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / name, plain(), os.urandom(100_000))
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(StorageError) as caught:
        unpack_once(str(archive), digest=DIGEST, root=str(tmp_path / "root"))
    assert caught.value.condition == "ARCHIVE_UNREADABLE"


def test_unpack_once__wants_a_digest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no digest"):
        unpack_once(str(tmp_path / "a.zip"), digest="../evil", root=str(tmp_path))


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=4).map(
    "/".join
)


@settings(max_examples=200, deadline=None)
@given(links=st.dictionaries(NAMES, TARGETS, max_size=5))
def test_stays_inside__is_never_kinder_than_the_system(
    links: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("links") / "in" / "the" / "deep"
    root.mkdir(parents=True)
    for name in links:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    made = {name: target for name, target in links.items() if not (root / name).exists()}
    for name, target in made.items():
        (root / name).symlink_to(target)
    for name in made:
        if _stays_inside(name, made):
            real = os.path.realpath(root / name)
            assert os.path.commonpath([real, root]) == str(root)
