"""The files that scripts wrote themselves, as one new folder. Spark driver, without Spark.

The files are linked (copied where links do not work) into a folder beside the output, which then
gets the output's name in one step. The attempts' own folders stay as they are, so that an
interrupted publish can be repeated.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from sparkscore.driver.publish.gate import (
    OPEN_GATE,
    PublishGate,
    describe,
    find_leftovers,
    get_output,
    temporary_name,
)
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.publish.storage import new_folders, output_exists, storage_errors
from sparkscore.errors import PublishError
from sparkscore.executor.attempt_folders import remove_tree
from sparkscore.messages.launch import OutputMessage

_CANNOT_BUILD_BESIDE = (errno.EACCES, errno.EPERM, errno.EROFS)
_TARGET_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def publish_folder(
    *,
    folders: Iterable[tuple[int, Sequence[str]]],
    output: OutputMessage,
    job_name: str,
    gate: PublishGate = OPEN_GATE,
) -> PublishedOutput:
    """Merge the attempts' folders (by mini-batch id) into ``output.path``.

    A folder that this job has published there is told of again, known by its inode or, where it
    was filled in place, by its entries. A name that an earlier mini-batch took gets
    ``-mb<id>`` before its suffix. Raises AlreadyExistsError (OUTPUT_EXISTS) if the output is a
    file or a folder with content, PublishError (STAGING_DAMAGED) if an attempt's folder is gone.
    """
    target = Path(output.path)
    with storage_errors(target):
        if _is_taken(target, job_name, gate.token):
            published = _find_published(target, gate)
            if published is not None:
                return published
            if not _take_back_partial(target, job_name, gate):
                raise output_exists(target)
        with new_folders(target.parent):
            building = _make_building_folder(target, job_name, gate.token)
            try:
                counts = _fill(building, sorted(folders), gate)
                published = PublishedOutput(path=str(target), format="files", rows=0, **counts)
                names = tuple(sorted(entry.name for entry in building.iterdir()))
                kind = "entries" if building.parent == target else "folder"
                gate.announce(describe(published, kind=kind, standing=building, names=names))
                _reveal(building, target)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return published


def _find_published(target: Path, gate: PublishGate) -> PublishedOutput | None:
    announced = gate.find_announced(str(target))
    if announced is None or not target.is_dir():
        return None
    names = tuple(sorted(entry.name for entry in target.iterdir()))
    is_ours = target.stat().st_ino == announced.inode or announced.kind == "entries"
    return get_output(announced) if is_ours and names == announced.names else None


def _take_back_partial(target: Path, job_name: str, gate: PublishGate) -> bool:
    """Empty an output whose entries a killed driver of this job had begun to move in; whether
    nothing else stood there."""
    announced = gate.find_announced(str(target))
    if announced is None or announced.kind != "entries" or not target.is_dir():
        return False
    entries = set(target.iterdir()) - set(find_leftovers(target, job_name, gate.token))
    if not {entry.name for entry in entries} <= set(announced.names):
        return False
    for entry in entries:
        remove_tree(str(entry))
    return True


def _is_taken(target: Path, job_name: str, token: int) -> bool:
    if not target.is_dir():
        return target.exists() or target.is_symlink()
    return set(target.iterdir()) != set(find_leftovers(target, job_name, token))


def _make_building_folder(target: Path, job_name: str, token: int) -> Path:
    """Beside the output; inside it where it stands and its parent is closed to us or elsewhere."""
    beside = target.with_name(temporary_name(f"{target.name}.{job_name}", token))
    inside = target / temporary_name(job_name, token)
    building = inside if target.is_mount() else beside
    beside_left = find_leftovers(target.parent, f"{target.name}.{job_name}", token)
    for left in (*beside_left, *find_leftovers(target, job_name, token)):
        shutil.rmtree(left, ignore_errors=True)
    try:
        building.mkdir()
    except OSError as error:
        if error.errno not in _CANNOT_BUILD_BESIDE or not target.is_dir():
            raise
        inside.mkdir()
        return inside
    return building


def _fill(
    building: Path, folders: Iterable[tuple[int, Sequence[str]]], gate: PublishGate
) -> dict[str, Any]:
    names = _Names()
    counts = {"files": 0, "bytes": 0, "renamed": 0}
    for mini_batch_id, attempts in folders:
        for attempt in attempts:
            for source, relative in _iter_files(Path(attempt)):
                gate.check()
                name = names.take(relative, mini_batch_id)
                counts["files"] += 1
                counts["bytes"] += source.lstat().st_size
                counts["renamed"] += name != relative
                _place(source, building / name)
    return counts


def _iter_files(folder: Path) -> Iterator[tuple[Path, PurePosixPath]]:
    """Regular files and links below a folder, in a fixed order; pipes and sockets are left out."""
    if not folder.is_dir():
        raise PublishError(
            f"the folder {folder} of a successful attempt is gone; run the job again",
            condition="STAGING_DAMAGED",
            file=str(folder),
        )

    def refuse(error: OSError) -> None:
        raise PublishError(
            f"{error.filename}, which a script wrote, cannot be read ({error.strerror}): nothing "
            "was published; let the account of the driver read it, then run the job again",
            condition="SCRIPT_FILE_NOT_READABLE",
            file=str(error.filename),
        ) from error

    for parent, folder_names, file_names in os.walk(folder, onerror=refuse):
        folder_names.sort()
        links = [name for name in folder_names if os.path.islink(os.path.join(parent, name))]
        for name in sorted(file_names + links):
            path = Path(parent, name)
            if path.is_symlink() or path.is_file():
                yield path, PurePosixPath(path.relative_to(folder))


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and not source.is_file():
        target.symlink_to(source.readlink())
        return
    if not source.is_symlink():
        try:
            os.link(source, target)
            return
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
    shutil.copyfile(source, target)
    with suppress(OSError):  # mounted stores keep neither modes nor times
        shutil.copystat(source, target)


def _reveal(building: Path, target: Path) -> None:
    if building.parent == target:
        for entry in sorted(building.iterdir()):
            entry.rename(target / entry.name)
        return
    try:
        if target.is_dir():
            with suppress(OSError):
                shutil.copymode(target, building)
        building.rename(target)
    except OSError as error:
        if error.errno in _TARGET_TAKEN:
            raise output_exists(target) from error
        raise


class _Names:
    """Relative names given out so far; a name is a file or a folder, never both."""

    def __init__(self) -> None:
        self._files: set[PurePosixPath] = set()
        self._folders: set[PurePosixPath] = {PurePosixPath()}

    def take(self, wanted: PurePosixPath, mini_batch_id: int) -> PurePosixPath:
        """``wanted``, or its first free variant for this mini-batch."""
        folder = PurePosixPath()
        for part in wanted.parts[:-1]:
            folder = self._free(folder / part, mini_batch_id, for_folder=True)
            self._folders.add(folder)
        name = self._free(folder / wanted.name, mini_batch_id, for_folder=False)
        self._files.add(name)
        return name

    def _free(
        self, wanted: PurePosixPath, mini_batch_id: int, *, for_folder: bool
    ) -> PurePosixPath:
        return next(
            name
            for name in _variants(wanted, mini_batch_id)
            if name not in self._files and (for_folder or name not in self._folders)
        )


def _variants(wanted: PurePosixPath, mini_batch_id: int) -> Iterator[PurePosixPath]:
    yield wanted
    marked = f"{wanted.stem}-mb{mini_batch_id}"
    yield wanted.with_name(f"{marked}{wanted.suffix}")
    for number in itertools.count(2):
        yield wanted.with_name(f"{marked}-{number}{wanted.suffix}")
