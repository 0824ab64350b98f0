"""Closes connections on which nothing is asked. Control plane.

uvicorn waits for ever for a request that never becomes whole; with enough of these a client would
take all the connections that the server may have.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

SILENCE_SECONDS = 30.0
"""How long, and at most twice as long, a connection may be open without a request being whole."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, whose patience has an end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look_later(self.cycle)

    def _look_later(self, seen: Any) -> None:
        self.loop.call_later(SILENCE_SECONDS, self._look, seen)

    def _look(self, seen: Any) -> None:
        """Close the connection if no request has come since ``seen`` was answered."""
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle
        is_idle = cycle is None or cycle.response_complete
        if is_idle and cycle is seen:
            self.transport.close()
        else:
            self._look_later(cycle if is_idle else self)
