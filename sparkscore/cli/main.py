"""The command ``sparkscore``. Control plane.

What is slow to import is imported within the commands: ``sparkscore --help`` answers at once.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import typer

import sparkscore
from sparkscore.cli import batch_deployment, exit_codes, schema
from sparkscore.cli.arguments import repeat_flags
from sparkscore.errors import CanceledError, SparkscoreError

app = typer.Typer(
    name="sparkscore",
    help="Batch endpoints and batch deployments on Apache Spark.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(batch_deployment.app, name="batch-deployment")
app.add_typer(schema.app, name="schema")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(sparkscore.__version__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; see ``sparkscore.cli.exit_codes``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with _signals_end_the_process():
        try:
            app(args=repeat_flags(given), prog_name="sparkscore")
        except SparkscoreError as error:
            _show(error, with_traceback="--debug" in given)
            sys.exit(error.exit_code)


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
    interrupted = number == signal.SIGINT
    sys.exit(exit_codes.INTERRUPTED_CODE if interrupted else CanceledError.exit_code)
