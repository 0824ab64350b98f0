"""Work in a thread that nobody has to wait for. Spark driver process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

Result = TypeVar("Result")

_LOOK_SECONDS = 0.1


class Background(Generic[Result]):
    """``work`` in a daemon thread: the process can end while it is stuck in a store or a disk."""

    def __init__(self, work: Callable[[], Result], *, name: str) -> None:
        self._future: Future[Result] = Future()
        self._work = work
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def get(self, check: Callable[[], None]) -> Result:
        """The result, or the error; raises what ``check`` raises while it waits."""
        while not wait([self._future], timeout=_LOOK_SECONDS).done:
            check()
        return self._future.result()

    def _run(self) -> None:
        try:
            self._future.set_result(self._work())
        except BaseException as error:
            self._future.set_exception(error)
