"""Reads ``failed_inputs.csv`` of a job folder. Control plane, needs no library.

A running job's file is read as far as it is written: its last line may be torn.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from sparkscore.errors import MessageError, NotFoundError

FAILED_INPUTS_FILE = "failed_inputs.csv"

_LONGEST_FIELD = 2**31 - 1
"""A short result of a large mini-batch names all its inputs in one field."""


def iter_failed_inputs(folder: Path, *, decoding: str = "strict") -> Iterator[dict[str, str]]:
    """A dictionary for each line: path, mini_batch_id, condition, message, count and the rest.

    ``decoding`` says what becomes of bytes that are no UTF-8, as ``errors`` of ``open`` does.

    Raises NotFoundError (FAILED_INPUTS_NOT_FOUND) or MessageError.
    """
    file = folder / FAILED_INPUTS_FILE
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with open(file, encoding="utf-8", errors=decoding, newline="") as lines:
            for line in csv.DictReader(lines):
                if None not in line and None not in line.values():
                    yield line
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{file} is not there: the job has not come so far, or its folder is gone",
            condition="FAILED_INPUTS_NOT_FOUND",
            path=str(file),
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MessageError(f"{file} cannot be read: {error}", where=str(file)) from error


def read_count(line: dict[str, str], *, where: str) -> int:
    """How many failed inputs a line stands for; raises MessageError."""
    try:
        return int(line["count"])
    except (KeyError, ValueError) as error:
        raise MessageError(f"{where}: a line has no count: {json.dumps(line)}") from error
