"""Unpacks an archive once for all workers of a host. Python worker process.

Archives come from a job's own folder, yet nothing in them may land or lead outside of the folder
they are unpacked to. Standard library only, but for ``.tar.zst``, which pyarrow opens.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Callable

from sparkscore.errors import StorageError

UNUSED_SECONDS = 7 * 24 * 3600.0
"""An unpacked folder that no process has used for this long goes when another one is unpacked."""

_PREFIX = "sparkscore-"
_DIGEST = re.compile(r"[A-Za-z0-9]{8,128}")
_MAX_LINKS = 40
_COPY_BYTES = 1 << 20
_EARLIEST = 315532800
_IN_USE: dict[str, int] = {}


@dataclass(frozen=True)
class _Member:
    """An entry of an archive; ``kind`` is file, folder, link or hardlink, ``mtime`` in seconds."""

    name: str
    kind: str
    mode: int
    mtime: float
    target: str
    open: Callable[[], IO[bytes]]


def unpack_once(archive: str, *, digest: str, root: str | None = None) -> str:
    """The folder with what ``archive`` holds, unpacked by the first process of the host that asks.

    ``archive`` is a local .zip, .tar.gz, .tgz or .tar.zst, ``digest`` names its content. ``root``
    is by default a folder of this user below the temporary folder. While the process lives the
    folder stays. Raises StorageError (ARCHIVE_UNREADABLE, ARCHIVE_REFUSED for members that leave
    the folder, ARCHIVE_NOT_UNPACKED where there is no space or right to write).
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest")
    try:
        root = _own_root() if root is None else root
        os.makedirs(root, exist_ok=True)
        folder = os.path.join(root, _PREFIX + digest)
        with _locking(f"{folder}.lock") as lock:
            if not _is_whole(folder, lock):
                _unpack(archive, folder, lock)
                _remove_unused(root, but=folder)
            os.utime(lock)
            _hold(folder)
    except OSError as error:
        raise StorageError(
            f"archive {archive} cannot be unpacked below {root}: {error.strerror or error}; it "
            "needs space there and the right to write (TMPDIR names the folder)",
            condition="ARCHIVE_NOT_UNPACKED",
            path=archive,
        ) from error
    return folder


