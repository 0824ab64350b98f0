"""Jobs: start them, follow them, end them, read what they left. Control plane.

Names are imported on first use: a launcher is a module of this package and runs beside the driver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkscore.control.jobs.job import Job as Job
    from sparkscore.control.jobs.jobs import Jobs as Jobs
    from sparkscore.control.jobs.prune import PrunedJob as PrunedJob

_HOMES = {"Job": "job", "Jobs": "jobs", "PrunedJob": "prune"}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
