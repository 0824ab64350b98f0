"""``sparkscore account``: answers scripts that ask the reference who works here. Control plane.

Nobody signs in: a workspace is a folder, and whoever may write to it may use it, also by its
server.
"""

from __future__ import annotations

import getpass
from datetime import datetime, timezone
from typing import Annotated, Any

import typer

from sparkscore.cli.generic import Session, command, make_app

app = make_app("Who works here; for scripts of the reference.")

NO_ID = "00000000-0000-0000-0000-000000000000"
TOKEN_DURATION = "60m"  # noqa: S105 - how long one holds


@command(app)
def show(session: Session) -> Any:
    """Show the user and the subscription that was set."""
    from sparkscore.control.user_config import read_user_config

    subscription = session.subscription or read_user_config().defaults.get("subscription", NO_ID)
    return {
        "environmentName": "local",
        "id": subscription,
        "isDefault": True,
        "name": subscription,
        "state": "Enabled",
        "tenantId": NO_ID,
        "user": {"name": _get_user(), "type": "user"},
    }


def _get_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@command(app, "set")
def set_(
    session: Session,
    name: Annotated[
        str | None, typer.Option("--name", "-n", "-s", help="The subscription: any text.")
    ] = None,
) -> None:
    """Remember a subscription; nothing depends on it."""
    from sparkscore.control.user_config import read_user_config, write_user_config

    chosen = name or session.subscription or ""
    write_user_config(read_user_config().with_default("subscription", chosen))


@command(app, "get-access-token")
def get_access_token(
    session: Session,
    resource: Annotated[
        str | None, typer.Option("--resource", help="Accepted and ignored.")
    ] = None,
    resource_type: Annotated[
        str | None, typer.Option("--resource-type", help="Accepted and ignored.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="Accepted and ignored.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", help="Accepted and ignored.")
    ] = None,
) -> Any:
    """Print a token that opens the workspace's server for an hour, as its owner."""
    from sparkscore.control.user_config import read_user_config

    del resource, resource_type, scope, tenant
    token = session.workspace.tokens.create(role="owner", expires=TOKEN_DURATION)
    expires = datetime.fromtimestamp(token.expires_at or 0.0, timezone.utc)
    subscription = session.subscription or read_user_config().defaults.get("subscription", NO_ID)
    return {
        "accessToken": token.secret,
        "expiresOn": f"{expires:%Y-%m-%d %H:%M:%S.%f}",
        "expires_on": int(expires.timestamp()),
        "subscription": subscription,
        "tenant": NO_ID,
        "tokenType": "Bearer",
    }
