"""What all chaos tests share: seeded randomness, the count of faults, and a clean end."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.plugin import FAULTS
from tests.chaos.surroundings import Surroundings
from tests.spark.conftest import spark as spark
from tests.spark.drivers import kill_drivers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stands in this folder runs with the slow tests; what looks for things that jobs leave
    anywhere on the machine runs alone, because it could not tell whose they are."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.slow)
            if "surroundings" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.alone)


class Faults:
    """Counts what a test injects: ``faults.add("kill host")``, ``faults.add("bit flip", 30)``."""

    def __init__(self, report: list[tuple[str, object]], *, times: int) -> None:
        self._report = report
        self._times = times
        self.kinds: dict[str, int] = {}

    def add(self, kind: str, count: int = 1) -> None:
        """Count faults that were injected."""
        self.kinds[kind] = self.kinds.get(kind, 0) + count
        self._report.append((FAULTS, count))

    def scaled(self, count: int) -> int:
        """How many to inject where a usual run injects ``count``."""
        return count * self._times

    @property
    def total(self) -> int:
        """All faults so far."""
        return sum(self.kinds.values())


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """The faults of this test; what they were is printed at its end."""
    counted = Faults(request.node.user_properties, times=request.config.getoption("--chaos-faults"))
    yield counted
    print(f"faults injected: {counted.kinds}")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Randomness of this test, the same for the same ``--chaos-seed``."""
    return random.Random(f"{request.config.getoption('--chaos-seed')} {request.node.name}")


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    """What is around the test's jobs; all that it starts gets a temporary folder of its own, with
    a name as short as Spark's sockets need it."""
    around = Surroundings(Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp")))
    monkeypatch.setenv("TMPDIR", str(around.temporary))
    yield around
    around.kill_all()
    shutil.rmtree(around.temporary, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_driver_left() -> Iterator[None]:
    """Drivers that a failed test has left are killed."""
    yield
    kill_drivers()
