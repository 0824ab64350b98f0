"""Lets a job that ended early go on from what its folder holds. Control plane."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sparkscore.control.deployment import read_conf
from sparkscore.control.launch import render_settings
from sparkscore.control.one_shot import MadeJob, write_target_files
from sparkscore.control.snapshot import get_digest
from sparkscore.control.watch import find_status, find_summary
from sparkscore.errors import (
    InvalidFieldError,
    InvalidTransitionError,
    MessageError,
    NotFoundError,
    StateError,
)
from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.launch import LAUNCH_FILE, LaunchMessage, ScoringMessage
from sparkscore.messages.status import COMPLETED, TERMINAL, SummaryMessage
from sparkscore.plan.machine import read_machine
from sparkscore.plan.spark_application import plan_launched_application
from sparkscore.spec import load_deployment
from sparkscore.targets.base import Capability, require_capability
from sparkscore.targets.registry import get_compute

RESUMABLE_KEYS = (
    "error_threshold",
    "mini_batch_error_threshold",
    "timeout",
    "max_retries",
    "init_timeout",
    "memory_limit",
    "instance_count",
    "max_concurrency_per_instance",
)
"""What ``--set`` may change when a job is resumed; the bare name of each key."""

_HEARTBEAT_PATIENCE_SECONDS = 3.0


def find_completed_job(folder: Path) -> SummaryMessage | None:
    """The summary of the job in ``folder`` if it has completed: there is nothing to resume."""
    summary = find_summary(folder / "summary.json")
    return summary if summary is not None and summary.status == COMPLETED else None


def resume_job(
    folder: Path,
    overrides: Sequence[str] = (),
    conf: Sequence[str] = (),
    compute: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    is_detached: bool = False,
) -> MadeJob:
    """The job in ``folder``, ready to be submitted again: its driver goes on from what is staged.

    ``overrides`` are ``key=value`` texts of RESUMABLE_KEYS, ``conf`` ``spark.x=y`` texts,
    ``compute`` is local, local[N] or spark://HOST:PORT, None for the one it had. The launch message
    and the summary so far stay as ``launch-<n>.json`` and ``summary-<n>.json``.

    Raises NotFoundError (JOB_FOLDER_NOT_FOUND), InvalidTransitionError (JOB_COMPLETED), StateError
    (LEASE_HELD: its driver lives; RESUME_MISMATCH: model or code have changed), SpecError,
    TargetError or MessageError.
    """
    folder = Path(os.path.abspath(folder))
    launch = read_job_launch(folder)
    if find_completed_job(folder) is not None:
        raise InvalidTransitionError(
            f"job {launch.job_name} has completed: there is nothing to resume",
            condition="JOB_COMPLETED",
            job=launch.job_name,
        )
    job = prepare_resume(
        folder,
        launch,
        overrides,
        master=launch.master if compute is None else compute,
        relay=None if compute is None else False,
        spark_conf={**launch.spark_conf, **read_conf(conf)},
        environment=environment,
        is_detached=is_detached,
    )
    refuse_living(folder)
    write_resume(job)
    return job


def prepare_resume(
    folder: Path,
    launch: LaunchMessage,
    overrides: Sequence[str],
    *,
    master: str | None,
    spark_conf: Mapping[str, str],
    relay: bool | None = None,
    environment: Mapping[str, str] | None = None,
    is_detached: bool = False,
) -> MadeJob:
    """What ``write_resume`` makes of the job in ``folder``; writes nothing. See ``resume_job``.

    ``relay`` as in the launch message, None as it was.
    """
    chosen = get_compute(master)
    require_capability(chosen.target, Capability.RUN)
    if launch.gpus_per_instance:
        require_capability(chosen.target, Capability.GPU, why=f"job {launch.job_name} has GPUs")
    changed = replace(
        with_overrides(launch, overrides),
        master=chosen.master,
        spark_conf=dict(spark_conf),
        relay=launch.relay if relay is None else relay,
    )
    application = plan_launched_application(
        changed,
        entry_point=str(folder / "score.py"),
        launch_path=str(folder / LAUNCH_FILE),
        machine=read_machine(),
        py_files=(str(folder / "sparkscore.zip"),),
    )
    given = os.environ if environment is None else environment
    return MadeJob(
        folder=folder,
        launch=changed,
        target=chosen.target,
        compiled=chosen.target.compile(application),
        environment=chosen.target.get_environment(
            given, master=chosen.master, is_detached=is_detached
        ),
    )


def write_resume(job: MadeJob) -> None:
    """Put the launch message in place; what is killed half-way may be resumed all the same."""
    write_target_files(job.compiled, folder=job.folder)
    write_launch(job.folder, job.launch)


def read_job_launch(folder: Path) -> LaunchMessage:
    """The launch message; raises NotFoundError (JOB_FOLDER_NOT_FOUND) or MessageError."""
    file = folder / LAUNCH_FILE
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{folder} is no job folder: it has no {LAUNCH_FILE}",
            condition="JOB_FOLDER_NOT_FOUND",
            job_folder=str(folder),
        ) from error
    except OSError as error:
        raise MessageError(f"{file} cannot be read: {error.strerror}", where=str(file)) from error
    return from_json(LaunchMessage, text, where=str(file))


def check_resumable(overrides: Sequence[str]) -> None:
    """Raise InvalidFieldError (NOT_RESUMABLE) for a key that is not in RESUMABLE_KEYS."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key.rpartition(".")[2] not in RESUMABLE_KEYS:
            raise InvalidFieldError(
                f"--set {key}: a resumed job keeps its {key}; only "
                f"{', '.join(RESUMABLE_KEYS)} may change (start a new job for anything else)",
                condition="NOT_RESUMABLE",
                key=key,
            )


