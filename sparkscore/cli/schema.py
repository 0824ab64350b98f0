"""``sparkscore schema``: the JSON Schemas of what users write. Control plane."""

from __future__ import annotations

import json

import typer

app = typer.Typer(help="JSON Schemas of YAML files, for editors.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """JSON Schemas of YAML files, for editors."""


@app.command()
def deployment() -> None:
    """Print the JSON Schema of deployment files."""
    from sparkscore.spec import deployment_json_schema

    typer.echo(json.dumps(deployment_json_schema(), indent=2))
