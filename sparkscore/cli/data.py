"""``sparkscore data``, also called ``dataset``. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.assets import register_verbs
from sparkscore.cli.generic import Session, command, make_app

app = make_app("Data assets: inputs with a name and a version.")


@command(app, columns=columns.ASSETS)
def create(
    session: Session,
    given: flags.AssetFlags,
    kind: Annotated[str | None, typer.Option("--type", "-t", metavar="uri_folder|uri_file")] = None,
    path: Annotated[
        str | None, typer.Option("--path", "-p", help="File, folder, URI or datastore path.")
    ] = None,
) -> Any:
    """Register a version of a data asset."""
    data = session.workspace.data
    return data.create(given.file, type=kind, path=path, **given.to_arguments())


register_verbs(
    app,
    kind="data asset",
    get_manager=lambda session: session.workspace.data,
    columns=columns.ASSETS,
)
