"""``sparkscore studio``. Control plane."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from sparkscore.cli.browser import open_browser
from sparkscore.cli.generic import BareSession, command, make_app
from sparkscore.cli.serve import check_libraries
from sparkscore.errors import UsageError

app = make_app()


@command(app, "studio")
def studio(
    session: BareSession,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 0,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Of a server of this workspace that runs: none is started."),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the link only; open no browser.")
    ] = False,
) -> None:
    """Open the workspace's pages: serve them on this machine, and log in by a link."""
    from sparkscore.control.access.login_links import is_answering, make_login_link

    workspace = session.workspace

    def show(server_url: str) -> None:
        link = make_login_link(workspace, server_url)
        typer.echo(f"sparkscore studio of workspace {workspace.name} on {server_url}")
        typer.echo(f"log in, once and within 5 minutes, with: {link}")
        if not no_browser:
            # Some browsers are waited for, and the server must answer them meanwhile.
            threading.Thread(target=open_browser, args=(link,), daemon=True).start()

    if url is not None:
        if port:
            raise UsageError(
                "--port is for a server of this command: leave it away with --url",
                condition="FLAGS_DISAGREE",
            )
        if not is_answering(url):
            raise UsageError(
                f"no server answers at {url}: start one with sparkscore serve, or leave --url away",
                condition="SERVER_NOT_FOUND",
                url=url,
            )
        show(url.rstrip("/"))
        return
    check_libraries()
    from sparkscore.rest.config import ServerConfig
    from sparkscore.rest.serving import serve
    from sparkscore.studio.app import add_studio

    config = ServerConfig(port=port, settings=workspace.config.server)
    serve(workspace, config, on_url=show, extend=add_studio)
