"""What the command line says: summaries and errors as text. Control plane, pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparkscore.control import SummaryMessage
from sparkscore.errors import SparkscoreError

ERROR_COUNT = 5
"""How many distinct errors a summary shows."""


def render_error(error: SparkscoreError) -> str:
    """``sparkscore: CONDITION: message`` on one line, then the end of a log if it has one."""
    lines = [f"sparkscore: {error.condition}: {_on_one_line(error.message)}"]
    lines += [f"  | {line}" for line in error.attributes.get("log_lines", ())]
    return "\n".join(lines)


def render_job_error(error: Mapping[str, Any] | None) -> str | None:
    """The same for what ended a job (with its script's traceback), None for a Completed one."""
    if error is None:
        return None
    condition = error.get("condition", "FAILED")
    lines = [f"sparkscore: {condition}: {_on_one_line(str(error.get('message', '')))}"]
    lines += [f"  | {line}" for line in str(error.get("traceback") or "").splitlines()]
    lines += [f"  | {line}" for line in error.get("log_lines") or ()]
    return "\n".join(lines)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def render_summary(summary: SummaryMessage, *, job_folder: str) -> str:
    """The summary for people: where the output is, counts, times, the first distinct errors."""
    rows = [
        ("job", f"{summary.job}: {summary.status}"),
        ("output", _render_output(summary)),
        ("inputs", _render_inputs(summary)),
        ("mini-batches", _render_mini_batches(summary)),
        ("seconds", _render_seconds(summary.seconds)),
        ("job folder", job_folder),
    ]
    lines = [f"{name:<13}{text}" for name, text in rows if text]
    return "\n".join(lines + _render_errors(summary))


def render_warnings(warnings: Iterable[str]) -> str:
    """What a job warns of at its end, a line for each; empty for nothing."""
    texts = [_on_one_line(text) for text in warnings]
    marked = ("warning: ", "note: ")
    return "\n".join(text if text.startswith(marked) else f"warning: {text}" for text in texts)


def _render_output(summary: SummaryMessage) -> str:
    output = summary.output
    if output is None:
        return "nothing published"
    place = output.get("table") or output.get("path", "")
    details = [str(output["format"])] if output.get("format") else []
    details.append(f"{summary.rows:,} rows")
    if output.get("version") is not None:
        details.append(f"version {output['version']}")
    return f"{place} ({', '.join(details)})"


def _render_inputs(summary: SummaryMessage) -> str:
    inputs = summary.inputs
    parts = [f"{inputs.total:,}: {inputs.succeeded:,} succeeded", f"{inputs.failed:,} failed"]
    if summary.unprocessed_inputs:
        parts.append(f"{summary.unprocessed_inputs:,} unprocessed")
    if summary.bad_rows:
        parts.append(f"{summary.bad_rows:,} bad rows skipped")
    return ", ".join(parts)


def _render_mini_batches(summary: SummaryMessage) -> str:
    counts = summary.mini_batches
    return (
        f"{counts.total:,}: {counts.succeeded:,} succeeded, {counts.failed:,} failed, "
        f"{summary.retries:,} retries"
    )


def _render_seconds(seconds: dict[str, float]) -> str:
    return ", ".join(f"{phase} {value:.1f}" for phase, value in seconds.items())


def _render_errors(summary: SummaryMessage) -> list[str]:
    shown = summary.errors[:ERROR_COUNT]
    lines = [f"{'errors':<13}{_render_reason(reason)}" for reason in shown]
    left_count = len(summary.errors) - len(shown)
    if left_count:
        lines.append(f"{'':<13}and {left_count:,} more kinds: see failed_inputs.csv")
    return lines


def _render_reason(reason: dict[str, Any]) -> str:
    message = _on_one_line(str(reason.get("message", "")))
    sample = f" ({reason['path']})" if reason.get("path") else ""
    return f"{reason.get('count', 1):,} x {reason.get('condition', '')}: {message}{sample}"
