"""``sparkscore completion``. Control plane."""

from __future__ import annotations

import os
from enum import Enum
from typing import Annotated

import typer

from sparkscore.cli.generic import BareSession, command, make_app

app = make_app()

PROGRAM, VARIABLE = "sparkscore", "_SPARKSCORE_COMPLETE"


class Shell(str, Enum):
    """The shells that there are scripts for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


@command(app)
def completion(
    session: BareSession, shell: Annotated[Shell, typer.Argument(help="The shell.")]
) -> None:
    """Print the completion script of a shell: eval "$(sparkscore completion bash)"."""
    # typer re-exports both functions of this module without saying so.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    del session
    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value))


def complete_if_asked() -> None:
    """Make typer answer the shell's question, if this process was started for one."""
    if os.environ.get(VARIABLE):
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
