"""Times as callers see them. Control plane, pure."""

from __future__ import annotations

from datetime import datetime, timezone


def render_time(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, such as 2021-10-21T08:00:00.123456Z."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
