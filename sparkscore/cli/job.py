"""``sparkscore job``: what can be done with jobs. Control plane."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparkscore.cli import columns, exit_codes, flags
from sparkscore.cli.browser import open_browser
from sparkscore.cli.confirm import confirm
from sparkscore.cli.generic import Session, command, make_app
from sparkscore.cli.job_flags import JobFlags
from sparkscore.cli.output import OutputFormat
from sparkscore.errors import UsageError

if TYPE_CHECKING:
    from sparkscore.control.jobs import Job
    from sparkscore.control.jobs.errors import JobErrors

app = make_app("Jobs: what was invoked, and what came of it.")


@command(app, columns=columns.JOBS)
def show(
    session: Session,
    name: flags.Name,
    web: Annotated[
        bool, typer.Option("--web", "-e", help="Open its page, and say where that is.")
    ] = False,
) -> Any:
    """Show a job."""
    job = session.workspace.jobs.get(name)
    if web:
        _show_page(session, job)
    return job


def _show_page(session: Session, job: Any) -> None:
    """Say where a job's page is, and open it; a server that answers is given a login link."""
    from sparkscore.control.access.login_links import is_answering, make_login_link

    typer.echo(job.studio_endpoint, err=True)
    server_url = session.workspace.config.server_url
    if not is_answering(server_url):
        session.say(f"no server answers at {server_url}: start one with sparkscore serve")
        open_browser(job.studio_endpoint)
        return
    place = job.studio_endpoint.removeprefix(f"{server_url}/studio")
    link = make_login_link(session.workspace, server_url, place=place)
    session.say(f"log in, once and within 5 minutes, with: {link}")
    open_browser(link)


@command(app, "list", columns=columns.JOBS)
def list_(
    session: Session,
    archived: flags.ArchivedFlags,
    max_results: Annotated[
        int, typer.Option("--max-results", "-r", min=1, help="At most so many.")
    ] = 50,
    all_results: Annotated[bool, typer.Option("--all-results", help="All of them.")] = False,
    endpoint_name: Annotated[
        str | None, typer.Option("--endpoint-name", "-e", help="Jobs of an endpoint.")
    ] = None,
    deployment_name: Annotated[
        str | None, typer.Option("--deployment-name", "-d", help="Jobs of a deployment.")
    ] = None,
    status: Annotated[str | None, typer.Option("--status", help="Jobs of a status.")] = None,
    experiment_name: Annotated[
        str | None, typer.Option("--experiment-name", help="Jobs of an experiment.")
    ] = None,
    parent_job_name: Annotated[
        str | None, typer.Option("--parent-job-name", "-p", help="Jobs below a job: none here.")
    ] = None,
) -> Any:
    """List jobs, the newest first."""
    return session.workspace.jobs.list(
        endpoint_name=endpoint_name,
        deployment_name=deployment_name,
        status=status,
        max_results=max_results,
        all_results=all_results,
        archived=archived.archived,
        parent_job_name=parent_job_name,
        experiment_name=experiment_name,
    )


@command(app)
def stream(session: Session, name: flags.Name) -> None:
    """Watch a job until it ends; exits with 0 if it Completed, 4 if it Failed, 6 if Canceled."""
    jobs = session.workspace.jobs
    try:
        job = _watch(session, name)
    except KeyboardInterrupt:
        job = jobs.get(name)
        typer.echo(
            f"job {job.name} goes on; 'sparkscore job stream -n {job.name}' watches it again, "
            f"'sparkscore job cancel -n {job.name}' ends it",
            err=True,
        )
        raise typer.Exit(exit_codes.INTERRUPTED_CODE) from None
    _show_end(session, job)
    raise typer.Exit(exit_codes.get_status_code(job.status))


def _watch(session: Session, name: str) -> Job:
    from rich.console import Console

    from sparkscore.cli.progress import make_progress

    console = Console(stderr=True, highlight=False, quiet=session.only_show_errors)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with make_progress(console) as progress:
            jobs = session.workspace.jobs
            return jobs.stream(name, on_status=progress.report, on_line=progress.say)
    finally:
        signal.signal(signal.SIGINT, previous)


def _show_end(session: Session, job: Job) -> None:
    """The summary for people, or the job if a format was asked for; warnings; why it failed."""
    from sparkscore.cli.render import render_job_error, render_summary, render_warnings

    summary = job.summary
    if session.wants_data:
        session.show(job)
    elif summary is not None:
        typer.echo(render_summary(summary, job_folder=str(job.record.folder)))
    else:
        typer.echo(f"{'job':<13}{job.name}: {job.status}")
    warnings = render_warnings(() if summary is None else summary.warnings)
    if warnings and not session.only_show_errors:
        typer.echo(warnings, err=True)
    error = render_job_error(job.record.error)
    if error is not None:
        typer.echo(error, err=True)


