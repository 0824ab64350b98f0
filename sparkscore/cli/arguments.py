"""What typer does not parse by itself. Control plane, pure."""

from __future__ import annotations

from collections.abc import Sequence

LIST_FLAGS = ("--set", "--conf")
"""Flags that may be followed by several values, as in ``--set a=1 b=2``."""


def repeat_flags(arguments: Sequence[str]) -> list[str]:
    """``--set a=1 b=2`` as ``--set a=1 --set b=2``."""
    repeated: list[str] = []
    flag = ""
    for position, argument in enumerate(arguments):
        if argument.startswith("-"):
            flag = argument if argument in LIST_FLAGS else ""
        elif flag and arguments[position - 1] != flag:
            repeated.append(flag)
        repeated.append(argument)
    return repeated
