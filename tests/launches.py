"""Launch messages as the control plane writes them, with what a test leaves to choose as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sparkscore.messages.launch import InputMessage, LaunchMessage, OutputMessage, ScoringMessage

_SCORING = ScoringMessage(
    job_name="job",
    digest="digest",
    model_folder="model",
    model_name="model",
    code_folder="code",
    scoring_script="score.py",
    mini_batch_size=1,
    max_retries=1,
    timeout_seconds=30,
    init_timeout_seconds=60,
    error_threshold=-1,
    mini_batch_error_threshold=-1,
    isolation="process",
    isolate_failures=True,
    logging_level="info",
    on_bad_row="fail",
    passthrough_columns=(),
    output_action="append_row",
    environment_variables={},
)


def make_scoring(**changes: Any) -> ScoringMessage:
    """A message to score with ``score.py`` of ``code``, one input a mini-batch, no thresholds."""
    return replace(_SCORING, **changes)


def make_launch(
    folder: str, *, inputs: str, output: str, scoring: ScoringMessage, **changes: Any
) -> LaunchMessage:
    """A message of the job in ``folder``, which scores ``inputs`` into a CSV in ``output``."""
    message = LaunchMessage(
        job_name=scoring.job_name,
        job_folder=folder,
        created_at="2026-01-01T00:00:00Z",
        input=InputMessage(inputs),
        output=OutputMessage(output, scoring.output_action, "csv", file_name="predictions.csv"),
        scoring=scoring,
    )
    return replace(message, **changes)
