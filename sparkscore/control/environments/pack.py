"""Packs an environment into one file that any machine can unpack anywhere. Control plane."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sparkscore.control.environments.build import REQUIREMENTS_FILE
from sparkscore.control.environments.cache import locking
from sparkscore.errors import InvalidFieldError

_SECONDS = 315532800
"""The time of every member: equal environments give equal bytes."""

_LEFT_OUT = frozenset({"__pycache__", "include", REQUIREMENTS_FILE})


def pack_environment(
    folder: Path, file: Path, *, on_poll: Callable[[], None] = lambda: None
) -> None:
    """Write ``file`` (.tar.zst) with what ``folder`` holds, unless it is there.

    Raises InvalidFieldError (ENVIRONMENT_NOT_SELF_CONTAINED) for a link that leaves the folder.
    """
    if file.exists():
        return
    import pyarrow as pa

    with locking(file, on_poll=on_poll):
        if file.exists():
            return
        partial = file.with_name(f".{file.name}.partial")
        try:
            with pa.output_stream(str(partial), compression="zstd") as stream:
                _write(stream, folder, on_poll)
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)


def _write(stream: Any, folder: Path, on_poll: Callable[[], None]) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in _iter_paths(folder):
            on_poll()
            _add(archive, folder, path)


def _iter_paths(folder: Path) -> Iterator[Path]:
    """Files and links below the folder, sorted; ``include`` and the like only at its top."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        left_out = _LEFT_OUT if here == folder else {"__pycache__"}
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(set(folders) - left_out - set(linked))
        yield from (here / name for name in sorted([*files, *linked]) if name not in left_out)


def _add(archive: tarfile.TarFile, folder: Path, path: Path) -> None:
    member = tarfile.TarInfo(path.relative_to(folder).as_posix())
    member.mtime = _SECONDS
    if path.is_symlink():
        member.type, member.linkname = tarfile.SYMTYPE, _get_inner_target(folder, path)
        archive.addfile(member)
        return
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return
    member.size = status.st_size
    member.mode = 0o755 if status.st_mode & 0o100 else 0o644
    with path.open("rb") as content:
        archive.addfile(member, content)


def _get_inner_target(folder: Path, link: Path) -> str:
    """Where the link leads, from its own folder."""
    real = os.path.realpath(link)
    if not os.path.exists(real) or not real.startswith(os.path.realpath(folder) + os.sep):
        raise not_self_contained(
            str(folder), f"{link.relative_to(folder)} leads to {os.readlink(link)}"
        )
    return os.path.relpath(real, os.path.realpath(link.parent))


def check_packed(file: Path) -> None:
    """Check that an environment that its user has packed brings its own interpreter.

    Raises InvalidFieldError (ENVIRONMENT_NOT_SELF_CONTAINED, ENVIRONMENT_NOT_READABLE).
    """
    try:
        members = dict(_iter_members(file))
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise InvalidFieldError(
            f"the packed environment {file} cannot be read: {error}; give a .tar.gz, .tgz, "
            ".tar.zst or .zip",
            condition="ENVIRONMENT_NOT_READABLE",
            path=str(file),
        ) from error
    name = "bin/python"
    for _ in range(16):
        if name not in members:
            break
        target = members[name]
        if target is None:
            return
        if target.startswith("/"):
            raise not_self_contained(str(file), f"{name} leads to {target}")
        name = os.path.normpath(os.path.join(os.path.dirname(name), target))
    raise not_self_contained(str(file), f"it has no {name}")


def _iter_members(file: Path) -> Iterator[tuple[str, str | None]]:
    """Names of members, each with the target of its link, None for what is none."""
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                is_link = stat.S_ISLNK(info.external_attr >> 16)
                yield _clean(info.filename), archive.read(info).decode() if is_link else None
        return
    with _open_stream(file) as stream, tarfile.open(fileobj=stream, mode="r|*") as packed:
        for member in packed:
            yield _clean(member.name), member.linkname if member.issym() else None


def _open_stream(file: Path) -> Any:
    if file.suffix != ".zst":
        return file.open("rb")
    import pyarrow as pa

    return io.BufferedReader(pa.input_stream(str(file), compression="zstd"))


def _clean(name: str) -> str:
    return os.path.normpath(name)


def not_self_contained(what: str, reason: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"environment {what} does not hold its own Python: {reason}, which other machines do not "
        "have; pack one with its interpreter (conda-pack does so, venv-pack does not)",
        condition="ENVIRONMENT_NOT_SELF_CONTAINED",
        path=what,
    )
