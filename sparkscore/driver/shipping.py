"""Gives executors what they run and read, where they see no folder of ours. Spark driver process.

Spark's own file server does it: each executor fetches each file once. Archives are packed the same
from the same content, so that a session that has a file already is not given another one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from sparkscore.driver.environment import pin_environment
from sparkscore.driver.executor_package import write_executor_package
from sparkscore.executor.shipped import Shipped, ShippedFile
from sparkscore.messages.launch import LaunchMessage

_SAME_PROCESS = re.compile(r"local(\[.*\])?")
_FOLDER = "sparkscore"
_DATE = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 1024 * 1024


def ship_job(spark: SparkSession, launch: LaunchMessage) -> Shipped | None:
    """Give the executors of a cluster our package, and a relayed job's model and code.

    None if workers find those at the paths of the launch message. Raises OSError.
    """
    context, scoring = spark.sparkContext, launch.scoring
    if not _SAME_PROCESS.fullmatch(str(context.master)):
        _ship(_move(write_executor_package(_folder()), "executor"), context.addPyFile)
    if not launch.relay:
        return None
    launch = pin_environment(launch)
    code = scoring.code_folder
    return Shipped(
        model=_ship_folder(Path(scoring.model_folder), "model", context.addFile),
        code=None if code is None else _ship_folder(Path(code), "code", context.addFile),
        environment=_ship_environment(launch, context.addFile),
    )


def _folder() -> Path:
    """Lives as long as the session: its file server reads there whenever an executor comes."""
    folder = Path(SparkFiles.getRootDirectory(), _FOLDER)
    folder.mkdir(exist_ok=True)
    return folder


def _ship_environment(launch: LaunchMessage, add: Callable[[str], None]) -> str | None:
    """The name under which executors have the archive of the job's Python."""
    environment = launch.scoring.environment
    if environment is None or environment.archive is None:
        return None
    suffix = os.path.basename(environment.archive).partition(".")[2]
    kept = _folder() / f"sparkscore-environment-{environment.digest}.{suffix}"
    if not kept.exists():
        shutil.copyfile(Path(launch.job_folder, environment.archive), kept)
        add(str(kept))
    return kept.name


def _ship_folder(folder: Path, name: str, add: Callable[[str], None]) -> ShippedFile:
    packed = _move(pack_folder(folder, _folder() / f".{name}.{uuid.uuid4().hex}"), name)
    _ship(packed, add)
    return ShippedFile(packed.path.name, packed.digest)


@dataclass(frozen=True)
class _Packed:
    path: Path
    digest: str
    is_new: bool


def _move(archive: Path, name: str) -> _Packed:
    """Give an archive a name by its content."""
    digest = _digest_of(archive)
    path = archive.with_name(f"sparkscore-{name}-{digest[:16]}.zip")
    is_new = not path.exists()
    archive.replace(path)
    return _Packed(path, digest, is_new)


def _ship(packed: _Packed, add: Callable[[str], None]) -> None:
    """Spark warns of what it has already."""
    if packed.is_new:
        add(str(packed.path))


def pack_folder(folder: Path, archive: Path) -> Path:
    """A zip of what stands below ``folder``, links followed; the same bytes for the same content.

    Not compressed: models hardly shrink.
    """
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for path, name in _iter_entries(folder):
            is_folder = path.is_dir()
            member = zipfile.ZipInfo(f"{name}/" if is_folder else name, _DATE)
            mode = 0o755 if is_folder or os.access(path, os.X_OK) else 0o644
            member.external_attr = mode << 16
            if is_folder:
                packed.writestr(member, b"")
                continue
            member.file_size = path.stat().st_size
            with path.open("rb") as source, packed.open(member, "w") as target:
                shutil.copyfileobj(source, target, _COPY_BYTES)
    return archive


def _iter_entries(folder: Path) -> Iterator[tuple[Path, str]]:
    """Folders and files below ``folder``, in order, with their relative names."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        here = Path(parent)
        for name in sorted([*folders, *names]):
            path = here / name
            if path.is_dir() or path.is_file():
                yield path, path.relative_to(folder).as_posix()


def _digest_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_COPY_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
