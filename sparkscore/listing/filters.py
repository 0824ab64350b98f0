"""Which files of an input are taken: globs in its URI, include and exclude patterns. Any process.

``*`` and ``?`` stay within a name, ``**`` crosses folders, ``[...]`` is a set of characters; upper
and lower case differ. A pattern without ``/`` is one of the name, at any depth; one that ends with
``/`` takes all below the folder.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

HIDDEN_PREFIXES = (".", "_")

_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)


@dataclass
class Skipped:
    """How many names were left out: by the rule of hidden names, and by patterns."""

    hidden: int = 0
    filtered: int = 0


class NameFilter:
    """Takes or leaves files by their path relative to the input's folder.

    ``max_depth`` is how many names a path that is taken can have at most, None for any number.
    """

    def __init__(
        self,
        *,
        glob: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        skips_hidden: bool = True,
    ) -> None:
        self._skips_hidden = skips_hidden
        self._glob = compile_pattern(glob) if glob else None
        self._include = [_compile_filter(pattern) for pattern in include]
        self._exclude = [_compile_filter(pattern) for pattern in exclude]
        self.max_depth = glob.count("/") + 1 if glob and "**" not in glob else None

    def hides(self, name: str) -> bool:
        """Whether a file or folder of this name is left out as a hidden one."""
        return self._skips_hidden and name.startswith(HIDDEN_PREFIXES)

    def find_hidden(self, path: str) -> str | None:
        """The path up to its first hidden name, None if no name in it is hidden."""
        parts = path.split("/")
        for depth, part in enumerate(parts, start=1):
            if self.hides(part):
                return "/".join(parts[:depth])
        return None

    def takes(self, path: str) -> bool:
        """Whether this file is an input."""
        return (
            (self._glob is None or self._glob.fullmatch(path) is not None)
            and (not self._include or _matches(path, self._include))
            and not _matches(path, self._exclude)
        )

    def enters(self, folder: str) -> bool:
        """Whether a file in this folder (``a/b/``, ``""`` for the input itself) could be taken."""
        return self.max_depth is None or folder.count("/") < self.max_depth


def split_glob(path: str, *, magic: str = "*?[") -> tuple[str, str] | None:
    """The folder that a glob starts from, and the pattern below it; None if it is no glob."""
    parts = path.split("/")
    plain = list(takewhile(lambda part: not _has(part, magic), parts))
    if len(plain) == len(parts):
        return None
    return "/".join(plain) or "/", "/".join(parts[len(plain) :])


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern for a whole relative path."""
    return re.compile("".join(_translate(pattern)), re.DOTALL)


def _has(part: str, magic: str) -> bool:
    return any(character in part for character in magic)


def _compile_filter(pattern: str) -> re.Pattern[str]:
    pattern = pattern.removeprefix("./").lstrip("/")
    if pattern.endswith("/"):
        return compile_pattern(f"{pattern}**")
    return compile_pattern(pattern if "/" in pattern else f"**/{pattern}")


def _matches(path: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(path) for pattern in patterns)


def _translate(pattern: str) -> Iterator[str]:
    for part in _PARTS.findall(pattern):
        if part == "**/":
            yield "(?:.*/)?"
        elif part == "**":
            yield ".*"
        elif part == "*":
            yield "[^/]*"
        elif part == "?":
            yield "[^/]"
        elif len(part) > 1:
            yield _character_set(part)
        else:
            yield re.escape(part)


def _character_set(part: str) -> str:
    """A set of characters as ``fnmatch`` has it, without its ``(?s:`` and end."""
    return f"(?!/){fnmatch.translate(part)[4:-3]}"
