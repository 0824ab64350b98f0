"""A folder of its own for the files that each attempt writes. Python worker process.

Scripts read AZUREML_BI_OUTPUT_PATH once, so its path stays the same while its content is moved
away after a successful attempt and thrown away after a failed one. What is kept counts only if a
staged outcome names it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid

from sparkscore.executor.written_files import ENTRY_BYTES, iter_written


class AttemptFolders:
    """The output folder of one worker's script host, below ``root`` (a local path).

    ``told_root`` is the same root as outcomes name it, where the driver keeps another copy.
    """

    def __init__(self, root: str, *, told_root: str | None = None) -> None:
        worker = uuid.uuid4().hex
        self._parent = root
        self._root = os.path.join(root, worker)
        self._told_root = os.path.join(told_root or root, worker)
        self.current = os.path.join(self._root, "current")
        self._make_current()

    def begin(self) -> tuple[str, ...]:
        """Start an attempt; returns the folders that the script has made in advance."""
        self._make_current()
        made: list[str] = []
        for folder, names, _ in os.walk(self.current):
            made.extend(os.path.relpath(os.path.join(folder, name), self.current) for name in names)
        return tuple(made)

    def keep(self, made: tuple[str, ...], mini_batch_id: int) -> str | None:
        """Move the files of a successful attempt away; their new folder as outcomes name it, None
        if there are none."""
        if os.path.islink(self.current) or not os.path.isdir(self.current):
            self.discard(made)
            return None
        unreadable: list[OSError] = []
        found = os.walk(self.current, onerror=unreadable.append)
        if not any(names for _, _, names in found) and not unreadable:
            return None
        name = f"{mini_batch_id}-{uuid.uuid4().hex}"
        os.rename(self.current, os.path.join(self._root, name))
        self._renew(made)
        return os.path.join(self._told_root, name)

    def get_local(self, kept: str) -> str:
        """Where the folder that ``keep`` has named stands here."""
        return os.path.join(self._root, os.path.basename(kept))

    def get_name(self, kept: str) -> str:
        """The folder that ``keep`` has named, relative to the root."""
        return os.path.relpath(kept, os.path.dirname(self._told_root))

    def measure(self, *, most_bytes: int) -> int:
        """What the files of the present attempt take on their way, in bytes.

        Counts until it is more than ``most_bytes``. Raises StorageError
        (SCRIPT_FILE_NOT_READABLE).
        """
        size_bytes = 0
        for _, content in iter_written(self.current):
            size_bytes += os.fstat(content.fileno()).st_size + ENTRY_BYTES
            if size_bytes > most_bytes:
                break
        return size_bytes

    def discard(self, made: tuple[str, ...]) -> None:
        """Throw away what a failed attempt wrote."""
        thrown = os.path.join(self._root, f"thrown-{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.current, thrown)
        remove_tree(thrown)
        self._renew(made)

    def _renew(self, made: tuple[str, ...]) -> None:
        self._make_current()
        for folder in made:
            os.makedirs(os.path.join(self.current, folder), exist_ok=True)

    def _make_current(self) -> None:
        """Raises FileNotFoundError where what holds the root is gone, as it is once a job has
        ended: an attempt that Spark has given up shall not bring it back."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._parent)
        os.makedirs(self.current, exist_ok=True)


def remove_tree(path: str) -> None:
    """Remove a file, link or folder with all below as far as that is possible."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    shutil.rmtree(path, ignore_errors=True)
