"""Names of resources, made from names of jobs. Control plane, pure."""

from __future__ import annotations

import hashlib
import re

MAX_NAME_LENGTH = 40
"""Spark makes names of executors from it, and these must be valid too."""

_RESOURCE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DIGEST_LENGTH = 8


def make_resource_name(job_name: str) -> str:
    """The job's own name if it can be one, else one that resembles it and has a digest of it.

    Small letters, digits and hyphens, a letter first, at most MAX_NAME_LENGTH characters. The same
    job always gets the same name.
    """
    if len(job_name) <= MAX_NAME_LENGTH and _RESOURCE.fullmatch(job_name):
        return job_name
    digest = hashlib.sha256(job_name.encode()).hexdigest()[:_DIGEST_LENGTH]
    words = re.sub(r"[^a-z0-9]+", "-", job_name.lower())
    words = re.sub(r"^[^a-z]+", "", words)[: MAX_NAME_LENGTH - _DIGEST_LENGTH - 1].strip("-")
    return f"{words or 'job'}-{digest}"