@command(app, columns=columns.JOBS)
def cancel(session: Session, name: flags.Name) -> Any:
    """Ask a job to stop; returns at once."""
    return session.workspace.jobs.cancel(name)


@command(app, columns=columns.JOBS)
def resume(
    session: Session,
    name: flags.Name,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE...", help="Thresholds, timeouts, retries or instances."
        ),
    ] = None,
    conf: flags.Conf = None,
    compute: Annotated[
        str | None, typer.Option("--compute", help="A compute other than the one it had.")
    ] = None,
) -> Any:
    """Let a failed, canceled or killed job go on from where it was; returns at once."""
    return session.workspace.jobs.resume(
        name, overrides=overrides or (), conf=conf or (), compute=compute
    )


@command(app, "retry-failed", columns=columns.JOBS)
def retry_failed(session: Session, name: flags.Name, job: JobFlags) -> Any:
    """Start a new job on exactly the inputs that failed in this one; returns at once."""
    from sparkscore.control.endpoints.request import InvokeRequest

    return session.workspace.jobs.retry_failed(name, InvokeRequest(**job.to_fields()))


@command(app)
def download(
    session: Session,
    name: flags.Name,
    output_name: Annotated[
        str, typer.Option("--output-name", help="Which output; there is one, score.")
    ] = "score",
    download_path: Annotated[
        Path, typer.Option("--download-path", "-p", help="Folder to put it in.")
    ] = Path("."),
    everything: Annotated[
        bool, typer.Option("--all", help="Logs and all other files of the job too.")
    ] = False,
) -> Any:
    """Copy the results of a job that has ended: named-outputs/score/, artifacts/."""
    path = session.workspace.jobs.download(
        name, output_name=output_name, download_path=download_path, all=everything
    )
    session.say(f"downloaded to {path}")
    return {"path": str(path)}


@command(app)
def logs(
    session: Session,
    name: flags.Name,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    mini_batch: Annotated[
        int | None,
        typer.Option("--mini-batch", min=0, help="Only what the script said of this one."),
    ] = None,
) -> None:
    """Print what Spark, the driver and the scoring script said."""
    is_silent = True
    for line in session.workspace.jobs.iter_logs(name, follow=follow, mini_batch=mini_batch):
        is_silent = False
        typer.echo(line)
    if is_silent and mini_batch is not None:
        session.say(f"the script said nothing of mini-batch {mini_batch}")


@command(app)
def errors(
    session: Session,
    name: Annotated[str | None, typer.Option("--name", "-n", help="The job's name.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="In place of a name: a job folder.")
    ] = None,
) -> None:
    """Explain what failed: grouped, with counts, samples and where in the script it was."""
    found = _find_errors(session, name, folder)
    if session.format is OutputFormat.table and session.query is None and session.wants_data:
        session.show(found.to_dict()["groups"], columns.FAILURE_GROUPS)
    elif session.wants_data:
        session.show(found)
    else:
        width = shutil.get_terminal_size().columns
        from sparkscore.cli.render_errors import render_errors

        has_folder = Path(found.job_folder).is_dir()
        text = render_errors(found, width=width, in_workspace=folder is None, has_folder=has_folder)
        typer.echo(text)


def _find_errors(session: Session, name: str | None, folder: Path | None) -> JobErrors:
    if name is not None and folder is not None:
        raise flags.refuse_together("--name", "--folder")
    if folder is not None:
        from sparkscore.control.jobs.errors import read_errors

        return read_errors(folder)
    if name is None:
        raise UsageError("which job: give --name or --folder", condition="NAME_NEEDED")
    return session.workspace.jobs.errors(name)


@command(app)
def archive(session: Session, name: flags.Name) -> None:
    """Leave a job out of lists."""
    session.workspace.jobs.archive(name)


@command(app)
def restore(session: Session, name: flags.Name) -> None:
    """Show an archived job in lists again."""
    session.workspace.jobs.restore(name)


@command(app, columns=columns.JOBS)
def update(session: Session, name: flags.Name, changes: flags.ChangeFlags) -> Any:
    """Change display name, description, tags or properties."""
    return session.workspace.jobs.update(name, **changes.to_arguments())


@command(app, columns=columns.PRUNED_JOBS)
def prune(
    session: Session,
    older_than_days: Annotated[
        float, typer.Option("--older-than-days", min=0, help="Jobs that ended before that.")
    ] = 30.0,
    status: Annotated[str | None, typer.Option("--status", help="Jobs of a status only.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")
    ] = False,
    yes: flags.Yes = False,
) -> Any:
    """Remove the folders of jobs that ended long ago; their accounts and outputs stay."""
    if not dry_run:
        confirm(f"remove folders of jobs that ended {older_than_days:g} days ago", yes=yes)
    return session.workspace.jobs.prune(
        older_than_days=older_than_days, status=status, dry_run=dry_run
    )
