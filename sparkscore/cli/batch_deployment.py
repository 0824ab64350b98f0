"""``sparkscore batch-deployment``: run, compile, generate-script. Control plane."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from sparkscore.cli import exit_codes
from sparkscore.errors import CanceledError

if TYPE_CHECKING:
    from sparkscore.control import Cancellation, Job, RunOptions, SummaryMessage

app = typer.Typer(help="Batch deployments: a model and how it scores.", no_args_is_help=True)


class OutputFormat(str, Enum):
    """What stands on standard output."""

    json = "json"


File = Annotated[Path, typer.Option("--file", "-f", help="The deployment file (YAML).")]
Input = Annotated[str, typer.Option("--input", help="File, folder or URI to be scored.")]
OutputPath = Annotated[
    str | None,
    typer.Option("--output-path", help="Folder or URI for results [<job folder>/score]."),
]
JobFolder = Annotated[
    Path | None,
    typer.Option("--job-folder", help="Folder for the job's own files [./sparkscore-jobs/<job>]."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="In place of what the file says."),
]
Conf = Annotated[
    list[str] | None,
    typer.Option("--conf", metavar="spark.x=y", help="A setting of the Spark session."),
]
MiniBatchSize = Annotated[
    int | None, typer.Option("--mini-batch-size", "-m", min=1, help="Files per call of run().")
]
InstanceCount = Annotated[
    int | None, typer.Option("--instance-count", "-c", min=1, help="Instances to score on.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Score the first files only, by path.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of expected errors too.")]


@app.command()
def run(
    file: File,
    input: Input,  # noqa: A002
    output_path: OutputPath = None,
    job_folder: JobFolder = None,
    overrides: Overrides = None,
    mini_batch_size: MiniBatchSize = None,
    instance_count: InstanceCount = None,
    limit: Limit = None,
    conf: Conf = None,
    compute: Annotated[
        str | None, typer.Option("--compute", help="local, local[N] or spark://HOST:PORT.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the plan and run nothing.")] = False,
    output: Annotated[
        OutputFormat | None,
        typer.Option("--output", "-o", help="json: print summary.json and nothing else."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Score an input once, as a deployment file says, and wait for the end."""
    from sparkscore.control import RunOptions

    del debug
    options = RunOptions(
        file=file,
        input=input,
        output_path=output_path,
        job_folder=job_folder,
        overrides=tuple(overrides or ()),
        conf=tuple(conf or ()),
        mini_batch_size=mini_batch_size,
        instance_count=instance_count,
        limit=limit,
        compute=compute,
    )
    if plan:
        _print_plan(options, output)
    else:
        sys.exit(_run(options, output))


@app.command(name="compile")
def compile_(
    file: File,
    input: Input,  # noqa: A002
    target: Annotated[str, typer.Option("--target", help="spark-submit or local.")],
    folder: Annotated[Path, typer.Option("-o", "--output", help="New folder to write to.")],
    output_path: OutputPath = None,
    job_folder: JobFolder = None,
    overrides: Overrides = None,
    mini_batch_size: MiniBatchSize = None,
    instance_count: InstanceCount = None,
    limit: Limit = None,
    conf: Conf = None,
    debug: Debug = False,
) -> None:
    """Write a job into a folder, ready for spark-submit; runs nothing."""
    from sparkscore.control import CompileOptions, RunOptions, compile_deployment

    del debug
    options = RunOptions(
        file=file,
        input=input,
        output_path=output_path,
        job_folder=job_folder,
        overrides=tuple(overrides or ()),
        conf=tuple(conf or ()),
        mini_batch_size=mini_batch_size,
        instance_count=instance_count,
        limit=limit,
    )
    compiled = compile_deployment(CompileOptions(run=options, target=target, folder=folder))
    for line in compiled.messages:
        typer.echo(line, err=True)
    typer.echo(str(compiled.folder))


@app.command(name="generate-script")
def generate_script(
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write, a new one.")],
    debug: Debug = False,
) -> None:
    """Write the built-in scoring script for MLflow models out, to be changed."""
    from sparkscore import control

    del debug
    typer.echo(str(control.generate_script(output)))


def _print_plan(options: RunOptions, output: OutputFormat | None) -> None:
    from sparkscore.control import plan_run

    planned = plan_run(options)
    for line in planned.messages:
        typer.echo(line, err=True)
    typer.echo(planned.render_json() if output is OutputFormat.json else planned.render())


def _run(options: RunOptions, output: OutputFormat | None) -> int:
    from sparkscore.cli.render import render_error
    from sparkscore.control import Cancellation, make_job, prepare_run

    prepared = prepare_run(options)
    for line in prepared.messages:
        typer.echo(line, err=True)
    job = make_job(prepared)
    cancellation = Cancellation()
    with _signals_cancel(cancellation) as received:
        try:
            summary = _watch(job, cancellation)
        except CanceledError as error:
            typer.echo(render_error(error), err=True)
            return _get_canceled_code(received)
    _print_summary(summary, job, output)
    if summary.status == "Canceled":
        return _get_canceled_code(received)
    return exit_codes.get_exit_code(summary)


def _get_canceled_code(received: list[int]) -> int:
    interrupted = received[:1] == [signal.SIGINT]
    return exit_codes.INTERRUPTED_CODE if interrupted else CanceledError.exit_code


def _watch(job: Job, cancellation: Cancellation) -> SummaryMessage:
    from rich.console import Console

    from sparkscore.cli.progress import make_progress
    from sparkscore.control import run_job

    with make_progress(Console(stderr=True, highlight=False)) as progress:
        return run_job(job, on_status=progress.report, cancellation=cancellation)


def _print_summary(summary: SummaryMessage, job: Job, output: OutputFormat | None) -> None:
    from sparkscore.cli.render import render_job_error, render_summary

    if output is OutputFormat.json:
        typer.echo(job.summary_file.read_text(encoding="utf-8"), nl=False)
    else:
        typer.echo(render_summary(summary, job_folder=str(job.folder)))
    error = render_job_error(summary)
    if error is not None:
        typer.echo(error, err=True)


@contextmanager
def _signals_cancel(cancellation: Cancellation) -> Iterator[list[int]]:
    """Signals cancel the job instead of ending this process; gives those that came."""
    received: list[int] = []

    def cancel(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)
        cancellation.request()
        # Not by way of sys.stderr: the signal may have come in the middle of a write to it.
        os.write(2, b"\nthe job is being canceled; a second signal kills it\n")

    previous = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
