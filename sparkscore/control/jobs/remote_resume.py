"""Makes a job of a platform ready for its next run. Control plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparkscore.control.jobs.remote_compile import NOT_SUBMITTED, compile_remote
from sparkscore.control.jobs.remote_store import RemoteStore
from sparkscore.control.one_shot import write_target_files
from sparkscore.control.resume import with_overrides, write_launch
from sparkscore.control.secret_names import refuse_secrets
from sparkscore.errors import InvalidFieldError
from sparkscore.messages.launch import LaunchMessage
from sparkscore.state import JobRecord
from sparkscore.targets.base import CompiledApplication


@dataclass(frozen=True)
class RemoteResume:
    """A launch message for the job in ``folder``, compiled; nothing is written yet."""

    folder: Path
    launch: LaunchMessage
    compiled: CompiledApplication

    def write(self) -> None:
        """Put it in place; what is killed half-way may be resumed all the same."""
        write_target_files(self.compiled, folder=self.folder)
        write_launch(self.folder, self.launch)


def prepare_remote_resume(
    record: JobRecord,
    launch: LaunchMessage,
    overrides: Sequence[str],
    *,
    spark_conf: Mapping[str, str],
) -> RemoteResume:
    """Raises SpecError, StateError (RESUME_MISMATCH), InvalidFieldError (SECRET_IN_CONF), and what
    the platform's target refuses."""
    refuse_secrets(spark_conf)
    assert record.remote is not None, "a job of a platform says which"
    folder, scoring = Path(record.folder), launch.scoring
    here = replace(
        scoring,
        model_folder=str(folder / "model"),
        code_folder=scoring.code_folder and str(folder / "code"),
    )
    changed = with_overrides(replace(launch, scoring=here), overrides)
    there = replace(
        changed.scoring, model_folder=scoring.model_folder, code_folder=scoring.code_folder
    )
    remote = _next_run(record.remote)
    changed = replace(changed, scoring=there, spark_conf=dict(spark_conf), run=remote["run"])
    return RemoteResume(folder, changed, compile_remote(changed, remote))


def bring_unseen_end(record: JobRecord) -> None:
    """Bring the end of a job that a run has completed after it was given up.

    Raises StorageError (STAGING_NOT_REACHABLE).
    """
    remote = record.remote
    if remote is not None and record.summary is None:
        store = RemoteStore(remote["folder"], dict(remote["options"]))
        if store.has_completed(token=remote["token"]):
            store.pull_all(Path(record.folder), run=remote["run"])


def check_same_place(record: JobRecord, *, platform: Mapping[str, Any], asked: str) -> None:
    """Raise InvalidFieldError (NOT_RESUMABLE): what is staged of a job stays where it is."""
    known = None if record.remote is None else record.remote["document"].get("name")
    wanted = platform.get("name") if platform else None
    if known != wanted:
        raise InvalidFieldError(
            f"--compute {asked}: job {record.name} goes on where its files are, on compute "
            f"{record.compute.get('name')}; start a new job for another compute",
            condition="NOT_RESUMABLE",
            key="compute",
            compute=asked,
        )


def make_next_run(record: JobRecord, *, platform: Mapping[str, Any]) -> JobRecord:
    """The record with a run that is not submitted yet; ``platform`` is the compute as it is now."""
    if record.remote is None:
        return record
    remote = _next_run(record.remote)
    return replace(record, remote={**remote, "document": dict(platform) or remote["document"]})


def _next_run(remote: Mapping[str, Any]) -> dict[str, Any]:
    return {**remote, **NOT_SUBMITTED, "run": remote["run"] + 1}
