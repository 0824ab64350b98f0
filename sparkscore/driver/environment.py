"""The archive that holds the Python of a job's script hosts. Spark driver process."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

from sparkscore.messages.launch import LaunchMessage

_READ_BYTES = 1024 * 1024


def pin_environment(launch: LaunchMessage) -> LaunchMessage:
    """``launch`` with its environment named by the bytes of the archive, which lies here.

    Hosts keep what they have unpacked: a request that was built anew may hold newer packages, and
    all workers of a job must have the same. Raises OSError.
    """
    environment = launch.scoring.environment
    if environment is None or environment.archive is None:
        return launch
    archive = os.path.join(launch.job_folder, environment.archive)
    digest = hashlib.sha256()
    with open(archive, "rb") as content:
        while chunk := content.read(_READ_BYTES):
            digest.update(chunk)
    pinned = replace(environment, digest=digest.hexdigest()[:32], archive=archive)
    return replace(launch, scoring=replace(launch.scoring, environment=pinned))
