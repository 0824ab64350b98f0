"""Asks before something is deleted. Control plane."""

from __future__ import annotations

import sys

import typer

from sparkscore.errors import UsageError


def confirm(what: str, *, yes: bool, notes: str = "") -> None:
    """Go on if ``--yes`` was given or the user agrees at a terminal.

    Raises UsageError: CONFIRMATION_NEEDED where nobody can be asked, NOT_CONFIRMED for a no.
    ``notes`` are said before the question.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} needs a confirmation, and there is no terminal to ask at: pass --yes",
            condition="CONFIRMATION_NEEDED",
        )
    if notes:
        typer.echo(notes, err=True)
    typer.echo(f"Are you sure you want to {what}? (y/n): ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was done", condition="NOT_CONFIRMED")
