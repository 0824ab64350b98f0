"""``sparkscore init``. Control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparkscore.cli.generic import Session, command, make_app

app = make_app()


@command(app)
def init(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="Folder to use, made if needed.")] = Path("."),
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Its name [that of the folder].")
    ] = None,
) -> Any:
    """Make a workspace in a folder; -w finds it by its name from then on."""
    from sparkscore.control.user_config import read_user_config, write_user_config
    from sparkscore.control.workspace import Workspace
    from sparkscore.control.workspace_config import make_workspace_folder

    path = folder.absolute()
    if not make_workspace_folder(path, name=name):
        session.say(f"{path} is a workspace already")
    workspace = Workspace.open(path, on_message=session.say)
    write_user_config(read_user_config().with_workspace(workspace.name, path))
    return workspace
