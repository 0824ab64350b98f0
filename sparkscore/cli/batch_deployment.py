"""``sparkscore batch-deployment``; its one-shot verbs stand in ``one_shot``. Control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags, one_shot
from sparkscore.cli.confirm import confirm
from sparkscore.cli.generic import Session, command, make_app
from sparkscore.errors import UsageError

app = make_app("Batch deployments: a model and how it scores.")


@command(app, columns=columns.DEPLOYMENTS)
def create(
    session: Session,
    file: flags.File,
    name: flags.OptionalName = None,
    endpoint_name: flags.OptionalEndpointName = None,
    overrides: flags.Set = None,
    set_default: Annotated[
        bool, typer.Option("--set-default", help="Make it the endpoint's default.")
    ] = False,
    skip_script_validation: flags.SkipScriptValidation = False,
    no_wait: flags.NoWait = False,
) -> Any:
    """Make a deployment, or replace the one of that name."""
    if set_default and no_wait:
        raise flags.refuse_together("--set-default", "--no-wait")
    return session.workspace.batch_deployments.create(
        file,
        name=name,
        endpoint_name=endpoint_name,
        overrides=overrides or (),
        set_default=set_default,
        skip_script_validation=skip_script_validation,
    )


@command(app, columns=columns.DEPLOYMENTS)
def show(session: Session, name: flags.Name, endpoint_name: flags.EndpointName) -> Any:
    """Show a deployment."""
    return session.workspace.batch_deployments.get(name, endpoint_name)


@command(app, "list", columns=columns.DEPLOYMENTS)
def list_(session: Session, endpoint_name: flags.EndpointName) -> Any:
    """List the deployments of an endpoint."""
    return session.workspace.batch_deployments.list(endpoint_name)


@command(app, columns=columns.DEPLOYMENTS)
def update(
    session: Session,
    changes: flags.ChangeFlags,
    name: flags.OptionalName = None,
    endpoint_name: flags.OptionalEndpointName = None,
    file: flags.OptionalFile = None,
    skip_script_validation: flags.SkipScriptValidation = False,
    no_wait: flags.NoWait = False,
) -> Any:
    """Change code, model, environment or settings; jobs keep what they ran."""
    del no_wait
    own_name, own_endpoint = _read_names(file, name=name, endpoint_name=endpoint_name)
    return session.workspace.batch_deployments.update(
        own_name,
        own_endpoint,
        source=file,
        skip_script_validation=skip_script_validation,
        **changes.to_arguments(),
    )


def _read_names(
    file: Path | None, *, name: str | None, endpoint_name: str | None
) -> tuple[str, str]:
    if name is not None and endpoint_name is not None:
        return name, endpoint_name
    if file is None:
        raise UsageError(
            "which deployment: give --name and --endpoint-name, or --file",
            condition="NAME_NEEDED",
        )
    from sparkscore.spec import load_deployment

    spec = load_deployment(file, flags={"name": name, "endpoint_name": endpoint_name}).spec
    return spec.name, spec.endpoint_name


@command(app)
def delete(
    session: Session,
    name: flags.Name,
    endpoint_name: flags.EndpointName,
    new_default: Annotated[
        str | None,
        typer.Option("--new-default", help="The default from now on, if this one was it."),
    ] = None,
    yes: flags.Yes = False,
    no_wait: flags.NoWait = False,
) -> None:
    """Delete a deployment; its jobs stay."""
    del no_wait
    deployments = session.workspace.batch_deployments
    found = deployments.get(name, endpoint_name)
    confirm(f"delete deployment {found.name} of endpoint {endpoint_name}", yes=yes)
    deployments.delete(found.name, endpoint_name, new_default=new_default)


@command(app, "list-jobs", columns=columns.JOBS)
def list_jobs(
    session: Session,
    name: flags.Name,
    endpoint_name: flags.EndpointName,
    max_results: flags.MaxResults = None,
) -> Any:
    """List the jobs of a deployment, the newest first."""
    return session.workspace.batch_deployments.list_jobs(
        name, endpoint_name, max_results=max_results
    )


@command(app)
def validate(
    session: Session,
    file: flags.File,
    name: flags.OptionalName = None,
    endpoint_name: flags.OptionalEndpointName = None,
    overrides: flags.Set = None,
) -> Any:
    """Check a deployment file and all it refers to; registers nothing."""
    result = session.workspace.batch_deployments.validate(
        file, name=name, endpoint_name=endpoint_name, overrides=overrides or ()
    )
    session.show(result)
    if result["result"] != "Succeeded":
        raise typer.Exit(UsageError.exit_code)


one_shot.register(app)
