"""Failures in words that can be stored: UTF-8, of bounded length. Python worker, script host."""

from __future__ import annotations

from typing import Any

from sparkscore.messages.outcome import ScoringFailure

MAX_MESSAGE_CHARACTERS = 2_000
_MAX_CONDITION_CHARACTERS = 100
_MAX_TRACEBACK_CHARACTERS = 16_000
_MAX_PLACE_CHARACTERS = 500


def make_failure(
    condition: Any,
    message: Any,
    traceback: Any = "",
    *,
    script_line: Any = "",
    script_traceback: Any = "",
) -> ScoringFailure:
    """The failure in these words, whatever they are; of a long traceback the end is kept."""
    return ScoringFailure(
        clean_text(condition)[:_MAX_CONDITION_CHARACTERS],
        clean_text(message)[:MAX_MESSAGE_CHARACTERS],
        clean_text(traceback)[-_MAX_TRACEBACK_CHARACTERS:],
        script_line=clean_text(script_line)[-_MAX_PLACE_CHARACTERS:],
        script_traceback=clean_text(script_traceback)[-_MAX_TRACEBACK_CHARACTERS:],
    )


def clean_text(value: Any) -> str:
    """The value as text that can be written as UTF-8."""
    try:
        text = str(value)
    except Exception:  # nested too deeply, or an object with a __str__ of its own
        text = f"<{type(value).__name__}>"
    return text.encode("utf-8", "replace").decode("utf-8")
