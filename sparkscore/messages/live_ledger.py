"""Finished mini-batches of a running job, a line of JSON each. Written by the driver.

The file stands in the job folder from the first outcome until the ledger is complete, and stays
where the driver was killed. It is a live signal, not the record: a mini-batch that was scored again
has several lines, of which the last holds, and a line may be torn.
"""

from __future__ import annotations

import json
from functools import lru_cache

from sparkscore.messages.outcome import MiniBatchOutcome

LIVE_LEDGER = "ledger/live.jsonl"
"""Path in the job folder."""


FIELDS = (
    *("id", "status", "inputs", "failed", "rows", "attempts", "retries"),
    *("started_at", "seconds", "host", "process", "condition"),
)
"""What stands in a line, which is a JSON array; condition may be null."""


def render_line(outcome: MiniBatchOutcome) -> str:
    """One line with its end; ``started_at`` and ``seconds`` as in the outcome, rounded.

    Written by hand, because a job may have a million of them.
    """
    condition = None if outcome.error is None else outcome.error.condition
    return (
        f"[{outcome.mini_batch_id},{_quote(outcome.status)},{outcome.inputs},{outcome.failed},"
        f"{outcome.rows},{outcome.attempts},{outcome.retries},{outcome.started_at:.3f},"
        f"{outcome.seconds:.4f},{_quote(outcome.host)},{outcome.process},{_quote(condition)}]\n"
    )


@lru_cache(maxsize=1024)
def _quote(text: str | None) -> str:
    """The JSON of the few texts that come again and again."""
    return json.dumps(text)
