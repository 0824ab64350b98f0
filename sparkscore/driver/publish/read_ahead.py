"""Decodes the next staged results while the last ones are written. Spark driver."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def read_ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items in order, one of them made in advance in a thread of its own."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(next, items, end)
        while (item := upcoming.result()) is not end:
            upcoming = pool.submit(next, items, end)
            yield item
