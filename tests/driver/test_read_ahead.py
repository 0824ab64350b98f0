"""Items made one in advance."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sparkscore.driver.publish.read_ahead import read_ahead


def test_read_ahead__keeps_items_and_order() -> None:
    assert list(read_ahead(iter(range(100)))) == list(range(100))
    assert list(read_ahead(iter([]))) == []


def test_read_ahead__makes_the_next_item_meanwhile() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert made.wait(10)
    assert list(ahead) == [2]


def test_read_ahead__raises_what_the_items_raise() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(ahead)


def test_read_ahead__given_up_leaves_no_thread() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(100)))
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
