"""What a job scores that retries the failed inputs of an earlier one. Control plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.jobs.failed_inputs import (
    FAILED_INPUTS_FILE,
    iter_failed_inputs,
    read_count,
)
from sparkscore.control.jobs.job import Job, refuse_pruned, require_ended
from sparkscore.control.resume import read_job_launch
from sparkscore.errors import InvalidFieldError, MessageError, StateError
from sparkscore.messages.input_list import INPUT_LIST_FILE
from sparkscore.messages.launch import InputMessage, OutputMessage
from sparkscore.messages.status import SummaryMessage
from sparkscore.plan.scoring_plan import read_plan_header

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace


@dataclass(frozen=True)
class RetriedInputs:
    """The failed inputs of job ``name``: ``paths`` relative to the folder ``root`` of its input.

    ``unnamed_count`` failed without a name (a short result), ``unprocessed_count`` had no outcome:
    neither is among ``paths``. ``described`` is the input as the earlier job's record has it.
    """

    name: str
    root: str
    options: dict[str, str]
    paths: tuple[str, ...]
    unnamed_count: int
    unprocessed_count: int
    described: dict[str, Any]

    def to_message(self) -> InputMessage:
        """The input of the new job, whose folder has the list of ``paths``."""
        return InputMessage(uri=self.root, options=self.options, list_file=INPUT_LIST_FILE)

    def to_record(self) -> dict[str, Any]:
        """The input in the new job's record."""
        return {
            **self.described,
            "failed_inputs_of": self.name,
            "count": len(self.paths),
            "unnamed_left_out": self.unnamed_count,
            "unprocessed_left_out": self.unprocessed_count,
        }

    def check_output(self, output: OutputMessage) -> None:
        """Raise InvalidFieldError (RETRY_OVERWRITES) if the earlier results would be replaced."""
        if output.table is not None and output.mode == "overwrite":
            raise InvalidFieldError(
                f"table {output.table} would lose the results of job {self.name}: add to it with "
                "--set output_mode=append",
                condition="RETRY_OVERWRITES",
                table=output.table,
            )


def find_retried(workspace: Workspace, name: str) -> RetriedInputs:
    """The failed inputs of the job of this name.

    Raises NotFoundError (JOB_NOT_FOUND, JOB_FOLDER_NOT_FOUND, FAILED_INPUTS_NOT_FOUND),
    InvalidTransitionError (JOB_NOT_ENDED), StateError (JOB_PRUNED, NO_ACCOUNT, NO_FAILED_INPUTS)
    or MessageError.
    """
    job = workspace.jobs.get(name)
    require_ended(job, doing="retry-failed")
    refuse_pruned(job)
    summary = _get_summary(job)
    folder = Path(job.record.folder)
    launch = read_job_launch(folder)
    paths, unnamed_count = _read_paths(folder) if summary.inputs.failed else ([], 0)
    if len(paths) + unnamed_count != summary.inputs.failed:
        raise MessageError(
            f"{folder / FAILED_INPUTS_FILE} has {len(paths) + unnamed_count} failed inputs, the "
            f"summary of job {name} {summary.inputs.failed}: somebody changed one of them",
            where=str(folder / FAILED_INPUTS_FILE),
        )
    if not paths:
        raise _nothing_failed(name, summary, unnamed_count)
    return RetriedInputs(
        name=name,
        root=read_plan_header(str(folder)).root,
        options=launch.input.options,
        paths=tuple(paths),
        unnamed_count=unnamed_count,
        unprocessed_count=summary.unprocessed_inputs,
        described=next(iter(job.record.inputs.values()), {}),
    )


def _get_summary(job: Job) -> SummaryMessage:
    if job.summary is None:
        raise StateError(
            f"job {job.name} is {job.status} without an account, so nobody knows what failed in "
            f"it: let it go on with: sparkscore job resume -n {job.name}",
            condition="NO_ACCOUNT",
            job=job.name,
        )
    return job.summary


def _read_paths(folder: Path) -> tuple[list[str], int]:
    """The named failed inputs, and how many have no name."""
    paths, unnamed_count = [], 0
    for line in iter_failed_inputs(folder):
        if line["path"]:
            paths.append(line["path"])
        else:
            unnamed_count += read_count(line, where=str(folder / FAILED_INPUTS_FILE))
    return paths, unnamed_count


def _nothing_failed(name: str, summary: SummaryMessage, unnamed_count: int) -> StateError:
    why = f"no input of job {name} has failed"
    if unnamed_count:
        why = (
            f"the {unnamed_count} failed inputs of job {name} have no name: run() returned fewer "
            "results than it had inputs, so score the whole input again"
        )
    if summary.unprocessed_inputs:
        why += (
            f"; {summary.unprocessed_inputs} were not processed: let the job go on with: "
            f"sparkscore job resume -n {name}"
        )
    return StateError(
        why,
        condition="NO_FAILED_INPUTS",
        job=name,
        unnamed=unnamed_count,
        unprocessed=summary.unprocessed_inputs,
    )


def describe_retry(job: Job) -> list[str]:
    """What the new job scores and what it leaves out, as lines for people."""
    described = next(iter(job.record.inputs.values()), {})
    earlier = job.record.retry_of
    unnamed, unprocessed = described["unnamed_left_out"], described["unprocessed_left_out"]
    lines = [f"job {job.name} scores {_count(described['count'], 'failed input')} of job {earlier}"]
    if unnamed:
        lines.append(f"left out: {_count(unnamed, 'failed input')} without a name (SHORT_RESULT)")
    if unprocessed:
        lines.append(
            f"left out: {_count(unprocessed, 'input')} without an outcome; job {earlier} goes on "
            f"with: sparkscore job resume -n {earlier}"
        )
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
