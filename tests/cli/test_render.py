"""Summaries, errors and progress as text."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from sparkscore.cli.progress import (
    LiveProgress,
    PlainProgress,
    make_progress,
    render_duration,
    render_status,
)
from sparkscore.cli.render import (
    render_error,
    render_job_error,
    render_summary,
    render_warnings,
)
from sparkscore.control import StatusMessage, SummaryMessage
from sparkscore.errors import SubmitError
from sparkscore.messages.status import InputCounts, MiniBatchCounts

SUMMARY = SummaryMessage(
    job="nightly",
    status="Failed",
    inputs=InputCounts(2000, 1500, 20),
    unprocessed_inputs=480,
    mini_batches=MiniBatchCounts(200, 150, 2),
    rows=1500,
    bad_rows=3,
    retries=6,
    output=None,
    error={"condition": "INIT_FAILED", "message": "init() failed", "traceback": "Trace\n  at 1"},
    errors=tuple(
        {"condition": f"C{n}", "message": "a\nb", "count": 1000 * n, "path": f"{n}.png"}
        for n in range(1, 8)
    ),
    seconds={"start": 1.25, "total": 61.0},
    warnings=("no signature",),
)

STATUS = StatusMessage(
    job="nightly",
    status="Running",
    sequence=1,
    heartbeat_at=0.0,
    started_at=0.0,
    mini_batches=1200,
    mini_batches_done=600,
    inputs=12000,
    inputs_succeeded=5990,
    inputs_failed=10,
    inputs_per_second=81.25,
    eta_seconds=74.4,
)


def test_render_summary__of_a_failed_job() -> None:
    assert render_summary(SUMMARY, job_folder="/jobs/nightly").splitlines() == [
        "job          nightly: Failed",
        "output       nothing published",
        "inputs       2,000: 1,500 succeeded, 20 failed, 480 unprocessed, 3 bad rows skipped",
        "mini-batches 200: 150 succeeded, 2 failed, 6 retries",
        "seconds      start 1.2, total 61.0",
        "job folder   /jobs/nightly",
        "errors       1,000 x C1: a b (1.png)",
        "errors       2,000 x C2: a b (2.png)",
        "errors       3,000 x C3: a b (3.png)",
        "errors       4,000 x C4: a b (4.png)",
        "errors       5,000 x C5: a b (5.png)",
        "             and 2 more kinds: see failed_inputs.csv",
    ]


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ({"path": "/out/a.csv", "format": "csv"}, "output       /out/a.csv (csv, 1,500 rows)"),
        (
            {"path": "", "table": "db.t", "format": "delta", "version": 3},
            "output       db.t (delta, 1,500 rows, version 3)",
        ),
    ],
)
def test_render_summary__output(output: dict[str, object], line: str) -> None:
    summary = dataclasses.replace(SUMMARY, output=output)
    assert line in render_summary(summary, job_folder="/j").splitlines()


def test_render_warnings__are_marked_and_a_line_each() -> None:
    warnings = ("no\nsignature", "note: added: pandas", "warning: host")
    assert render_warnings(warnings).splitlines() == [
        *("warning: no signature", "note: added: pandas", "warning: host"),
    ]
    assert render_warnings(()) == ""


def test_render_job_error__with_the_traceback_of_the_script() -> None:
    assert render_job_error(SUMMARY.error) == (
        "sparkscore: INIT_FAILED: init() failed\n  | Trace\n  |   at 1"
    )
    assert render_job_error(None) is None


def test_render_error__one_line_and_the_end_of_a_log() -> None:
    error = SubmitError("two\n  lines", condition="DRIVER_DIED", log_lines=["last words"])
    assert render_error(error) == "sparkscore: DRIVER_DIED: two lines\n  | last words"


def test_render_status__counts_speed_and_rest() -> None:
    assert render_status(STATUS) == (
        "Running: 600/1,200 mini-batches, 6,000/12,000 inputs, 10 failed, 81.2 inputs/s, ETA 1:14"
    )
    assert render_status(dataclasses.replace(STATUS, mini_batches=0)) == "Running"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7.4, "0:07"), (59.9, "1:00"), (3723, "1:02:03"), (-1, "0:00")],
)
def test_render_duration__examples(seconds: float, text: str) -> None:
    assert render_duration(seconds) == text


def test_plain_progress__says_a_hint_once() -> None:
    text = io.StringIO()
    progress = PlainProgress(Console(file=text, width=200), clock=lambda: 0.0)
    waiting = dataclasses.replace(STATUS, hint="no executor works for this job")
    for status in (STATUS, waiting, waiting, STATUS, waiting):
        progress.report(status)
    (_, *hints) = text.getvalue().splitlines()
    assert hints == [waiting.hint] * 2


def test_plain_progress__a_line_every_five_seconds_and_for_changes() -> None:
    text = io.StringIO()
    now = [0.0]
    progress = PlainProgress(Console(file=text, width=20), clock=lambda: now[0])
    with progress:
        for second, status, rows in MOMENTS:
            now[0] = second
            progress.report(dataclasses.replace(STATUS, status=status, mini_batches_done=rows))
    assert [line.partition(" mini")[0] for line in text.getvalue().splitlines()] == [
        "Starting: 0/1,200",
        "Running: 0/1,200",
        "Running: 9/1,200",
        "Running: 9/1,200",
    ]


MOMENTS = [
    (0, "Starting", 0),
    (1, "Running", 0),
    (2, "Running", 5),
    (7, "Running", 9),
    (30, "Running", 9),
    (70, "Running", 9),
]
"""Seconds, status and mini-batches done: news too soon and the same again are not said."""


def test_plain_progress__does_not_read_markup() -> None:
    text = io.StringIO()
    PlainProgress(Console(file=text)).say("[red]x[/red] :smile:")
    assert text.getvalue() == "[red]x[/red] :smile:\n"


def test_make_progress__by_kind_of_console() -> None:
    assert isinstance(make_progress(Console(file=io.StringIO())), PlainProgress)
    terminal = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})
    assert isinstance(make_progress(terminal), LiveProgress)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(make_progress(dumb), PlainProgress)


def test_live_progress__one_line_that_fits() -> None:
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=True, width=40, _environ={"TERM": "xterm", "NO_COLOR": "1"}
    )
    with LiveProgress(console) as progress:
        progress.report(STATUS)
        progress.report(STATUS)
    assert "Running: 600/1,200 mini-batches, 6,000/…" in text.getvalue()
