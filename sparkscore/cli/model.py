"""``sparkscore model``. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.assets import register_verbs
from sparkscore.cli.generic import Session, command, make_app

app = make_app("Models: what deployments score with.")


@command(app, columns=columns.ASSETS)
def create(
    session: Session,
    given: flags.AssetFlags,
    kind: Annotated[
        str | None, typer.Option("--type", "-t", metavar="custom_model|mlflow_model")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", "-p", help="File, folder, URI or datastore path.")
    ] = None,
) -> Any:
    """Register a version of a model."""
    models = session.workspace.models
    return models.create(given.file, type=kind, path=path, **given.to_arguments())


register_verbs(
    app,
    kind="model",
    get_manager=lambda session: session.workspace.models,
    columns=columns.ASSETS,
)
