"""``sparkscore compute``. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.confirm import confirm
from sparkscore.cli.generic import Session, command, make_app

app = make_app("Computes: named places to run.")


@command(app, columns=columns.COMPUTES)
def create(
    session: Session,
    file: flags.OptionalFile = None,
    name: flags.OptionalName = None,
    kind: Annotated[
        str | None, typer.Option("--type", "-t", metavar="databricks|kubernetes|local|spark")
    ] = None,
    size: Annotated[str | None, typer.Option("--size", help="Machine size; recorded.")] = None,
    min_instances: Annotated[
        int | None, typer.Option("--min-instances", min=0, help="Fewest instances.")
    ] = None,
    max_instances: Annotated[
        int | None, typer.Option("--max-instances", min=0, help="Most instances of a job.")
    ] = None,
    overrides: flags.Set = None,
    no_wait: flags.NoWait = False,
) -> Any:
    """Make a compute, or change the one of that name."""
    del no_wait
    return session.workspace.computes.create(
        file,
        name=name,
        type=kind,
        size=size,
        min_instances=min_instances,
        max_instances=max_instances,
        overrides=overrides or (),
    )


@command(app, columns=columns.COMPUTES)
def show(session: Session, name: flags.Name) -> Any:
    """Show a compute."""
    return session.workspace.computes.get(name)


@command(app, "list", columns=columns.COMPUTES)
def list_(
    session: Session, archived: flags.ArchivedFlags, max_results: flags.MaxResults = None
) -> Any:
    """List computes."""
    return session.workspace.computes.list(archived=archived.archived)[:max_results]


@command(app)
def delete(
    session: Session, name: flags.Name, yes: flags.Yes = False, no_wait: flags.NoWait = False
) -> None:
    """Forget a compute; nothing is shut down."""
    del no_wait
    computes = session.workspace.computes
    found = computes.get(name)
    confirm(f"delete compute {found.name}", yes=yes)
    computes.delete(found.name)


@command(app)
def archive(session: Session, name: flags.Name) -> None:
    """Leave a compute out of lists."""
    session.workspace.computes.archive(name)


@command(app)
def restore(session: Session, name: flags.Name) -> None:
    """Show an archived compute in lists again."""
    session.workspace.computes.restore(name)
