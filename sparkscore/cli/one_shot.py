"""``batch-deployment run``, ``compile`` and ``generate-script``: no workspace. Control plane."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparkscore.cli import exit_codes, flags
from sparkscore.cli.generic import BareSession, Session, command, show_plan
from sparkscore.errors import CanceledError, UsageError

if TYPE_CHECKING:
    from sparkscore.control import Cancellation, CompiledJob, RunOptions, SummaryMessage
    from sparkscore.control.endpoints.request import InvokeRequest
    from sparkscore.control.one_shot import MadeJob


_LISTS = ("overrides", "conf", "include", "exclude")


@dataclass(frozen=True, kw_only=True)
class JobFlags:
    """What one job may be told, whatever deployment it runs."""

    input: Annotated[
        str | None, typer.Option("--input", help="File, folder or URI to be scored.")
    ] = None
    output_path: Annotated[
        str | None,
        typer.Option("--output-path", help="Folder or URI for results [<job folder>/score]."),
    ] = None
    job_folder: Annotated[
        Path | None,
        typer.Option(
            "--job-folder", help="Folder for the job's own files [./sparkscore-jobs/<job>]."
        ),
    ] = None
    overrides: flags.Set = None
    mini_batch_size: flags.MiniBatchSize = None
    instance_count: flags.InstanceCount = None
    include: flags.Include = None
    exclude: flags.Exclude = None
    limit: flags.Limit = None
    conf: flags.Conf = None

    def to_options(self, file: Path, *, compute: str | None = None) -> RunOptions:
        """For the deployment in a file."""
        from sparkscore.control import RunOptions

        return RunOptions(
            file=file, compute=compute, job_folder=self.job_folder, **self._get_common()
        )

    def to_request(self, deployment_name: str | None) -> InvokeRequest:
        """For a registered deployment, None for the endpoint's default."""
        from sparkscore.control.endpoints.request import InvokeRequest

        if self.job_folder is not None:
            raise flags.refuse_together("--job-folder", "--endpoint-name")
        return InvokeRequest(deployment_name=deployment_name, **self._get_common())

    def _get_common(self) -> dict[str, Any]:
        if self.input is None:
            raise UsageError(
                "nothing to score: give --input a file, a folder or a URI",
                condition="INPUT_NEEDED",
            )
        common = {**vars(self)}
        del common["job_folder"]
        lists = {name: tuple(common[name] or ()) for name in _LISTS}
        return {**common, **lists}


def run(
    session: Session,
    given: JobFlags,
    file: flags.OptionalFile = None,
    compute: Annotated[
        str | None, typer.Option("--compute", help="local, local[N] or spark://HOST:PORT.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the plan and run nothing.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="Go on with the job in this folder, without --file."),
    ] = None,
) -> None:
    """Score an input once, as a deployment file says, and wait for the end."""
    if resume is not None:
        _refuse_beside_resume(given, file, plan=plan)
        raise typer.Exit(_resume(resume, given, session, compute=compute))
    if file is None:
        raise UsageError(
            "which deployment: give --file, or --resume with a job's folder",
            condition="FILE_NEEDED",
        )
    options = given.to_options(file, compute=compute)
    if plan:
        from sparkscore.control import plan_run

        show_plan(session, plan_run(options))
    else:
        raise typer.Exit(_run(options, session))


def _complete_target(incomplete: str) -> list[str]:
    from sparkscore.control.compile import list_target_names

    return [name for name in list_target_names() if name.startswith(incomplete)]


def compile_(
    session: BareSession,
    given: JobFlags,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            help="local, spark-submit, databricks, databricks-bundle, kubernetes, or one that an "
            "installed package brings.",
            autocompletion=_complete_target,
        ),
    ],
    folder: Annotated[Path, typer.Option("-o", "--output", help="New folder to write to.")],
    file: flags.OptionalFile = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="A registered deployment [the default].")
    ] = None,
    endpoint_name: Annotated[
        str | None, typer.Option("--endpoint-name", "-e", help="Its endpoint, without --file.")
    ] = None,
    compute: Annotated[
        str | None,
        typer.Option("--compute", help="A compute's name, its YAML file, or spark://HOST:PORT."),
    ] = None,
) -> None:
    """Write a job into a folder, ready to be submitted to a target; runs nothing."""
    source = (file, name, endpoint_name)
    compiled = _compile(
        session, given, target=target, folder=folder, source=source, compute=compute
    )
    for line in compiled.messages:
        session.say(line)
    typer.echo(str(compiled.folder))


