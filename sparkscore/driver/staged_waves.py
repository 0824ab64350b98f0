"""Which staged waves count, and whether their files are still whole. Spark driver, without Spark.

A wave is staged in ``wave-<number>.<token>``, with the lease's token of the driver that scores it,
and counts once that driver has written ``_committed.json`` into it: size, checksum and mini-batches
of each file.

A driver that has lost its lease may not know it yet, and its executors may go on writing: a zombie.
It can only write into folders with its own token, and a later driver writes down once, as
``inherited.<token>.json``, which waves of earlier drivers it found committed. What counts is
decided by the newest of these lists: the waves on it, and those of its own token. So whatever a
zombie commits after that list was written never counts, however late it wakes up, and no clock is
asked.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sparkscore.driver.job_folder import name_script_folder, replace_text
from sparkscore.driver.staging import read_outcomes, wave_files
from sparkscore.errors import MessageError, PublishError
from sparkscore.executor.attempt_folders import remove_tree
from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.outcome import INIT_FAILED, MiniBatchOutcome
from sparkscore.messages.resume import InheritedWaves, StagedFile, WaveCommit

COMMIT_NAME = "_committed.json"

_WAVE = re.compile(r"wave-(\d+)\.(\d+)")
_INHERITED = re.compile(r"inherited\.(\d+)\.json")
_READ_BYTES = 1024 * 1024
_READERS = 4
_MAX_UNREADABLE_COUNT = 10


class StagedWaves:
    """The committed waves below a staging folder, as the driver with ``token`` counts them.

    A job may stage a file for each of 200,000 tasks: of them a packed list is kept, wave by wave.
    """

    def __init__(self, folder: Path, *, token: int) -> None:
        self._folder, self._token = folder, token
        self._waves: dict[str, bytes] = {}
        self._next_number = 0
        self._unreadable_count = 0

    @property
    def files(self) -> list[Path]:
        """The staged files that count, in the order of their mini-batches."""
        return [file for _, file in sorted((staged.first, file) for file, staged in self._iter())]

    def iter_waves(self) -> Iterator[list[Path]]:
        """The same files, those of each wave together."""
        for name in list(self._waves):
            yield [file for file, _ in self._iter_wave(name)]

    @property
    def mini_batch_ids(self) -> list[int]:
        """The mini-batches that these files hold, in order."""
        held = sorted((staged.first, staged.stop) for _, staged in self._iter())
        return [number for first, stop in held for number in range(first, stop)]

    def restore(self, *, check: Callable[[], None] = lambda: None) -> int:
        """Take over the committed waves of earlier drivers; returns how many mini-batches of them
        have to be scored again, because their files are damaged.

        What else waves have left is removed. Raises what ``check`` raises, which is asked often.
        """
        commits = self._find_commits()
        self._next_number = 1 + max(map(_number_of, self._wave_folders()), default=-1)
        for folder in self._wave_folders():
            check()
            if folder.name not in commits:
                remove_tree(str(folder))
        inherited = InheritedWaves(self._token, tuple(sorted(commits)))
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_text(self._folder / f"inherited.{self._token}.json", to_json(inherited))
        self._waves = {name: _pack(commit) for name, commit in sorted(commits.items())}
        return self.drop_damaged(check=check)

    def take_folder(self) -> tuple[int, Path]:
        """Number and folder of a new wave."""
        number = self._next_number
        self._next_number += 1
        return number, self._folder / f"wave-{number:05d}.{self._token}"

    def commit(
        self, folder: Path, *, confirm: Callable[[], None] = lambda: None
    ) -> list[MiniBatchOutcome]:
        """Let a wave count whose job has succeeded; returns its outcomes by mini-batch.

        A file that cannot be read is left out, and so are its outcomes. A wave in which ``init()``
        failed does not count: its mini-batches were not scored. Nothing counts if ``confirm``
        raises.
        """
        outcomes: list[MiniBatchOutcome] = []
        found: list[StagedFile] = []
        for file in wave_files(folder):
            held = self._read(file)
            if held:
                outcomes.extend(held)
                found.append(_describe(file, held))
        confirm()
        if not any(outcome.status == INIT_FAILED for outcome in outcomes):
            commit = WaveCommit(self._token, tuple(found))
            replace_text(folder / COMMIT_NAME, to_json(commit))
            self._waves[folder.name] = _pack(commit)
        return sorted(outcomes, key=lambda outcome: outcome.mini_batch_id)

    def find_damaged(self, *, check: Callable[[], None] = lambda: None) -> list[Path]:
        """The files that are gone, or not as they were when their waves were committed.

        Raises what ``check`` raises, which is asked after each file.
        """
        damaged = []
        pool = ThreadPoolExecutor(_READERS)
        try:
            for name in list(self._waves):
                items = list(self._iter_wave(name))
                for (file, _), is_whole in zip(items, pool.map(_is_whole, items), strict=True):
                    check()
                    if not is_whole:
                        damaged.append(file)
        finally:
            pool.shutdown(cancel_futures=True)
        return damaged

    def drop_damaged(
        self, *, lost: Collection[int] = (), check: Callable[[], None] = lambda: None
    ) -> int:
        """Remove damaged files and those with mini-batches of ``lost``; returns how many
        mini-batches they held."""
        bad = {
            *self.find_damaged(check=check),
            *self._find_holding(lost),
            *self._find_repeated(),
        }
        count = 0
        for name in {file.parent.name for file in bad}:
            kept = []
            for file, staged in self._iter_wave(name):
                if file in bad:
                    count += staged.stop - staged.first
                    remove_tree(str(file))
                else:
                    kept.append(staged)
            self._waves[name] = _pack(WaveCommit(self._token, tuple(kept)))
        return count

    def _find_repeated(self) -> list[Path]:
        """Files with mini-batches that a later wave holds too.

        A store may still have a staged file that was damaged here, and scored again since.
        """
        repeated: list[Path] = []
        stop, number, last = 0, -1, None
        items = (
            (staged.first, _number_of(file.parent), staged, file) for file, staged in self._iter()
        )
        for first, wave, staged, file in sorted(items, key=lambda item: item[:2]):
            if last is not None and first < stop and wave < number:
                repeated.append(file)
                continue
            if last is not None and first < stop:
                repeated.append(last)
            stop, number, last = staged.stop, wave, file
        return repeated

    def _find_holding(self, ids: Collection[int]) -> list[Path]:
        wanted = sorted(ids)
        return [
            file
            for file, staged in self._iter()
            if bisect_left(wanted, staged.first) < bisect_left(wanted, staged.stop)
        ]

    def _iter(self) -> Iterator[tuple[Path, StagedFile]]:
        for name in self._waves:
            yield from self._iter_wave(name)

    def _iter_wave(self, name: str) -> Iterator[tuple[Path, StagedFile]]:
        folder = self._folder / name
        return ((folder / staged.name, staged) for staged in _unpack(self._waves[name]))

    def _read(self, file: Path) -> list[MiniBatchOutcome]:
        """The outcomes in a file just written; none if it was damaged meanwhile."""
        try:
            return read_outcomes([file])
        except (PublishError, MessageError):
            self._unreadable_count += 1
            if self._unreadable_count > _MAX_UNREADABLE_COUNT:
                raise
            remove_tree(str(file))
            return []

    def _find_commits(self) -> dict[str, WaveCommit]:
        token, inherited = self._find_inherited()
        commits = {}
        for folder in self._wave_folders():
            if folder.name in inherited or _token_of(folder) == token:
                commit = _find_commit(folder)
                if commit is not None:
                    commits[folder.name] = commit
        return commits

    def _find_inherited(self) -> tuple[int, tuple[str, ...]]:
        """The newest driver that has staged before, and what it took over."""
        matches = (_INHERITED.fullmatch(path.name) for path in _entries(self._folder))
        token = max((int(match.group(1)) for match in matches if match), default=0)
        file = self._folder / f"inherited.{token}.json"
        try:
            return token, from_json(InheritedWaves, file.read_bytes(), where=str(file)).waves
        except (OSError, MessageError):
            return token, ()

    def _wave_folders(self) -> list[Path]:
        return [path for path in _entries(self._folder) if _WAVE.fullmatch(path.name)]


def remove_unnamed(folder: Path, named: Iterable[str]) -> None:
    """Remove what scripts wrote below ``folder`` in attempts that no outcome names."""
    kept = set(map(name_script_folder, named))
    for worker in _entries(folder):
        for attempt in _entries(worker):
            if name_script_folder(str(attempt)) not in kept:
                remove_tree(str(attempt))
        with suppress(OSError):
            worker.rmdir()


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _pack(commit: WaveCommit) -> bytes:
    return zlib.compress(to_json(commit).encode(), level=1)


def _unpack(packed: bytes) -> tuple[StagedFile, ...]:
    return from_json(WaveCommit, zlib.decompress(packed), where="a packed commit").files


def _number_of(folder: Path) -> int:
    return int(folder.name.partition("-")[2].partition(".")[0])


def _token_of(folder: Path) -> int:
    return int(folder.name.partition(".")[2])


def _find_commit(folder: Path) -> WaveCommit | None:
    file = folder / COMMIT_NAME
    try:
        return from_json(WaveCommit, file.read_bytes(), where=str(file))
    except (OSError, MessageError):
        return None


def _describe(file: Path, outcomes: list[MiniBatchOutcome]) -> StagedFile:
    size_bytes, checksum = _measure(file)
    return StagedFile(
        file.name,
        size_bytes,
        checksum,
        first=outcomes[0].mini_batch_id,
        stop=outcomes[-1].mini_batch_id + 1,
    )


def _measure(file: Path) -> tuple[int, int]:
    size_bytes = checksum = 0
    with file.open("rb") as content:
        while chunk := content.read(_READ_BYTES):
            size_bytes += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
    return size_bytes, checksum


def _is_whole(item: tuple[Path, StagedFile]) -> bool:
    file, staged = item
    try:
        is_size_right = file.stat().st_size == staged.size_bytes
        return is_size_right and _measure(file) == (staged.size_bytes, staged.crc32)
    except OSError:
        return False
