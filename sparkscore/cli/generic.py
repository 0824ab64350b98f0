"""What every command has in common: generic options, output, errors. Control plane.

A command is a function whose parameters are options; it returns what is to be printed. A parameter
whose type is a dataclass stands for all fields of it, so that options are declared once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from sparkscore.cli.arguments import Flag, spell_out
from sparkscore.cli.output import Columns, OutputFormat, Query, render_output, to_plain
from sparkscore.errors import UsageError

if TYPE_CHECKING:
    from sparkscore.cli.upload import UploadReport
    from sparkscore.control.assets.upload import UploadProgress
    from sparkscore.control.planning import PlannedRun
    from sparkscore.control.workspace import Workspace


@dataclass(frozen=True)
class BareSession:
    """The generic options of a command whose ``-o`` is a file or folder to write."""

    where: Annotated[
        str | None,
        typer.Option(
            "--workspace-name",
            "--workspace",
            "-w",
            metavar="NAME|FOLDER",
            help="The workspace [SPARKSCORE_WORKSPACE, the configured one, the nearest folder].",
        ),
    ] = None
    resource_group: Annotated[
        str | None, typer.Option("--resource-group", "-g", help="Accepted and ignored.")
    ] = None
    subscription: Annotated[
        str | None, typer.Option("--subscription", help="Accepted and ignored.")
    ] = None
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of expected errors too.")
    ] = False
    verbose: Annotated[bool, typer.Option("--verbose", help="Say more on standard error.")] = False
    only_show_errors: Annotated[
        bool, typer.Option("--only-show-errors", help="No warnings, no progress.")
    ] = False

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace that is meant, opened on first use."""
        from sparkscore.control.workspace import Workspace

        workspace = Workspace.open(self.where, on_message=self.say, on_upload=self.report_upload)
        if self.verbose:
            self.say(f"workspace {workspace.name} in {workspace.folder}")
        return workspace

    def report_upload(self, progress: UploadProgress) -> None:
        """How far the copy of a local input is, on standard error."""
        if not self.only_show_errors:
            self.upload_report(progress)

    @cached_property
    def upload_report(self) -> UploadReport:
        """What shows it; made when there is something to show."""
        from sparkscore.cli.upload import UploadReport

        return UploadReport()

    def say(self, line: str) -> None:
        """A line for people, on standard error."""
        if not self.only_show_errors:
            typer.echo(line, err=True)


@dataclass(frozen=True)
class Session(BareSession):
    """The generic options of a command that prints its result."""

    output: Annotated[
        OutputFormat | None, typer.Option("--output", "-o", help="Format of the result [json].")
    ] = None
    query_text: Annotated[
        str | None, typer.Option("--query", metavar="JMESPATH", help="Part of the result to print.")
    ] = None

    @cached_property
    def query(self) -> Query | None:
        """``--query``; raises UsageError (INVALID_QUERY)."""
        return None if self.query_text is None else Query(self.query_text)

    @cached_property
    def format(self) -> OutputFormat:
        """The format asked for or configured; raises UsageError (UNKNOWN_OUTPUT_FORMAT)."""
        if self.output is not None:
            return self.output
        from sparkscore.control.user_config import read_user_config

        config = read_user_config()
        return parse_format(config.defaults.get("output", "json"), where=str(config.file))

    def check(self) -> None:
        """Raise now, before anything is done, what ``show`` would raise for wrong options."""
        _ = self.query, self.format

    @property
    def wants_data(self) -> bool:
        """Whether a format or a part of the result was asked for on the command line."""
        return self.output is not None or self.query_text is not None

    def show(self, result: Any, columns: Columns | None = None) -> None:
        """Print what a command gives: all of it or the part that ``--query`` names."""
        plain = to_plain(result)
        if self.query is not None:
            plain, columns = self.query.search(plain), None
        is_terminal = sys.stdout.isatty()
        text = render_output(plain, self.format, columns=columns, is_terminal=is_terminal)
        typer.echo(text, nl=False)


def show_plan(session: Session, planned: PlannedRun) -> None:
    """Print a plan: as text, or as data where that was asked for."""
    for line in planned.messages:
        session.say(line)
    if session.wants_data:
        session.show(planned.to_dict())
    else:
        typer.echo(planned.render())


def parse_format(text: str, *, where: str) -> OutputFormat:
    """A format by name, said in ``where``; raises UsageError (UNKNOWN_OUTPUT_FORMAT)."""
    if text not in OutputFormat.__members__:
        raise UsageError(
            f"{where}: output {text!r} is unknown: choose one of {', '.join(OutputFormat)}",
            condition="UNKNOWN_OUTPUT_FORMAT",
            format=text,
        )
    return OutputFormat(text)


GENERIC = "Generic options"
GENERIC_NAMES = frozenset(field.name for field in dataclasses.fields(Session))


class Command(TyperCommand):
    """A command that reads its flags as the reference does; see ``sparkscore.cli.arguments``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = [
            Flag(
                names=(*param.opts, *param.secondary_opts),
                takes_value=not getattr(param, "is_flag", False),
                is_list=bool(getattr(param, "multiple", False)),
            )
            for param in self.get_params(ctx)
            if param.param_type_name == "option"
        ]
        return super().parse_args(ctx, spell_out(args, flags))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], GENERIC: []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            generic = param.name in GENERIC_NAMES or param.name == "help"
            own = "Arguments" if param.param_type_name == "argument" else "Options"
            if record is not None:
                sections[GENERIC if generic else own].append(record)
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


HELP = {"help_option_names": ["--help", "-h"]}


def make_app(text: str = "", **settings: Any) -> typer.Typer:
    """A group of commands, or without ``text`` the place of a single one."""
    return typer.Typer(
        help=text,
        no_args_is_help=bool(text),
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=HELP,
        **settings,
    )


Function = Callable[..., Any]


def command(
    app: typer.Typer, name: str | None = None, *, columns: Columns | None = None
) -> Callable[[Function], Function]:
    """Makes a function a command of ``app``.

    What it returns is printed: an entity, a list of them, or JSON types. ``columns`` are those of
    its table. One of its parameters is a ``Session``, or a ``BareSession`` if it returns nothing.
    """

    def register(function: Function) -> Function:
        parameters = inspect.signature(function, eval_str=True).parameters
        groups = {
            key: parameter.annotation
            for key, parameter in parameters.items()
            if dataclasses.is_dataclass(parameter.annotation)
        }
        single = [parameter for key, parameter in parameters.items() if key not in groups]
        fields = [field for group in groups.values() for field in _iter_fields(group)]

        @functools.wraps(function)
        def run(**values: Any) -> None:
            built = {key: _take(group, values) for key, group in groups.items()}
            session = next((value for value in built.values() if isinstance(value, Session)), None)
            if session is not None:
                session.check()
            result = function(**built, **values)
            if session is not None and result is not None:
                session.show(result, columns)

        del run.__wrapped__
        run.__annotations__ = {}
        run.__signature__ = inspect.Signature([*single, *fields])  # type: ignore[attr-defined]
        app.command(name, cls=Command, context_settings=HELP)(run)
        return function

    return register


def _iter_fields(group: Any) -> list[inspect.Parameter]:
    annotations = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty
            if field.default is dataclasses.MISSING
            else field.default,
            annotation=annotations[field.name],
        )
        for field in dataclasses.fields(group)
    ]


def _take(group: Any, values: dict[str, Any]) -> Any:
    """The dataclass with its fields out of ``values``."""
    return group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
