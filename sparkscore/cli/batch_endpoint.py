"""``sparkscore batch-endpoint``. Control plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.confirm import confirm
from sparkscore.cli.generic import Session, command, make_app, show_plan
from sparkscore.cli.job_flags import JobFlags
from sparkscore.errors import UsageError

app = make_app("Batch endpoints: names under which jobs are started.")


@command(app, columns=columns.ENDPOINTS)
def create(
    session: Session,
    file: flags.OptionalFile = None,
    name: flags.OptionalName = None,
    overrides: flags.Set = None,
    no_wait: flags.NoWait = False,
) -> Any:
    """Make an endpoint, or change the one of that name."""
    del no_wait
    if file is None and name is None:
        raise UsageError("an endpoint needs --name or --file", condition="NAME_NEEDED")
    return session.workspace.batch_endpoints.create(file, name=name, overrides=overrides or ())


@command(app, columns=columns.ENDPOINTS)
def show(session: Session, name: flags.Name) -> Any:
    """Show an endpoint."""
    return session.workspace.batch_endpoints.get(name)


@command(app, "list", columns=columns.ENDPOINTS)
def list_(session: Session) -> Any:
    """List endpoints."""
    return session.workspace.batch_endpoints.list()


@command(app, columns=columns.ENDPOINTS)
def update(
    session: Session,
    changes: flags.ChangeFlags,
    name: flags.OptionalName = None,
    file: flags.OptionalFile = None,
    defaults: Annotated[
        list[str] | None,
        typer.Option(
            "--defaults", metavar="deployment_name=NAME", help="Choose the default deployment."
        ),
    ] = None,
    no_wait: flags.NoWait = False,
) -> Any:
    """Change description, tags, properties or the default deployment."""
    del no_wait
    return session.workspace.batch_endpoints.update(
        name or _read_name(file),
        source=file,
        defaults=defaults or (),
        **changes.to_arguments(),
    )


def _read_name(file: Path | None) -> str:
    if file is None:
        raise UsageError("which endpoint: give --name or --file", condition="NAME_NEEDED")
    from sparkscore.spec import BatchEndpointSpec, load_document

    return load_document(BatchEndpointSpec, file).spec.name


@command(app)
def delete(
    session: Session, name: flags.Name, yes: flags.Yes = False, no_wait: flags.NoWait = False
) -> None:
    """Delete an endpoint and its deployments; its jobs stay."""
    del no_wait
    endpoints = session.workspace.batch_endpoints
    endpoint = endpoints.get(name)
    notes = ""
    if not yes:
        names = [each.name for each in session.workspace.batch_deployments.list(endpoint.name)]
        gone = f"its deployments {', '.join(names)} go with it" if names else "it has no deployment"
        notes = f"endpoint {endpoint.name}: {gone}; its jobs stay"
    confirm(f"delete endpoint {endpoint.name}", yes=yes, notes=notes)
    endpoints.delete(endpoint.name)


@command(app, "list-jobs", columns=columns.JOBS)
def list_jobs(session: Session, name: flags.Name, max_results: flags.MaxResults = None) -> Any:
    """List the jobs of an endpoint, the newest first."""
    return session.workspace.batch_endpoints.list_jobs(name, max_results=max_results)


@dataclass(frozen=True)
class InputFlags:
    """What is to be scored: one flag of the later form or of 2021."""

    input: Annotated[
        str | None,
        typer.Option("--input", help="Data asset, datastore path, URI, file or folder."),
    ] = None
    input_type: Annotated[
        str | None, typer.Option("--input-type", metavar="uri_folder|uri_file", help="What it is.")
    ] = None
    input_path: Annotated[
        str | None,
        typer.Option("--input-path", metavar="[folder:|file:]URI", help="A URI (form of 2021)."),
    ] = None
    input_dataset: Annotated[
        str | None,
        typer.Option(
            "--input-dataset", metavar="azureml:NAME:VERSION", help="A data asset (form of 2021)."
        ),
    ] = None
    input_local_path: Annotated[
        str | None,
        typer.Option("--input-local-path", help="A local file or folder (form of 2021)."),
    ] = None
    include: flags.Include = None
    exclude: flags.Exclude = None
    limit: flags.Limit = None

    def choose(self) -> tuple[str | None, Literal["asset", "path", "local"] | None]:
        """The one input that was given, and the only kind that its flag takes.

        Raises UsageError (CONFLICTING_FLAGS).
        """
        known: list[tuple[str, str | None, Literal["asset", "path", "local"] | None]] = [
            ("--input", self.input, None),
            ("--input-path", self.input_path, "path"),
            ("--input-dataset", self.input_dataset, "asset"),
            ("--input-local-path", self.input_local_path, "local"),
        ]
        given = [choice for choice in known if choice[1] is not None]
        if len(given) > 1:
            raise flags.refuse_together(*(flag for flag, _, _ in given))
        return given[0][1:] if given else (None, None)


@command(app, columns=columns.JOBS)
def invoke(
    session: Session,
    name: flags.Name,
    given: InputFlags,
    job: JobFlags,
    file: flags.OptionalFile = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the plan of the job and start none.")
    ] = False,
) -> Any:
    """Start a job and return at once."""
    from sparkscore.control.endpoints.request import InvokeRequest

    chosen, only = given.choose()
    request = InvokeRequest(
        input=chosen,
        input_type=given.input_type,
        input_only=only,
        file=file,
        include=tuple(given.include or ()),
        exclude=tuple(given.exclude or ()),
        limit=given.limit,
        **job.to_fields(),
    )
    if plan:
        return show_plan(session, session.workspace.batch_endpoints.plan(name, request))
    return session.workspace.batch_endpoints.invoke(name, request)
