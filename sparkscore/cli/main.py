"""The command ``sparkscore``. Control plane.

What is slow to import is imported within the commands, and a group of commands when it is named:
``sparkscore --help`` answers at once.
"""

from __future__ import annotations

import importlib
import io
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

import sparkscore
from sparkscore.cli import exit_codes
from sparkscore.cli.completion import complete_if_asked
from sparkscore.cli.generic import BareSession, command, make_app
from sparkscore.errors import CanceledError, SparkscoreError, UsageError

GROUPS: dict[str, tuple[str, str]] = {
    "account": ("account", "Who works here; for scripts of the reference."),
    "batch-deployment": ("batch_deployment", "Batch deployments: a model and how it scores."),
    "batch-endpoint": ("batch_endpoint", "Batch endpoints: names under which jobs are started."),
    "completion": ("completion", "Print the completion script of a shell."),
    "compute": ("compute", "Computes: named places to run."),
    "configure": ("configure", "Defaults of this command line."),
    "data": ("data", "Data assets: inputs with a name and a version."),
    "dataset": ("data", "The same as data."),
    "datastore": ("datastore", "Datastores: named places for data."),
    "environment": ("environment", "Environments: what scoring scripts need."),
    "group": ("group", "Resource groups; for scripts of the reference."),
    "init": ("init", "Make a workspace in a folder."),
    "job": ("job", "Jobs: what was invoked, and what came of it."),
    "model": ("model", "Models: what deployments score with."),
    "serve": ("serve", "Serve the workspace over HTTP until stopped."),
    "schema": ("schema", "JSON Schemas of YAML files, for editors."),
    "studio": ("studio", "Open the workspace's pages, and log in by a link."),
    "token": ("token", "Tokens: who may use the server, and what for."),
    "workspace": ("workspace", "Workspaces: where all of this lives."),
}
"""Command -> the module of ``sparkscore.cli`` that has it, and what it is."""

# The parser's own error for wrong use; its module has another name in every version of typer.
_ParserError: Any = typer.BadParameter.__bases__[0]


class Root(TyperGroup):
    """Imports a group of commands when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted({*GROUPS, *self.commands})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in GROUPS and cmd_name not in self.commands:
            module, text = GROUPS[cmd_name]
            loaded = importlib.import_module(f"sparkscore.cli.{module}")
            self.commands[cmd_name] = typer.main.get_command(loaded.app)
            self.commands[cmd_name].name = cmd_name
            self.commands[cmd_name].help = self.commands[cmd_name].help or text
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = {name: text for name, (_, text) in GROUPS.items()}
        rows.update({name: own.get_short_help_str() for name, own in self.commands.items()})
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


app = make_app(
    "Batch endpoints and batch deployments on Apache Spark.", name="sparkscore", cls=Root
)


@app.callback()
def root() -> None:
    """Batch endpoints and batch deployments on Apache Spark."""


@command(app)
def version(session: BareSession) -> None:
    """Print the version."""
    del session
    typer.echo(sparkscore.__version__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; see ``sparkscore.cli.exit_codes``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    complete_if_asked()
    _write_any_text()
    with _signals_end_the_process():
        try:
            code = app(args=given, prog_name="sparkscore", standalone_mode=False)
        except _ParserError as error:
            sys.exit(_show_parser_error(error))
        except SparkscoreError as error:
            _show(error, with_traceback=_wants_traceback(given))
            sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _write_any_text() -> None:
    """File names may hold bytes that are no text, and a terminal may lack letters: escape these."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_parser_error(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        usage = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        _show(UsageError(f"{error.format_message().rstrip('.')}{usage}"), with_traceback=False)
    return UsageError.exit_code


def _wants_traceback(given: Sequence[str]) -> bool:
    return any(len(word) > len("--de") and "--debug".startswith(word) for word in given)


def _show(error: SparkscoreError, *, with_traceback: bool) -> None:
    from sparkscore.cli.render import render_error

    if with_traceback:
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    typer.echo(render_error(error), err=True)


@contextmanager
def _signals_end_the_process() -> Iterator[None]:
    """Leave in order, with the exit code of the table; commands may take signals over."""
    previous = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(exit_codes.INTERRUPTED_CODE if number == signal.SIGINT else CanceledError.exit_code)
