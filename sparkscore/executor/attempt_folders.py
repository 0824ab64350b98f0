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


class AttemptFolders:
    """The output folder of one worker's script host, below ``root`` (a local path)."""

    def __init__(self, root: str) -> None:
        self._root = os.path.join(root, uuid.uuid4().hex)
        self.current = os.path.join(self._root, "current")
        os.makedirs(self.current)

    def begin(self) -> tuple[str, ...]:
        """Start an attempt; returns the folders that the script has made in advance."""
        os.makedirs(self.current, exist_ok=True)
        made: list[str] = []
        for folder, names, _ in os.walk(self.current):
            made.extend(os.path.relpath(os.path.join(folder, name), self.current) for name in names)
        return tuple(made)

    def keep(self, made: tuple[str, ...], mini_batch_id: int) -> str | None:
        """Move the files of a successful attempt away; their new folder, None if there are none."""
        if os.path.islink(self.current) or not os.path.isdir(self.current):
            self.discard(made)
            return None
        if not any(names for _, _, names in os.walk(self.current)):
            return None
        kept = os.path.join(self._root, f"{mini_batch_id}-{uuid.uuid4().hex}")
        os.rename(self.current, kept)
        self._renew(made)
        return kept

    def discard(self, made: tuple[str, ...]) -> None:
        """Throw away what a failed attempt wrote."""
        thrown = os.path.join(self._root, f"thrown-{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.current, thrown)
        remove_tree(thrown)
        self._renew(made)

    def _renew(self, made: tuple[str, ...]) -> None:
        os.makedirs(self.current, exist_ok=True)
        for folder in made:
            os.makedirs(os.path.join(self.current, folder), exist_ok=True)


def remove_tree(path: str) -> None:
    """Remove a file, link or folder with all below as far as that is possible."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    shutil.rmtree(path, ignore_errors=True)
