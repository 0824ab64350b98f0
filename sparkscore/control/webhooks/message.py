"""What a webhook says of a job's end, and its signature. Control plane, pure.

Both as the Standard Webhooks specification has them, so that receivers can use its libraries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from sparkscore.control.times import render_time
from sparkscore.errors import InvalidFieldError

if TYPE_CHECKING:
    from sparkscore.control.jobs.job import Job
    from sparkscore.state.records import JobRecord

SECRET_PREFIX = "whsec_"  # noqa: S105 - what all of them begin with
_SHORTEST_SECRET_BYTES = 24
_LONGEST_TEXT = 2000


def make_message_id(workspace_name: str, record: JobRecord) -> str:
    """The same for the same end of a job, another one for its end after a resume."""
    text = f"{workspace_name}\0{record.name}\0{record.created_at!r}\0{record.ended_at!r}"
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def render_message(job: Job) -> str:
    """The body for a job that has ended: JSON with ``type``, ``timestamp`` and ``data``."""
    shown = job.to_dict()
    error = shown["error"]
    outputs = {
        name: {"type": output.get("type"), "path": output.get("path")}
        for name, output in shown["outputs"].items()
    }
    names = (
        *("name", "id", "display_name", "status", "endpoint_name", "deployment_name"),
        *("experiment_name", "start_time", "end_time", "input_counts", "retry_of", "tags"),
    )
    data: dict[str, Any] = {name: shown[name] for name in names}
    data["outputs"] = outputs
    data["error"] = None if error is None else _describe_error(error)
    data["url"] = job.studio_endpoint
    ended_at = job.record.ended_at or job.record.updated_at
    content = {"type": get_type(job.status), "timestamp": render_time(ended_at), "data": data}
    return json.dumps(content, separators=(",", ":"))


def get_type(status: str) -> str:
    """The type of a message: ``job.completed``, ``job.failed`` or ``job.canceled``."""
    return f"job.{status.lower()}"


def read_secrets(text: str, *, variable: str) -> list[bytes]:
    """The keys in the variable's text: one, or several with blanks between while it is changed.

    Raises InvalidFieldError (INVALID_WEBHOOK_SECRET).
    """
    keys = []
    for word in text.split():
        try:
            key = base64.b64decode(word.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) < _SHORTEST_SECRET_BYTES:
            raise _refuse(variable)
        keys.append(key)
    if not keys:
        raise _refuse(variable)
    return keys


def sign(keys: list[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature for each key."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _describe_error(error: dict[str, Any]) -> dict[str, Any]:
    message = str(error.get("message") or "")
    return {"condition": error.get("condition"), "message": message[:_LONGEST_TEXT]}


def _refuse(variable: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"the environment variable {variable} must hold {SECRET_PREFIX} and at least "
        f"{_SHORTEST_SECRET_BYTES} bytes in base64",
        condition="INVALID_WEBHOOK_SECRET",
        variable=variable,
    )
