"""What users may change of a job that is there. Any process."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sparkscore.spec.grammar import Document, Grammar
from sparkscore.spec.types import StringMap, Text

_FIXED = "a job keeps what it was invoked with: invoke another one"


class JobSpec(Document):
    """The parts of a job that are for people."""

    grammar: ClassVar[Grammar] = Grammar(
        kind="job",
        refused={
            "name": "a job keeps its name: set display_name",
            "status": "the status tells what happened: `sparkscore job cancel` ends a job",
            "experiment_name": _FIXED,
            "inputs": _FIXED,
            "outputs": _FIXED,
            "settings": _FIXED,
            "compute": _FIXED,
        },
    )

    display_name: Text | None = Field(default=None, description="Name for people.")
    description: Text | None = Field(default=None, description="What it is for, for people.")
    tags: StringMap = Field(default_factory=dict, description="Tags, name to value.")
    properties: StringMap = Field(default_factory=dict, description="Properties, name to value.")
