"""``sparkscore workspace``. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.generic import Session, command, make_app

app = make_app("Workspaces: where all of this lives.")


@command(app, columns=columns.WORKSPACES)
def show(
    session: Session,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="The same as --workspace-name.")
    ] = None,
) -> Any:
    """Show the workspace."""
    return _open(session, name)


@command(app, columns=columns.WORKSPACES)
def create(
    session: Session,
    name: Annotated[str | None, typer.Option("--name", "-n", help="Its name.")] = None,
    location: Annotated[
        str | None, typer.Option("--location", "-l", help="Accepted and ignored.")
    ] = None,
    no_wait: flags.NoWait = False,
) -> Any:
    """Make a workspace below the user's folder; see init for other folders."""
    del location, no_wait
    return _open(session, name)


def _open(session: Session, name: str | None) -> Any:
    from sparkscore.control.workspace import Workspace

    return Workspace.open(name, on_message=session.say) if name else session.workspace


@command(app, "list", columns=columns.WORKSPACES)
def list_(session: Session) -> Any:
    """List the workspaces that are known by name."""
    from sparkscore.control.user_config import read_user_config

    del session
    config = read_user_config()
    known = dict(config.workspaces)
    made = config.folder / "workspaces"
    for folder in sorted(made.iterdir()) if made.is_dir() else ():
        known.setdefault(folder.name, str(folder))
    return [{"name": name, "folder": known[name]} for name in sorted(known)]
