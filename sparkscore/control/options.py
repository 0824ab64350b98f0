"""What a user asks for when they run, plan or compile one job. Control plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunOptions:
    """One job from a deployment file, without a workspace.

    ``overrides`` are ``key=value`` texts (``--set``), ``conf`` ``spark.x=y`` texts, ``include``
    and ``exclude`` patterns of paths below the input. ``compute`` is None, local, local[N] or
    spark://HOST:PORT. ``job_folder`` defaults to ``./sparkscore-jobs/<job>``, ``output_path`` to
    ``<job folder>/score``.
    """

    file: Path
    input: str
    output_path: str | None = None
    job_folder: Path | None = None
    overrides: tuple[str, ...] = ()
    conf: tuple[str, ...] = ()
    mini_batch_size: int | None = None
    instance_count: int | None = None
    limit: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    compute: str | None = None


@dataclass(frozen=True)
class CompileOptions:
    """The same job, to be written for ``target`` into ``folder`` and run by somebody else."""

    run: RunOptions
    target: str
    folder: Path
