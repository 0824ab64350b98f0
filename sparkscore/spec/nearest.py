"""The known name that a user most likely meant. Any process, pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_NEAR = 0.72


def find_closest(name: str, known: Iterable[str]) -> str | None:
    """The name of ``known`` that is spelled most alike, None if none is near.

    Case, ``_`` and ``-`` do not count.
    """
    scored = sorted((-get_likeness(name, other), other) for other in known)
    return scored[0][1] if scored and is_near(-scored[0][0]) else None


def get_likeness(name: str, other: str) -> float:
    """1.0 for names that differ in case, ``_`` and ``-`` only, 0.0 for nothing in common."""
    return difflib.SequenceMatcher(None, squash(other), squash(name)).ratio()


def is_near(likeness: float) -> bool:
    """Whether two names are alike enough for one to be meant by the other."""
    return likeness >= _NEAR


def squash(name: str) -> str:
    """The name without what users mix up."""
    return name.lower().replace("_", "").replace("-", "")
