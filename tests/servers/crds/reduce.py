"""Makes a published CRD smaller: one version's schema, without descriptions. For developers."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import yaml


def reduce_crd(source: Path, *, version: str, made: Path) -> None:
    """Write the schema of ``version`` as compressed JSON, the same bytes each time."""
    crd = yaml.safe_load(source.read_text(encoding="utf-8"))
    (found,) = (entry for entry in crd["spec"]["versions"] if entry["name"] == version)
    schema = {"group": crd["spec"]["group"], "version": version}
    schema["schema"] = _without_descriptions(found["schema"]["openAPIV3Schema"])
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    made.write_bytes(gzip.compress(text.encode(), mtime=0))


def _without_descriptions(schema: Any) -> Any:
    """A description is a text; a property of this name is a schema."""
    if isinstance(schema, list):
        return [_without_descriptions(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_descriptions(value)
        for key, value in schema.items()
        if not (key == "description" and isinstance(value, str))
    }


if __name__ == "__main__":
    reduce_crd(Path(sys.argv[1]), version=sys.argv[2], made=Path(sys.argv[3]))
