"""Documents as the YAML that their users would write. Any process, pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def render_yaml(document: Mapping[str, Any]) -> str:
    """A document as YAML that loads again to an equal one; empty members are left out."""
    return yaml.safe_dump(_without_empty(document), sort_keys=False, allow_unicode=True)


def _without_empty(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return list(value) if isinstance(value, tuple) else value
    kept = {str(name): _without_empty(member) for name, member in value.items()}
    return {name: member for name, member in kept.items() if member not in (None, {}, [])}
