"""What the command line of a driver changes in its launch message. Any process, pure.

A compiled job is launched again and again, from a platform's schedule or by hand:
``score.py LAUNCH --run 12 --input URI --output-path URI --overrides "mini_batch_size=20"``.
Each run has its own name, job folder and output; a repeat of the same run finds its own again.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sparkscore.errors import InvalidFieldError, PlanError, UsageError
from sparkscore.messages.launch import InputMessage, LaunchMessage, OutputMessage, ScoringMessage

if TYPE_CHECKING:
    from sparkscore.spec import DeploymentSpec
    from sparkscore.spec.settings import SettingsSpec

USAGE = (
    "usage: score.py LAUNCH_MESSAGE [--run NAME] [--input URI] [--output-path URI] "
    "[--set KEY=VALUE]... [--overrides 'KEY=VALUE ...'] [--option KEY=VALUE]..."
)
PLATFORM_FOLDERS = ("/Volumes", "/Workspace", "/dbfs")
"""Folders that every cluster of a Databricks workspace sees as paths."""

RUNS_FOLDER = "runs"
"""Folder in a job's folder that holds one folder for each run."""

RUN = "{run}"
"""Stands for the name of the run in ``--output-path``."""

RUN_NUMBER = "--run-number"
"""Flag with which the control plane says what it submits: the run of a job on a platform."""

_FLAGS = ("--run", "--input", "--output-path", "--set", "--overrides", "--option", RUN_NUMBER)
_REPEATABLE = ("--set", "--option")
_SCHEME = re.compile(r"^(file|dbfs):(//)?(?=/)")
_RUN_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_CHANGEABLE = (
    "checkpoint_interval",
    "error_threshold",
    "init_timeout",
    "isolate_failures",
    "keep_staging",
    "logging_level",
    "memory_limit",
    "mini_batch_error_threshold",
    "mini_batch_size",
    "on_bad_row",
    "output_file_name",
    "output_header",
    "output_separator",
    "retry_settings",
)
"""Settings that a driver can still change; the others decide what was compiled."""


@dataclass(frozen=True)
class DriverArguments:
    """The command line of a driver; empty texts mean: as the launch message says.

    ``launch`` is a path or URI, ``options`` are those of its store. ``run`` names one of many runs
    of the same launch message. ``overrides`` are ``KEY=VALUE`` texts of settings. ``run_number`` is
    the ``run`` of the launch message that the driver was submitted with, None if nobody said.
    """

    launch: str
    run: str = ""
    input: str = ""
    output_path: str = ""
    overrides: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    run_number: int | None = None


def read_arguments(arguments: Sequence[str]) -> DriverArguments:
    """The command line after the program's name. Raises UsageError."""
    if not arguments or arguments[0].startswith("--"):
        raise UsageError(USAGE)
    given = _read_flags(arguments[1:])
    return DriverArguments(
        launch=arguments[0],
        run=_get_run(given),
        input="".join(given["--input"]),
        output_path="".join(given["--output-path"]),
        overrides=(*given["--set"], *_split("".join(given["--overrides"]))),
        options=dict(_get_pair(text) for text in given["--option"]),
        run_number=_get_number("".join(given[RUN_NUMBER])),
    )


def _read_flags(words: Sequence[str]) -> dict[str, list[str]]:
    """Flag to the values that it was given; a value that is empty was not."""
    given: dict[str, list[str]] = {flag: [] for flag in _FLAGS}
    flags = iter(words)
    for word in flags:
        flag, equals, value = word.partition("=")
        if flag not in given:
            raise UsageError(f"there is no flag {word!r}; {USAGE}", flag=word)
        following = value if equals else next(flags, None)
        if following is None:
            raise UsageError(f"{flag} has no value; {USAGE}", flag=flag)
        if given[flag] and flag not in _REPEATABLE:
            raise UsageError(f"{flag} is given twice; {USAGE}", flag=flag)
        given[flag] += [following.strip()] if following.strip() else []
    return given


def _get_run(given: Mapping[str, Sequence[str]]) -> str:
    run = "".join(given["--run"])
    if run and not re.fullmatch(_RUN_PATTERN, run):
        raise UsageError(
            f"--run {run!r} must be 1 to 64 letters, digits, '.', '_' and '-'", flag="--run"
        )
    return run


def _get_number(text: str) -> int | None:
    if text and not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"{RUN_NUMBER} {text!r} must be a number", flag=RUN_NUMBER)
    return int(text) if text else None


def _get_pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--option {text!r} must be KEY=VALUE", flag="--option")
    return key, value


def apply_arguments(launch: LaunchMessage, given: DriverArguments) -> LaunchMessage:
    """The launch message of this run.

    Raises SpecError for an override that no setting takes or that a driver cannot change, and
    PlanError (DELTA_IN_VOLUME) for a Delta table in a folder of a platform.
    """
    if given.overrides:
        launch = _apply_overrides(launch, given.overrides)
    if given.input and given.input != launch.input.uri:
        launch = replace(launch, input=_point_to(launch.input, given.input))
    path = _get_output_path(launch.output.path, given)
    if path != launch.output.path:
        launch = replace(launch, output=_move_output(launch.output, path))
    if launch.staged:
        _check_delta(launch.output)
    return _name_run(launch, given.run) if given.run else launch


