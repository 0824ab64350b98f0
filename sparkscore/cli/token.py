"""``sparkscore token``: who may use the server. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sparkscore.cli import columns, flags
from sparkscore.cli.confirm import confirm
from sparkscore.cli.generic import Session, command, make_app

app = make_app("Tokens: who may use the server, and what for.")

TokenName = Annotated[str, typer.Option("--name", "-n", help="Name of the token.")]


@command(app, columns=columns.NEW_TOKENS)
def create(
    session: Session,
    role: Annotated[str, typer.Option("--role", help="reader, invoker, contributor or owner.")],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Its name; generated if not given.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", help="How long it holds: 30m, 12h, 90d, or never.")
    ] = "90d",
) -> Any:
    """Make a token; it is shown this once."""
    return session.workspace.tokens.create(role=role, name=name, expires=expires)


@command(app, "list", columns=columns.TOKENS)
def list_(session: Session) -> Any:
    """List the tokens, without what is secret."""
    return session.workspace.tokens.list()


@command(app)
def revoke(session: Session, name: TokenName, yes: flags.Yes = False) -> None:
    """Revoke a token: it opens nothing from then on."""
    confirm(f"revoke token {name}", yes=yes)
    session.workspace.tokens.revoke(name)