def _own_root() -> str:
    """A folder that no other user of the host can have filled."""
    root = os.path.join(tempfile.gettempdir(), f"sparkscore-archives-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(root, 0o700)
    status = os.lstat(root)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise OSError(f"{root} belongs to another user")
    return root


@contextlib.contextmanager
def _locking(path: str) -> Iterator[int]:
    """An exclusive lock on a file that may be removed and made again meanwhile."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), os.stat(path)):
                    yield lock
                    return
        finally:
            os.close(lock)


def _is_whole(folder: str, lock: int) -> bool:
    """Whether all that was unpacked is still there: temporary folders are swept by others too."""
    expected = os.pread(lock, 32, 0)
    return expected.isdigit() and os.path.isdir(folder) and _count(folder) >= int(expected)


def _count(folder: str) -> int:
    """Files and links below ``folder``; what Python compiled beside them does not count."""
    return sum(
        len(files) + sum(os.path.islink(os.path.join(path, name)) for name in folders)
        for path, folders, files in os.walk(folder)
        if not path.endswith(os.sep + "__pycache__")
    )


def _unpack(archive: str, folder: str, lock: int) -> None:
    os.ftruncate(lock, 0)
    root, name = os.path.split(folder)
    for left in os.listdir(root):
        if left.startswith(f".{name}."):  # of a process that was killed: its lock is ours now
            shutil.rmtree(os.path.join(root, left), ignore_errors=True)
    partial = tempfile.mkdtemp(prefix=f".{name}.", dir=root)
    try:
        with _reading(archive):
            extract_archive(archive, partial)
        os.pwrite(lock, str(_count(partial)).encode(), 0)
        if os.path.isdir(folder):
            damaged = tempfile.mkdtemp(prefix=f".{name}.", dir=root)
            os.rename(folder, damaged)
            os.rename(partial, folder)
            shutil.rmtree(damaged, ignore_errors=True)
        else:
            os.rename(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def _reading(archive: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as e:
        raise _unreadable(archive, str(e) or type(e).__name__) from e
    except OSError as error:
        if error.errno not in (None, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
            raise
        raise _unreadable(archive, str(error)) from error


def _unreadable(archive: str, reason: str) -> StorageError:
    return StorageError(
        f"archive {archive} cannot be read: {reason}; make it again",
        condition="ARCHIVE_UNREADABLE",
        path=archive,
    )


def _hold(folder: str) -> None:
    """Keep a shared lock on the folder for as long as this process lives."""
    if folder not in _IN_USE:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _IN_USE[folder] = descriptor


def _remove_unused(root: str, *, but: str) -> None:
    """Remove what no process holds and none has asked for in a long time."""
    before = time.time() - UNUSED_SECONDS
    for entry in list(os.scandir(root)):
        folder = entry.path[: -len(".lock")]
        if not entry.name.endswith(".lock") or folder == but:
            continue
        with contextlib.suppress(OSError):
            if entry.stat(follow_symlinks=False).st_mtime < before:
                _remove(folder, entry.path)


def _remove(folder: str, lock_path: str) -> None:
    lock = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.isdir(folder):
            held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)
        os.unlink(lock_path)
    finally:
        os.close(lock)


def extract_archive(archive: str, folder: str) -> None:
    """Write what ``archive`` holds into the empty ``folder``, links last.

    Raises StorageError (ARCHIVE_REFUSED) for a member or a link that leaves the folder, or is
    neither file, folder nor link.
    """
    links: dict[str, str] = {}
    for member in _iter_members(archive):
        name = _clean(member.name, archive)
        if not name:
            continue
        path = os.path.join(folder, *name.split("/"))
        os.makedirs(path if member.kind == "folder" else os.path.dirname(path), exist_ok=True)
        if member.kind == "file":
            _write_file(member, path)
        elif member.kind == "link":
            links[name] = member.target
        elif member.kind == "hardlink":
            os.link(os.path.join(folder, *_clean(member.target, archive).split("/")), path)
    for name, target in links.items():
        if not _stays_inside(name, links):
            raise _refused(archive, f"link {name} leads to {target}, outside of it")
    for name, target in links.items():
        os.symlink(target, os.path.join(folder, *name.split("/")))


def _iter_members(archive: str) -> Iterator[_Member]:
    if archive.endswith(".zip"):
        yield from _iter_zip(archive)
    else:
        yield from _iter_tar(archive)


def _iter_zip(archive: str) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            mode = info.external_attr >> 16
            is_link = stat.S_ISLNK(mode)
            kind = "folder" if info.is_dir() else "link" if is_link else "file"
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                raise _refused(archive, f"{info.filename} is no file")
            yield _Member(
                info.filename,
                kind,
                stat.S_IMODE(mode) or 0o644,
                time.mktime((*info.date_time, 0, 0, -1)),
                packed.read(info).decode("utf-8") if is_link else "",
                lambda info=info: packed.open(info),  # type: ignore[misc]
            )


def _iter_tar(archive: str) -> Iterator[_Member]:
    with _open_tar(archive) as packed:
        for info in packed:
            if info.isdir():
                kind = "folder"
            elif info.isreg():
                kind = "file"
            elif info.issym() or info.islnk():
                kind = "link" if info.issym() else "hardlink"
            else:
                raise _refused(archive, f"{info.name} is no file, folder or link")

            def read(info: tarfile.TarInfo = info) -> IO[bytes]:
                content = packed.extractfile(info)
                assert content is not None, "a file has content"
                return content

            yield _Member(info.name, kind, info.mode, info.mtime, info.linkname, read)


@contextlib.contextmanager
def _open_tar(archive: str) -> Iterator[tarfile.TarFile]:
    """The tar to be read once; raises TarError in the end if its end mark is missing."""
    with _open_plain(archive) as stream:
        source: Any = _Counted(stream)
        with tarfile.open(fileobj=source, mode="r|") as packed:
            yield packed
            while source.read(_COPY_BYTES):
                pass
            if source.bytes_read < packed.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it was cut")


def _open_plain(archive: str) -> Any:
    if not archive.endswith(".zst"):
        return gzip.open(archive)
    import pyarrow as pa

    return pa.input_stream(archive, compression="zstd")


class _Counted:
    """A stream that knows how much of it was read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.bytes_read = 0

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes, none at the end."""
        text: bytes = self._stream.read(count)
        self.bytes_read += len(text)
        return text


def _clean(name: str, archive: str) -> str:
    """The name with plain parts only, empty for the archive's root."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise _refused(archive, f"{name!r} would be written outside of it")
    return "/".join(parts)


def _write_file(member: _Member, path: str) -> None:
    mode = 0o755 if member.mode & 0o100 else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with member.open() as source, os.fdopen(os.open(path, flags, mode), "wb") as file:
        shutil.copyfileobj(source, file, _COPY_BYTES)
    mtime = max(member.mtime, _EARLIEST)
    os.utime(path, (mtime, mtime))


def _stays_inside(name: str, links: dict[str, str]) -> bool:
    """Whether a link, followed through the other links as the system does, stays in the folder."""
    at: list[str] = name.split("/")[:-1]
    ahead = _parts_of(links[name])
    followed = 1
    if links[name].startswith("/"):
        return False
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not at:
                return False
            at.pop()
            continue
        at.append(part)
        target = links.get("/".join(at))
        if target is not None:
            followed += 1
            if followed > _MAX_LINKS or target.startswith("/"):
                return False
            at.pop()
            ahead += _parts_of(target)
    return True


def _parts_of(target: str) -> list[str]:
    """The parts of a link's target, the first one last."""
    return [part for part in target.split("/") if part not in ("", ".")][::-1]


def _refused(archive: str, reason: str) -> StorageError:
    return StorageError(
        f"archive {archive} is refused: {reason}; pack it again without such members",
        condition="ARCHIVE_REFUSED",
        path=archive,
    )
