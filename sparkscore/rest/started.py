"""Tells what a request made from what was there: 201 or 200. Control plane."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends, Response

_MILLISECONDS = 1000


class Started:
    """When a request came."""

    def __init__(self) -> None:
        self._at = time.time()

    def set_status(self, response: Response, created_at: float | None) -> None:
        """201 for what was made, 200 for what was changed or there.

        ``created_at`` is in seconds since the epoch; MLflow's are whole milliseconds.
        """
        first = int(self._at * _MILLISECONDS) / _MILLISECONDS
        is_new = created_at is not None and created_at >= first
        response.status_code = 201 if is_new else 200


async def note_start() -> Started:
    """A dependency of handlers that make things."""
    return Started()


StartedAt = Annotated[Started, Depends(note_start)]
