"""What a script may print and log, and what of it reaches its logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkscore.messages.mini_batch import MiniBatch

MARK = "[mb 000003 try 1] "


@pytest.fixture
def score(make_scoring: Any, make_runner: Any, inputs: Any) -> Any:
    """Scores a mini-batch of one file in a new worker, and ends its host."""

    def score_one(script: str, **changes: Any) -> None:
        runner = make_runner(make_scoring(script, **changes))
        outcome = runner.score(MiniBatch(3, ("a.txt",)), inputs, schema=None).outcome
        assert outcome.failed == 0, outcome.error
        runner.close()

    return score_one


def read_log(folder: Path, kind: str) -> bytes:
    (file,) = (folder / "logs" / "user" / kind).rglob("*.txt")
    return file.read_bytes()


SAYS_ALL = """
import logging, warnings
def run(batch):
    for level in ("debug", "info", "warning", "error"):
        getattr(logging, level)(f"root {level}")
        getattr(logging.getLogger("third.party"), level)(f"third {level}")
    warnings.warn("a warning")
    return batch
"""


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
    ],
)
def test_logging_level__holds_for_all_loggers(
    score: Any, tmp_path: Path, level: str, said: list[str]
) -> None:
    score(SAYS_ALL, logging_level=level)
    text = read_log(tmp_path, "entry_script_log").decode()
    assert all(line.startswith(MARK) for line in text.splitlines())
    for logger in ("root", "third"):
        found = [
            word for word in ("debug", "info", "warning", "error") if f"{logger} {word}" in text
        ]
        assert found == said
    assert "a warning" in text


def test_log__takes_threads_and_bytes_that_are_no_text(score: Any, tmp_path: Path) -> None:
    score(
        """
        import os, threading
        def run(batch):
            thread = threading.Thread(target=print, args=("thread",), kwargs={"flush": True})
            thread.start()
            thread.join()
            os.write(1, bytes(range(256)))
            return batch
        """
    )
    mark = MARK.encode()
    garbage = bytes(range(256)).replace(b"\n", b"\n" + mark)
    assert read_log(tmp_path, "stdout") == mark + b"thread\n" + mark + garbage + b"\n"
