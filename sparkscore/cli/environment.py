"""``sparkscore environment``. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.assets import register_verbs
from sparkscore.cli.generic import Session, command, make_app

app = make_app("Environments: what scoring scripts need.")


@command(app, columns=columns.ENVIRONMENTS)
def create(
    session: Session,
    given: flags.AssetFlags,
    image: Annotated[
        str | None, typer.Option("--image", "-i", help="Container image; recorded.")
    ] = None,
    conda_file: Annotated[
        str | None, typer.Option("--conda-file", "-c", help="Conda file (YAML).")
    ] = None,
) -> Any:
    """Register a version of an environment."""
    return session.workspace.environments.create(
        given.file, image=image, conda_file=conda_file, **given.to_arguments()
    )


register_verbs(
    app,
    kind="environment",
    get_manager=lambda session: session.workspace.environments,
    columns=columns.ENVIRONMENTS,
)
