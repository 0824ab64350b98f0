"""``sparkscore datastore``. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.confirm import confirm
from sparkscore.cli.generic import Session, command, make_app

app = make_app("Datastores: named places for data.")


@command(app, columns=columns.DATASTORES)
def create(
    session: Session,
    file: flags.OptionalFile = None,
    name: flags.OptionalName = None,
    kind: Annotated[
        str | None, typer.Option("--type", "-t", metavar="local|azure_blob|s3|gcs|uri|...")
    ] = None,
    overrides: flags.Set = None,
) -> Any:
    """Make a datastore, or change the one of that name."""
    datastores = session.workspace.datastores
    return datastores.create(file, name=name, type=kind, overrides=overrides or ())


@command(app, columns=columns.DATASTORES)
def show(session: Session, name: flags.Name) -> Any:
    """Show a datastore."""
    return session.workspace.datastores.get(name)


@command(app, "list", columns=columns.DATASTORES)
def list_(
    session: Session, archived: flags.ArchivedFlags, max_results: flags.MaxResults = None
) -> Any:
    """List datastores."""
    return session.workspace.datastores.list(archived=archived.archived)[:max_results]


@command(app)
def delete(session: Session, name: flags.Name, yes: flags.Yes = False) -> None:
    """Forget a datastore; what lies in it stays."""
    datastores = session.workspace.datastores
    found = datastores.get(name)
    confirm(f"delete datastore {found.name}", yes=yes)
    datastores.delete(found.name)


@command(app)
def archive(session: Session, name: flags.Name) -> None:
    """Leave a datastore out of lists."""
    session.workspace.datastores.archive(name)


@command(app)
def restore(session: Session, name: flags.Name) -> None:
    """Show an archived datastore in lists again."""
    session.workspace.datastores.restore(name)
