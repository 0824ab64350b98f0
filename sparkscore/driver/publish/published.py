"""What was published. Spark driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PublishedOutput:
    """The output of a job: ``rows`` in ``files`` files of ``bytes`` bytes together.

    ``table`` and ``version`` belong to Delta. ``renamed`` counts files of a summary_only job whose
    name was taken by an earlier mini-batch.
    """

    path: str
    format: str
    rows: int
    files: int
    bytes: int
    table: str | None = None
    version: int | None = None
    renamed: int = 0

    def to_summary(self) -> dict[str, Any]:
        """The entry ``output`` of summary.json."""
        content: dict[str, Any] = {"path": self.path, "format": self.format, "files": self.files}
        content["bytes"] = self.bytes
        if self.table is not None:
            content["table"] = self.table
        if self.version is not None:
            content["version"] = self.version
        if self.renamed:
            content["renamed"] = self.renamed
        return content
