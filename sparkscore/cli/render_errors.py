"""Why inputs of a job failed, as text. Control plane, pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sparkscore.cli.render import render_job_error

if TYPE_CHECKING:
    from sparkscore.control.jobs.errors import FailureGroup, JobErrors

SAMPLE_COUNT = 3
_MAX_WIDTH = 120


def render_errors(
    errors: JobErrors, *, width: int, in_workspace: bool, has_folder: bool = True
) -> str:
    """What ended the job, the account, then each kind of failure with samples.

    ``width`` is how many characters a line may have; paths and tracebacks may be longer.
    ``in_workspace`` points to commands that take the job's name, ``has_folder`` to what its folder
    has.
    """
    in_workspace = in_workspace and has_folder
    width = min(width, _MAX_WIDTH)
    lines = [f"job {errors.name}: {errors.status}"]
    ended_by = render_job_error(errors.error)
    if ended_by is not None:
        first, *rest = ended_by.removeprefix("sparkscore: ").splitlines()
        lines += [*_wrap(first, width), *rest]
    lines += list(_iter_counts(errors))
    for group in errors.groups:
        lines += ["", *_iter_group(group, width, code_folder=f"{errors.job_folder}/code/")]
        if in_workspace and group.samples:
            number = group.samples[0].get("mini_batch_id")
            which = "" if number is None else f" --mini-batch {number}"
            lines.append(f"  logs: sparkscore job logs -n {errors.name}{which}")
    if not errors.groups and errors.error is None:
        lines.append("no input has failed")
    elif errors.groups and has_folder:
        lines += ["", f"every failed input: {errors.job_folder}/failed_inputs.csv"]
    return "\n".join([*lines, *(_iter_advice(errors) if in_workspace else ())])


def _iter_advice(errors: JobErrors) -> Iterator[str]:
    """The commands that go on from here."""
    if errors.status in ("Failed", "Canceled"):
        yield f"go on where it was: sparkscore job resume -n {errors.name}"
    elif errors.status == "Completed" and errors.groups:
        yield f"score them again:   sparkscore job retry-failed -n {errors.name}"


def _iter_counts(errors: JobErrors) -> Iterator[str]:
    counts = errors.input_counts
    if counts is not None:
        rest = f", {counts['unprocessed']:,} unprocessed" if counts["unprocessed"] else ""
        yield (
            f"inputs {counts['total']:,}: {counts['succeeded']:,} succeeded, "
            f"{counts['failed']:,} failed{rest}"
        )


def _iter_group(group: FailureGroup, width: int, *, code_folder: str) -> Iterator[str]:
    yield f"{group.count:,} {'input' if group.count == 1 else 'inputs'}: {group.condition}"
    message = str(group.samples[0].get("message") or "") if group.samples else group.message
    is_one = group.count == 1 or message == group.message
    yield from _wrap(message if is_one else f"for example: {message}", width, indent="  ")
    yield from _wrap(_describe_place(group), width, indent="  ")
    traceback = group.script_traceback.replace(code_folder, "").rstrip()
    yield from (f"  | {line}" for line in traceback.splitlines())
    shown = group.samples[:SAMPLE_COUNT]
    yield from (f"  {_describe_sample(sample)}" for sample in shown)
    if group.count > len(shown):
        yield f"  and {group.count - len(shown):,} more"


def _describe_place(group: FailureGroup) -> str:
    parts = [f"at {group.script_line}"] if group.script_line else []
    if group.attempts:
        times = "1 attempt" if group.attempts == 1 else f"up to {group.attempts} attempts"
        parts.append(f"after {times}")
    if group.hosts:
        parts.append(f"on {', '.join(group.hosts)}")
    return ", ".join(parts)


def _describe_sample(sample: dict[str, Any]) -> str:
    details = [
        f"{name} {sample[key]}"
        for name, key in (("mini-batch", "mini_batch_id"), ("process", "process"))
        if sample.get(key) not in (None, "", "0" if key == "process" else None)
    ]
    path = str(sample.get("path"))
    if not sample.get("is_named", True):
        path = f"not named: {path} or another one of its mini-batch"
    return f"{path} ({', '.join(details)})" if details else path


def _wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
