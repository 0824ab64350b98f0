"""Changes what a job says to people: names, description, tags. Control plane, pure."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from sparkscore.spec import load_document
from sparkscore.spec.job import JobSpec
from sparkscore.state.records import JobRecord


def edit_record(
    record: JobRecord,
    *,
    overrides: Sequence[str],
    additions: Sequence[Sequence[str] | str],
    removals: Sequence[Sequence[str] | str],
    force_string: bool,
) -> JobRecord:
    """The record with the changes of ``job update``; see ``load_document``. Raises SpecError."""
    loaded = load_document(
        JobSpec,
        {
            "display_name": record.display_name,
            "description": record.description,
            "tags": record.tags,
            "properties": record.properties,
        },
        overrides=overrides,
        additions=additions,
        removals=removals,
        force_string=force_string,
        source_name=f"job {record.name}",
    )
    spec = loaded.spec
    return dataclasses.replace(
        record,
        display_name=spec.display_name or record.name,
        description=spec.description,
        tags=dict(spec.tags),
        properties=dict(spec.properties),
        updated_at=time.time(),
    )
