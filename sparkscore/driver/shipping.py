"""Gives executors what they run and read, where they see no folder of ours. Spark driver process.

Spark's own file server does it: each executor fetches each file once. Archives are packed the same
from the same content, so that a session that has a file already is not given another one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from sparkscore.driver.environment import pin_environment
from sparkscore.driver.executor_package import write_executor_package
from sparkscore.driver.job_folder import replace_text
from sparkscore.errors import StorageError
from sparkscore.executor.shipped import Shipped, ShippedFile
from sparkscore.messages.launch import LaunchMessage

_SAME_PROCESS = re.compile(r"local(\[.*\])?")
_FOLDER = "sparkscore"
_DATE = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 1024 * 1024
_ONE_AT_A_TIME = threading.Lock()


def ship_job(spark: SparkSession, launch: LaunchMessage) -> Shipped | None:
    """Give the executors of a cluster our package, and a relayed job's model and code.

    None if workers find those at the paths of the launch message. Raises OSError or StorageError.
    Jobs of one session that start at the same time do it one after the other.
    """
    context, scoring = spark.sparkContext, launch.scoring
    with _ONE_AT_A_TIME:
        if not _SAME_PROCESS.fullmatch(str(context.master)):
            package = write_executor_package(_folder())
            _give(package, "executor", _digest_of(package), context.addPyFile)
        if not launch.relay:
            return None
        launch = pin_environment(launch)
        code = scoring.code_folder
        return Shipped(
            model=_give_folder(Path(scoring.model_folder), "model", context.addFile),
            code=None if code is None else _give_folder(Path(code), "code", context.addFile),
            environment=_give_environment(launch, context.addFile),
        )


def _folder() -> Path:
    """Lives as long as the session: its file server reads there whenever an executor comes."""
    folder = Path(SparkFiles.getRootDirectory(), _FOLDER)
    folder.mkdir(exist_ok=True)
    return folder


def _give_environment(launch: LaunchMessage, add: Callable[[str], None]) -> str | None:
    """The name under which executors have the archive of the job's Python."""
    environment = launch.scoring.environment
    if environment is None or environment.archive is None:
        return None
    given = _find_given("environment", environment.digest)
    if given is not None:
        return given
    suffix = os.path.basename(environment.archive).partition(".")[2]
    with _making(f"environment.{suffix}") as made:
        shutil.copyfile(Path(launch.job_folder, environment.archive), made)
        return _give(made, "environment", environment.digest, add)


def _give_folder(folder: Path, kind: str, add: Callable[[str], None]) -> ShippedFile:
    with _making(f"{kind}.zip") as made:
        digest = _digest_of(pack_folder(folder, made))
        return ShippedFile(_give(made, kind, digest, add), digest)


@contextmanager
def _making(name: str) -> Iterator[Path]:
    """A new file in our folder, which goes if it was not given to anybody."""
    made = _folder() / f".{uuid.uuid4().hex}-{name}"
    try:
        yield made
    finally:
        made.unlink(missing_ok=True)


def _give(made: Path, kind: str, digest: str, add: Callable[[str], None]) -> str:
    """Let executors have a file, under a name by its content; returns the name.

    Spark gives a name to one file for good, also if that failed half-way. So a name that was tried
    in vain is not tried again; the file stays, because executors that come may ask for it.
    """
    given = _find_given(kind, digest)
    if given is not None:
        return given
    suffix = "".join(made.name.lstrip(".").partition(".")[1:])
    names = (f"sparkscore-{kind}-{digest[:16]}-{number}{suffix}" for number in count(1))
    path = next(path for name in names if not (path := made.with_name(name)).exists())
    made.replace(path)
    try:
        add(str(path))
    except BaseException:
        Path(SparkFiles.getRootDirectory(), path.name).unlink(missing_ok=True)
        raise
    replace_text(_note_of(kind, digest), path.name)
    return path.name


def _find_given(kind: str, digest: str) -> str | None:
    """The name under which executors have this content already."""
    note = _note_of(kind, digest)
    return note.read_text() if note.exists() else None


def _note_of(kind: str, digest: str) -> Path:
    return _folder() / f"{kind}-{digest}.given"


def pack_folder(folder: Path, archive: Path) -> Path:
    """A zip of what stands below ``folder``, links followed; the same bytes for the same content.

    Not compressed: models hardly shrink. Raises OSError, or StorageError (FOLDER_HOLDS_SCRATCH) if
    the archive would have to hold itself.
    """
    if archive.parent.resolve().is_relative_to(folder.resolve()):
        raise StorageError(
            f"{folder} cannot be given to executors: {archive.parent}, where it is packed, lies in "
            "it; put model and code into folders of their own",
            condition="FOLDER_HOLDS_SCRATCH",
            path=str(folder),
        )
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