def _split(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"--overrides {text!r} cannot be read ({error}): write KEY=VALUE words, with values "
            "that hold blanks in quotes",
            flag="--overrides",
        ) from error


def _get_output_path(path: str, given: DriverArguments) -> str:
    """A new run needs a new place, unless the caller names it."""
    if given.output_path:
        return given.output_path.replace(RUN, given.run)
    return f"{path.rstrip('/')}/{given.run}" if given.run else path


def _name_run(launch: LaunchMessage, run: str) -> LaunchMessage:
    name = f"{launch.job_name}-{run}"
    folder = f"{launch.job_folder.rstrip('/')}/{RUNS_FOLDER}/{run}"
    mirror = launch.mirror
    if mirror is not None:
        mirror = replace(mirror, uri=f"{mirror.uri.rstrip('/')}/{RUNS_FOLDER}/{run}")
    return replace(
        launch,
        job_name=name,
        job_folder=folder,
        mirror=mirror,
        scoring=replace(launch.scoring, job_name=name),
    )


def _point_to(message: InputMessage, uri: str) -> InputMessage:
    """Another input; store options stay only with their own store."""
    options = message.options if _store_of(uri) == _store_of(message.uri) else {}
    return replace(message, uri=uri, options=options, list_file=None)


def _move_output(message: OutputMessage, path: str) -> OutputMessage:
    options = message.options if _store_of(path) == _store_of(message.path) else {}
    return replace(message, path=path, options=options)


def _check_delta(output: OutputMessage) -> None:
    """What was compiled was checked; a run may name another output."""
    path = re.sub("^/+", "/", posixpath.normpath(_SCHEME.sub("", output.path)))
    is_own = any(f"{path}/".startswith(f"{folder}/") for folder in PLATFORM_FOLDERS)
    if is_own and output.format == "delta" and output.table is None:
        raise PlanError(
            f"the output is {output.path}, a folder of the platform's own, which holds no Delta "
            "tables: name a folder in a store, or compile the job with an output_table",
            condition="DELTA_IN_VOLUME",
            path=output.path,
        )


def _store_of(uri: str) -> tuple[str, str]:
    """Scheme and bucket or container; a local path has neither."""
    scheme, separator, rest = uri.partition("://")
    return (scheme.lower(), rest.partition("/")[0]) if separator else ("", "")


def _apply_overrides(launch: LaunchMessage, overrides: Sequence[str]) -> LaunchMessage:
    # Whoever only compiles for a platform, as a launcher does, stays without pydantic.
    from sparkscore.spec import load_deployment

    source = "--overrides"
    before = load_deployment(launch.settings, source_name=source).spec
    after = load_deployment(launch.settings, overrides=overrides, source_name=source).spec
    _check_changes(before.record(), after.record())
    digest = hashlib.sha256(repr((launch.scoring.digest, *overrides)).encode()).hexdigest()
    settings = after.settings
    return replace(
        launch,
        checkpoint_interval_seconds=settings.checkpoint_interval,
        keep_staging=settings.keep_staging,
        output=replace(
            launch.output,
            file_name=after.output_file_name,
            header=settings.output_header,
            separator=settings.output_separator,
        ),
        scoring=replace(_change_scoring(launch.scoring, after), digest=digest),
        settings=after.record(),
    )


def _change_scoring(scoring: ScoringMessage, spec: DeploymentSpec) -> ScoringMessage:
    return replace(scoring, **get_scoring_fields(spec.settings))


def get_scoring_fields(settings: SettingsSpec) -> dict[str, Any]:
    """The fields of a ScoringMessage that are settings as they stand, and that a driver may still
    change."""
    return {
        "mini_batch_size": settings.mini_batch_size,
        "max_retries": settings.retry_settings.max_retries,
        "timeout_seconds": settings.retry_settings.timeout,
        "init_timeout_seconds": settings.init_timeout,
        "error_threshold": settings.error_threshold,
        "mini_batch_error_threshold": settings.mini_batch_error_threshold,
        "isolate_failures": settings.isolate_failures,
        "logging_level": settings.logging_level,
        "on_bad_row": settings.on_bad_row,
        "memory_limit_bytes": settings.memory_limit or 0,
    }


def _check_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for key in (*before, *after["settings"]):
        section = before if key in before else before["settings"]
        changed = after if key in before else after["settings"]
        if key != "settings" and key not in _CHANGEABLE and section[key] != changed[key]:
            raise InvalidFieldError(
                f"--overrides cannot change {key}: it was decided when the job was compiled; "
                f"compile it again with --set. What can be changed: {', '.join(_CHANGEABLE)}",
                condition="NOT_CHANGEABLE",
                key=key,
            )
