"""Sends the webhooks that wait in a workspace. Control plane, a process of its own.

``python -m sparkscore.control.webhooks.sender WORKSPACE_FOLDER`` is started when a job has ended,
and nobody waits for it. For each webhook one such process of the workspace works at a time. It
ends when nothing waits any more: a receiver that does not take its message is tried again, ever
more seldom, for three days. It lives long then, so it imports little.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from sparkscore.control.times import render_time
from sparkscore.control.webhooks.outbox import Delivery, Outbox
from sparkscore.control.webhooks.request import Answer, send_message
from sparkscore.control.webhooks.settings import Webhook
from sparkscore.control.workspace_config import read_config
from sparkscore.errors import InvalidFieldError, SparkscoreError

DELAYS_SECONDS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""How long to wait after the first failure, the second and so on; the last goes on."""

GIVE_UP_SECONDS = 3 * 86_400.0
LOOK_SECONDS = 1.0
OUTCOME_FILE = "webhooks.jsonl"

_JITTER = 0.1
_GONE = 410


def main(arguments: list[str] | None = None) -> int:
    """Send what waits in the workspace; returns 0 once nothing does, or others see to it."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    outbox = Outbox(Path(folder))
    couriers = [Courier(outbox, name) for name in outbox.list_webhooks()]
    threads = [threading.Thread(target=courier.run) for courier in couriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


class Courier:
    """Brings its messages to one webhook, one after the other."""

    def __init__(
        self,
        outbox: Outbox,
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._outbox, self._name = outbox, name
        self._environment = os.environ if environment is None else environment
        self._clock, self._sleep = clock, sleep
        self._failures, self._resting_until = 0, 0.0

    def run(self) -> None:
        """Return once nothing waits, or nothing can be sent from here."""
        # Looking again after the lock was given back finds what others have left meanwhile.
        while self._outbox.list_waiting(self._name):
            with self._outbox.serving(self._name) as is_alone:
                if not (is_alone and self._empty()):
                    return

    def _empty(self) -> bool:
        """Send until nothing waits; False if the rest has to wait for another process."""
        while waiting := self._outbox.list_waiting(self._name):
            try:
                webhook = self._find_webhook()
            except SparkscoreError as error:
                _say(f"{self._name}: {error.condition}: {error.message}")
                return False
            due = [delivery for delivery in waiting if delivery.next_at <= self._clock()]
            if webhook is None:
                self._drop(waiting)
            elif not due or self._clock() < self._resting_until:
                self._sleep(LOOK_SECONDS)
            elif not self._try(webhook, due[0]):
                return False
        return True

    def _find_webhook(self) -> Webhook | None:
        """What ``sparkscore.toml`` says now; None if it is not there any more."""
        config = read_config(self._outbox.folder.parent)
        return next((one for one in config.webhooks if one.name == self._name), None)

    def _drop(self, waiting: list[Delivery]) -> None:
        for delivery in waiting:
            self._end(delivery, "dropped", problem="sparkscore.toml has no such webhook any more")

    def _try(self, webhook: Webhook, delivery: Delivery) -> bool:
        try:
            answer = send_message(
                webhook, delivery, environment=self._environment, timestamp=int(self._clock())
            )
        except InvalidFieldError as error:
            _note_outcome(delivery, "waiting", at=self._clock(), problem=error.message)
            _say(f"{self._name}: {error.condition}: {error.message}")
            return False
        tried = dataclasses.replace(delivery, attempts=delivery.attempts + 1)
        if answer.is_taken:
            self._failures = 0
            self._end(tried, "delivered", status=answer.status)
        else:
            self._put_off(tried, answer)
        return True

    def _put_off(self, tried: Delivery, answer: Answer) -> None:
        """Try again later; a receiver that says nothing is left alone with the others as well."""
        now = self._clock()
        self._failures = 0 if answer.status else self._failures + 1
        delay = max(_get_delay(tried.attempts), answer.retry_after_seconds)
        if not answer.status:
            self._resting_until = now + _get_delay(self._failures)
        is_last = answer.status == _GONE or now + delay - tried.made_at > GIVE_UP_SECONDS
        if is_last:
            self._end(tried, "given up", status=answer.status, problem=answer.problem)
            return
        put_off = dataclasses.replace(tried, next_at=now + delay)
        self._outbox.put(put_off)
        _note_outcome(
            put_off, "failed", at=now, status=answer.status, problem=answer.problem, is_final=False
        )

    def _end(
        self, delivery: Delivery, outcome: str, *, status: int | None = None, problem: str = ""
    ) -> None:
        _note_outcome(delivery, outcome, at=self._clock(), status=status, problem=problem)
        self._outbox.remove(delivery)


def _get_delay(attempts: int) -> float:
    seconds = DELAYS_SECONDS[min(attempts, len(DELAYS_SECONDS)) - 1]
    return seconds * (1 + random.uniform(0, _JITTER))  # noqa: S311 - spreads the load


def _note_outcome(
    delivery: Delivery,
    outcome: str,
    *,
    at: float,
    status: int | None = None,
    problem: str = "",
    is_final: bool = True,
) -> None:
    """A line in the job folder; nowhere if that is gone."""
    line = {
        "at": render_time(at),
        "webhook": delivery.webhook,
        "id": delivery.id,
        "type": delivery.type,
        "attempt": delivery.attempts,
        "outcome": outcome,
        "status": status,
        "problem": problem or None,
        "next_attempt_at": None if is_final else render_time(delivery.next_at),
    }
    file = Path(delivery.job_folder) / OUTCOME_FILE
    with contextlib.suppress(OSError), file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def _say(text: str) -> None:
    """A line of ``webhooks/sender.log``."""
    with contextlib.suppress(OSError):
        print(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S}Z {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
