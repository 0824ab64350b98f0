"""The reference's keys, verbs and flags, and what becomes of them here: ``rows.txt``.

``docs/make_reference_table.py`` makes the table of docs/reference-differences.md from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent / "rows.txt"
SINCE = ("2021", "later")
VERDICTS = ("works", "differs", "refused")


@dataclass(frozen=True)
class Row:
    """One key, verb or flag; ``test`` is the name of the test function that proves it."""

    section: str
    item: str
    since: str
    verdict: str
    test: str
    note: str


def read_rows() -> list[Row]:
    """All rows, by section in the order of the file."""
    rows, section = [], ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split(" | ")]
            item, since, verdict, test, note = (*cells, "")[:5]
            rows.append(Row(section, item, since, verdict, test, note))
    return rows
