"""What every store server of the tests offers. Tests only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StoreServer:
    """A running server with one empty bucket (container, folder).

    ``uri`` is the bucket's URI, ``options`` and ``environment`` are what reaches it. ``put`` writes
    a file by its path in the bucket with the protocol's own client (or beside the server), so that
    nothing of sparkscore is needed to prepare a test; ``secrets`` are texts that must show nowhere.
    """

    uri: str
    put: Callable[[str, bytes], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    is_read_only: bool = False
    secrets: tuple[str, ...] = ()