def with_overrides(launch: LaunchMessage, overrides: Sequence[str]) -> LaunchMessage:
    """The launch message with changed settings, and the digest that belongs to them."""
    check_resumable(overrides)
    _check_content(launch)
    if not overrides:
        return launch
    loaded = load_deployment(launch.settings, overrides=overrides)
    spec, settings = loaded.spec, loaded.spec.settings
    scoring = replace(
        launch.scoring,
        error_threshold=settings.error_threshold,
        mini_batch_error_threshold=settings.mini_batch_error_threshold,
        timeout_seconds=settings.retry_settings.timeout,
        max_retries=settings.retry_settings.max_retries,
        init_timeout_seconds=settings.init_timeout,
        memory_limit_bytes=settings.memory_limit or 0,
    )
    return replace(
        launch,
        scoring=replace(scoring, digest=_compute_digest(scoring)),
        instance_count=spec.given_instance_count,
        max_concurrency_per_instance=settings.max_concurrency_per_instance,
        settings=spec.record(),
    )


def _check_content(launch: LaunchMessage) -> None:
    """Raise StateError (RESUME_MISMATCH) unless model and code are those of the launch message."""
    try:
        is_same = _compute_digest(launch.scoring) == launch.scoring.digest
    except OSError:
        is_same = False
    if not is_same:
        raise StateError(
            f"model or code of job {launch.job_name} are not those that it was started with, and "
            "its results must not be a mixture: run them as a new job",
            condition="RESUME_MISMATCH",
            job_folder=launch.job_folder,
        )


def _compute_digest(scoring: ScoringMessage) -> str:
    """As ``build_launch`` computes it."""
    return get_digest(
        model=Path(scoring.model_folder) / scoring.model_name,
        code=None if scoring.code_folder is None else Path(scoring.code_folder),
        settings=render_settings(scoring),
    )


def refuse_living(folder: Path) -> None:
    """Raise StateError (LEASE_HELD) if the status of the job shows a heartbeat."""
    status = find_status(folder / "status.json")
    deadline = time.monotonic() + _HEARTBEAT_PATIENCE_SECONDS
    while status is not None and status.status not in TERMINAL and time.monotonic() < deadline:
        time.sleep(0.1)
        now = find_status(folder / "status.json")
        if now is not None and now.sequence != status.sequence:
            raise StateError(
                f"the driver of job {status.job} lives: wait for its end, or cancel it first",
                condition="LEASE_HELD",
                job_folder=str(folder),
            )


def write_launch(folder: Path, launch: LaunchMessage) -> None:
    """Replace the launch message; the one before stays, and so does how that run ended."""
    number = 1
    while (folder / f"launch-{number}.json").exists():
        number += 1
    partial = folder / f".{LAUNCH_FILE}.tmp"
    partial.write_text(to_json(launch, indent=2) + "\n", encoding="utf-8")
    (folder / f"launch-{number}.json").write_bytes((folder / LAUNCH_FILE).read_bytes())
    os.replace(partial, folder / LAUNCH_FILE)
    with suppress(FileNotFoundError):
        os.replace(folder / "summary.json", folder / f"summary-{number}.json")
    (folder / "status.json").unlink(missing_ok=True)
