"""``sparkscore serve``. Control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparkscore.cli.generic import BareSession, command, make_app
from sparkscore.errors import MissingDependencyError

app = make_app()

NO_TOKENS = (
    "nobody has a token yet; make one with: sparkscore token create --role owner --name NAME"
)


@command(app, "serve")
def serve(
    session: BareSession,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8600,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="No tokens: this machine may do everything.")
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="PEM file of the certificate.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="PEM file of the certificate's key.")
    ] = None,
) -> None:
    """Serve the workspace over HTTP until stopped."""
    check_libraries()
    from sparkscore.rest.config import ServerConfig
    from sparkscore.rest.serving import serve as run
    from sparkscore.studio.app import add_studio

    workspace = session.workspace
    config = ServerConfig(
        host=host,
        port=port,
        no_auth=no_auth,
        tls_cert=tls_cert,
        tls_key=tls_key,
        settings=workspace.config.server,
    )
    config.check()
    if not (no_auth or workspace.config.server.oidc_issuer or workspace.tokens.list()):
        session.say(NO_TOKENS)

    def show(url: str) -> None:
        typer.echo(f"sparkscore serves workspace {workspace.name} on {url}")

    run(workspace, config, on_url=show, extend=add_studio)


def check_libraries() -> None:
    """Raise MissingDependencyError if the extra of the server is not installed."""
    try:
        import fastapi as fastapi
        import jinja2 as jinja2
        import jwt as jwt
        import python_multipart as python_multipart
        import uvicorn as uvicorn
    except ImportError as error:
        raise MissingDependencyError(
            f"the server needs {error.name}: pip install 'sparkscore[server]'",
            dependency=error.name,
            extra="server",
        ) from error
