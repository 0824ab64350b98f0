"""One attempt to bring a message to its receiver. Control plane."""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import sparkscore
from sparkscore.control.webhooks.message import read_secrets, sign
from sparkscore.control.webhooks.outbox import Delivery
from sparkscore.control.webhooks.settings import Webhook
from sparkscore.errors import InvalidFieldError

TIMEOUT_SECONDS = 20.0
LIMIT_SECONDS = 60.0
"""How long the receiver may be silent, and how long all of it may take."""

_LONGEST_PAUSE_SECONDS = 3600.0


@dataclass(frozen=True)
class Answer:
    """What came back: ``status`` is that of HTTP, None if nobody answered."""

    status: int | None = None
    problem: str = ""
    retry_after_seconds: float = 0.0

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has the message."""
        return self.status is not None and 200 <= self.status < 300


def send_message(
    webhook: Webhook, delivery: Delivery, *, environment: Mapping[str, str], timestamp: int
) -> Answer:
    """Sign and send the message; blocks for LIMIT_SECONDS at most.

    ``timestamp`` is that of the attempt, in seconds since the epoch. Raises InvalidFieldError
    (WEBHOOK_SECRET_MISSING, INVALID_WEBHOOK_SECRET).
    """
    body = delivery.body.encode()
    keys = _get_keys(webhook.secret_variable, environment)
    signature = sign(keys, message_id=delivery.id, timestamp=timestamp, body=body)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"sparkscore/{sparkscore.__version__}",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }
    asked = urllib.request.Request(  # noqa: S310 - sparkscore.toml takes http and https alone
        webhook.url, data=body, headers=headers, method="POST"
    )
    answers: queue.Queue[Answer] = queue.Queue()
    # A receiver that sends a byte now and then would hold up the others for ever.
    threading.Thread(target=lambda: answers.put(_ask(asked)), daemon=True).start()
    try:
        return answers.get(timeout=LIMIT_SECONDS)
    except queue.Empty:
        return Answer(problem=f"no answer within {LIMIT_SECONDS:g} s")


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A redirect is no success: the message would go to somebody who is not configured."""

    def redirect_request(self, *arguments: object) -> None:
        return None


def _ask(request: urllib.request.Request) -> Answer:
    opener = urllib.request.build_opener(_StayHere)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return Answer(response.status)
    except urllib.error.HTTPError as error:
        with error:
            pause = _read_pause(error.headers.get("Retry-After"))
            return Answer(error.code, f"HTTP status {error.code}", pause)
    except urllib.error.URLError as error:
        return Answer(problem=f"not reached: {error.reason}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(problem=f"not reached: {error!r}")


def _read_pause(header: str | None) -> float:
    """Seconds of a Retry-After header, within reason; 0 for a date or nonsense."""
    is_number = header is not None and header.strip().isdigit()
    return min(float(header or 0), _LONGEST_PAUSE_SECONDS) if is_number else 0.0


def _get_keys(variable: str, environment: Mapping[str, str]) -> list[bytes]:
    text = environment.get(variable)
    if text is None:
        raise InvalidFieldError(
            f"the environment variable {variable} with the secret of webhooks is not set where "
            "the job was started: set it for whoever starts jobs, and for the server",
            condition="WEBHOOK_SECRET_MISSING",
            variable=variable,
        )
    return read_secrets(text, variable=variable)
