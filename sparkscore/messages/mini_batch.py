"""A mini-batch as planned. Made by the planner, travels to executors."""

from __future__ import annotations

from dataclasses import dataclass

DIRECT = "direct"
"""Transport of inputs that workers open where they are."""
FETCH = "fetch"
"""Transport of inputs that workers download first."""


@dataclass(frozen=True)
class MiniBatch:
    """One call of ``run``: ``paths`` as planned, and what each file looked like then.

    ``etags`` holds size and modification time (or the store's etag) of each path.
    """

    mini_batch_id: int
    paths: tuple[str, ...]
    etags: tuple[str, ...] = ()
