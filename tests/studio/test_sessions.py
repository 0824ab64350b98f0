"""Visits: how long they last, and what they tell."""

from __future__ import annotations

from sparkscore.control.access.roles import Role
from sparkscore.rest.access import Principal
from sparkscore.studio.sessions import SESSION_SECONDS, Sessions

ADA = Principal("ada", Role.OWNER, "token")


def test_sessions__end_after_twelve_hours() -> None:
    now = [0.0]
    sessions = Sessions(clock=lambda: now[0])
    session = sessions.open(ADA)
    now[0] = SESSION_SECONDS - 1
    assert sessions.find(session.id) is session
    now[0] = SESSION_SECONDS
    assert sessions.find(session.id) is None
    now[0] = 0.0
    assert sessions.find(session.id) is None


def test_sessions__have_ids_and_tokens_of_their_own() -> None:
    sessions = Sessions()
    opened = [sessions.open(ADA) for _ in range(100)]
    secrets = {text for session in opened for text in (session.id, session.csrf_token)}
    assert len(secrets) == 200
    assert min(map(len, secrets)) >= 43


def test_sessions__are_closed_one_by_one() -> None:
    sessions = Sessions()
    first, second = sessions.open(ADA), sessions.open(ADA)
    sessions.close(first.id)
    sessions.close("none")
    sessions.close(None)
    assert sessions.find(first.id) is None
    assert sessions.find(second.id) is second
    assert sessions.find(None) is None


def test_sessions__tell_each_message_once() -> None:
    session = Sessions().open(ADA)
    for number in range(9):
        session.tell(str(number))
    assert [message.text for message in session.take_messages()] == list("45678")
    assert session.take_messages() == []
