"""``sparkscore configure``. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns
from sparkscore.cli.flags import parse_pairs
from sparkscore.cli.generic import Session, command, make_app, parse_format

app = make_app()


@command(app, columns=columns.DEFAULTS)
def configure(
    session: Session,
    defaults: Annotated[
        list[str] | None,
        typer.Option(
            "--defaults",
            "-d",
            metavar="KEY=VALUE...",
            help="workspace, output, group, location; an empty value removes one.",
        ),
    ] = None,
    list_defaults: Annotated[
        bool, typer.Option("--list-defaults", "-l", help="List what is configured.")
    ] = False,
) -> Any:
    """Choose defaults, or list them."""
    from sparkscore.control.user_config import read_user_config, write_user_config

    del session
    config = read_user_config()
    for key, value in parse_pairs(defaults, flag="--defaults").items():
        if key == "output" and value:
            parse_format(value, where="--defaults")
        config = config.with_default(key, value)
    if defaults:
        write_user_config(config)
    if defaults and not list_defaults:
        return None
    source = str(config.file)
    return [
        {"name": key, "source": source, "value": value}
        for key, value in sorted(config.defaults.items())
    ]
