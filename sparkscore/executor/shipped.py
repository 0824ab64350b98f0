"""What the driver has given to executors that see none of its folders. Python worker process.

Model, code and environment come as files of Spark's, which every executor fetches once. They are
unpacked below the executor's own scratch folder, which Spark removes with the executor, so that
what a script changes in its model is nobody else's business.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from sparkscore.executor.archives import unpack_once
from sparkscore.messages.launch import ScoringMessage


@dataclass(frozen=True)
class ShippedFile:
    """A file that executors have; ``digest`` is that of its content."""

    name: str
    digest: str


@dataclass(frozen=True)
class Shipped:
    """The archives of one job, None for what it does not have; of its environment the name."""

    model: ShippedFile
    code: ShippedFile | None = None
    environment: str | None = None


def find_shipped(name: str) -> str:
    """The local path of a file that the driver has given to executors."""
    from pyspark import SparkFiles

    return str(SparkFiles.get(name))


def place_shipped(
    scoring: ScoringMessage, shipped: Shipped, *, root: str | None = None
) -> ScoringMessage:
    """``scoring`` with the folders of this machine; unpacks below ``root`` what is not yet there.

    Raises StorageError if an archive cannot be unpacked: then the task fails, not its inputs.
    """
    if root is not None:
        root = os.path.join(root, "sparkscore-shipped")
    code = None if shipped.code is None else _unpack(shipped.code, root)
    environment = scoring.environment
    if environment is not None and shipped.environment is not None:
        environment = replace(environment, archive=shipped.environment)
    model = _unpack(shipped.model, root)
    return replace(scoring, model_folder=model, code_folder=code, environment=environment)


def _unpack(file: ShippedFile, root: str | None) -> str:
    return unpack_once(find_shipped(file.name), digest=file.digest, root=root)