def _compile(
    session: BareSession,
    given: JobFlags,
    *,
    target: str,
    folder: Path,
    source: tuple[Path | None, str | None, str | None],
    compute: str | None,
) -> CompiledJob:
    """``source`` is the deployment's file, or its name and endpoint."""
    file, name, endpoint_name = source
    if file is not None:
        if name or endpoint_name:
            raise flags.refuse_together("--file", "--name" if name else "--endpoint-name")
        from sparkscore.control import CompileOptions, compile_deployment

        run = given.to_options(file, compute=compute)
        return compile_deployment(CompileOptions(run=run, target=target, folder=folder))
    if endpoint_name is None:
        raise UsageError(
            "which deployment: give --file, or --endpoint-name and --name",
            condition="NAME_NEEDED",
        )
    from sparkscore.control.compile_compute import find_compute_file
    from sparkscore.control.endpoints.job_plan import compile_job

    compute_file = find_compute_file(compute)
    request = replace(given.to_request(name), compute=None if compute_file else compute)
    return compile_job(
        session.workspace,
        endpoint_name,
        request,
        target=target,
        folder=folder,
        compute_file=compute_file,
    )


def generate_script(
    session: BareSession,
    file: Annotated[Path, typer.Option("-o", "--output", help="File to write, a new one.")],
) -> None:
    """Write the built-in scoring script for MLflow models out, to be changed."""
    from sparkscore import control

    del session
    typer.echo(str(control.generate_script(file)))


def register(app: typer.Typer) -> None:
    """Add these verbs to ``batch-deployment``."""
    command(app)(run)
    command(app, "compile")(compile_)
    command(app, "generate-script")(generate_script)


def _refuse_beside_resume(given: JobFlags, file: Path | None, *, plan: bool) -> None:
    """A resumed job keeps all but what ``--set``, ``--conf`` and ``--compute`` change."""
    others = {
        "--file": file,
        "--plan": plan or None,
        "--input": given.input,
        "--output-path": given.output_path,
        "--job-folder": given.job_folder,
        "--mini-batch-size": given.mini_batch_size,
        "--limit": given.limit,
    }
    for flag, value in others.items():
        if value is not None:
            raise flags.refuse_together("--resume", flag)


def _resume(folder: Path, given: JobFlags, session: Session, *, compute: str | None) -> int:
    from sparkscore.control import find_completed_job, resume_job

    completed = find_completed_job(folder)
    if completed is not None:
        session.say(f"job {completed.job} has completed: nothing to resume")
        _print_summary(completed, folder, session)
        return exit_codes.get_exit_code(completed)
    overrides = list(given.overrides or ())
    if given.instance_count is not None:
        overrides.append(f"instance_count={given.instance_count}")
    job = resume_job(folder, overrides, given.conf or (), compute)
    session.say(f"job {job.launch.job_name} goes on in {job.folder}")
    return _run_job(job, session)


def _run(options: RunOptions, session: Session) -> int:
    from sparkscore.control import make_job, prepare_run

    prepared = prepare_run(options)
    for line in prepared.messages:
        session.say(line)
    return _run_job(make_job(prepared), session)


def _run_job(job: MadeJob, session: Session) -> int:
    from sparkscore.cli.render import render_error
    from sparkscore.control import Cancellation

    cancellation = Cancellation()
    with _signals_cancel(cancellation) as received:
        try:
            summary = _watch(job, cancellation, session)
        except CanceledError as error:
            typer.echo(render_error(error), err=True)
            return _get_canceled_code(received)
    _print_summary(summary, job.folder, session)
    if summary.status == "Canceled":
        return _get_canceled_code(received)
    return exit_codes.get_exit_code(summary)


def _get_canceled_code(received: list[int]) -> int:
    interrupted = received[:1] == [signal.SIGINT]
    return exit_codes.INTERRUPTED_CODE if interrupted else CanceledError.exit_code


def _watch(job: MadeJob, cancellation: Cancellation, session: Session) -> SummaryMessage:
    from rich.console import Console

    from sparkscore.cli.progress import make_progress
    from sparkscore.control import run_job

    console = Console(stderr=True, highlight=False, quiet=session.only_show_errors)
    with make_progress(console) as progress:
        return run_job(job, on_status=progress.report, cancellation=cancellation)


def _print_summary(summary: SummaryMessage, folder: Path, session: Session) -> None:
    from sparkscore.cli.render import render_job_error, render_summary

    if session.wants_data:
        session.show(json.loads((folder / "summary.json").read_text(encoding="utf-8")))
    else:
        typer.echo(render_summary(summary, job_folder=str(folder)))
    error = render_job_error(summary.error)
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
