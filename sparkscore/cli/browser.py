"""Opens pages in a browser, where there is one. Control plane."""

from __future__ import annotations

import os
import sys
import webbrowser

import typer


def open_browser(address: str) -> None:
    """Open the page if there is a browser with a window; a text one would take the terminal."""
    has_window = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    )
    if has_window:
        try:
            webbrowser.open(address)
        except (webbrowser.Error, OSError) as error:
            typer.echo(f"no browser could be started: {error}", err=True)
