"""``sparkscore schema``: the JSON Schemas of what users write. Control plane."""

from __future__ import annotations

import json

import typer

from sparkscore.cli.generic import BareSession, command, make_app

KINDS = (
    "deployment",
    "endpoint",
    "model",
    "environment",
    "data",
    "datastore",
    "compute",
    "invoke",
)

app = make_app("JSON Schemas of YAML files, for editors.")


def _add_command(kind: str) -> None:
    def show(session: BareSession) -> None:
        del session
        from sparkscore.spec import DOCUMENTS, document_json_schema

        typer.echo(json.dumps(document_json_schema(DOCUMENTS[kind]), indent=2))

    show.__doc__ = f"Print the JSON Schema of {kind} files."
    command(app, kind)(show)


for _kind in KINDS:
    _add_command(_kind)
