"""Where environments that were built are kept, for all workspaces of a user. Control plane."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sparkscore.errors import OutputNotWritableError

CACHE_VARIABLE = "SPARKSCORE_CACHE_DIR"

_WAIT_SECONDS = 0.2


def get_cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder SPARKSCORE_CACHE_DIR, by default sparkscore in the user's cache."""
    given = os.environ if environment is None else environment
    if given.get(CACHE_VARIABLE):
        return Path(os.path.abspath(given[CACHE_VARIABLE]))
    home = given.get("HOME") or str(Path.home())
    return Path(given.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")) / "sparkscore"


def get_environments_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder that holds one folder an environment, named by digest."""
    return get_cache_folder(environment) / "environments"


@contextlib.contextmanager
def locking(folder: Path, *, on_poll: Callable[[], None]) -> Iterator[None]:
    """Be the only process that makes ``folder``; ``on_poll`` is called while another does.

    Raises OutputNotWritableError (CACHE_NOT_WRITABLE).
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = open(f"{folder}.lock", "ab")  # noqa: SIM115 - closed below, whatever is raised
    except OSError as error:
        raise OutputNotWritableError(
            f"environments cannot be kept in {folder.parent}: {error.strerror}; name another "
            f"folder with {CACHE_VARIABLE}",
            condition="CACHE_NOT_WRITABLE",
            path=str(folder.parent),
        ) from error
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                on_poll()
                time.sleep(_WAIT_SECONDS)
        yield
