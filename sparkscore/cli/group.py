"""``sparkscore group``: answers scripts that ask for a resource group. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli.generic import Session, command, make_app

app = make_app("Resource groups; for scripts of the reference.")


@app.callback()
def group() -> None:
    """Resource groups; for scripts of the reference."""


@command(app)
def show(
    session: Session,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Any text [the configured group].")
    ] = None,
) -> Any:
    """Show a resource group: whichever is asked for, since none means anything here."""
    from sparkscore.control.user_config import read_user_config

    defaults = read_user_config().defaults
    shown = name or session.resource_group or defaults.get("group", "local")
    return {
        "id": f"/resourceGroups/{shown}",
        "location": defaults.get("location", "local"),
        "managedBy": None,
        "name": shown,
        "properties": {"provisioningState": "Succeeded"},
        "tags": {},
        "type": "Microsoft.Resources/resourceGroups",
    }
