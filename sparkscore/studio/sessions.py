"""Who is logged in to Studio. Control plane; sessions live in the server's memory.

A browser holds the session's id only. A server that starts anew asks everybody to log in again.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from sparkscore.rest.access import Principal

SESSION_SECONDS = 12 * 3600.0
_MAX_SESSIONS = 10_000
_MAX_MESSAGES = 5


@dataclass(frozen=True)
class Message:
    """What the next page tells the person. ``kind``: success or error."""

    text: str
    kind: str = "success"


@dataclass
class Session:
    """A person's visit. ``csrf_token`` must come back with everything that changes something,
    ``opened_at`` is in seconds since the epoch."""

    principal: Principal
    ends_at: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    csrf_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    opened_at: float = field(default_factory=time.time)
    messages: list[Message] = field(default_factory=list)

    def tell(self, text: str, kind: str = "success") -> None:
        """Let the next page say this."""
        self.messages.append(Message(text, kind))
        del self.messages[:-_MAX_MESSAGES]

    def take_messages(self) -> list[Message]:
        """What is to be said now, once."""
        taken = list(self.messages)
        del self.messages[: len(taken)]
        return taken


class Sessions:
    """All sessions by id; safe for threads. ``clock`` gives seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, principal: Principal, *, seconds: float = SESSION_SECONDS) -> Session:
        """A new session, which ends after ``seconds``."""
        session = Session(principal, ends_at=self._clock() + seconds)
        with self._lock:
            self._sessions[session.id] = session
            while len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def find(self, session_id: str | None) -> Session | None:
        """The session of this id, if it goes on."""
        with self._lock:
            session = self._sessions.get(session_id or "")
            if session is not None and session.ends_at <= self._clock():
                del self._sessions[session.id]
                return None
            return session

    def close(self, session_id: str | None) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session_id or "", None)
