"""The list of exactly which inputs a job scores, in its folder. Any process.

A line of JSON each: first ``{"protocol": 1, "count": n}``, then ``n`` paths relative to the input's
root. Written by the control plane, read by the driver.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparkscore.errors import MessageError
from sparkscore.messages.codec import PROTOCOL_VERSION

INPUT_LIST_FILE = "inputs.jsonl"
"""Name of the list in a job folder."""


def write_input_list(file: Path, paths: Sequence[str]) -> None:
    """Write the list; it must not be there yet."""
    with open(file, "x", encoding="utf-8") as lines:
        lines.write(json.dumps({"protocol": PROTOCOL_VERSION, "count": len(paths)}) + "\n")
        lines.writelines(json.dumps(path) + "\n" for path in paths)


def read_input_list(file: Path) -> list[str]:
    """The paths; raises MessageError if the list cannot be read, or is not whole."""
    try:
        with open(file, encoding="utf-8") as lines:
            values = [json.loads(line) for line in lines]
    except OSError as error:
        raise MessageError(f"{file} cannot be read: {error.strerror}", where=str(file)) from error
    except (ValueError, RecursionError) as error:
        raise MessageError(f"{file} is no list of inputs: {error}", where=str(file)) from error
    header, paths = values[:1], values[1:]
    if header != [{"protocol": PROTOCOL_VERSION, "count": len(paths)}]:
        raise MessageError(
            f"{file} is not whole, or of another protocol version: it begins with {header} and "
            f"names {len(paths)} inputs",
            where=str(file),
        )
    for path in paths:
        if not _is_below(path):
            raise MessageError(
                f"{file} names {path!r}, which is no path below the input's root", where=str(file)
            )
    return paths


def _is_below(path: Any) -> bool:
    return (
        isinstance(path, str)
        and bool(path)
        and "\0" not in path
        and not os.path.isabs(path)
        and ".." not in path.split("/")
    )
