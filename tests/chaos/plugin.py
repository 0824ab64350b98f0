"""Options of the chaos suite, and the line at its end that says how many faults were injected."""

from __future__ import annotations

from typing import Any

import pytest

FAULTS = "faults"
"""Name of the property of a test's report that holds the faults that the test injected."""

pytest.register_assert_rewrite("tests.chaos.checks", "tests.chaos.surroundings")

_FIXED_SEED = 20260101
_tests: dict[str, tuple[int, bool]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """What ``make chaos`` sets."""
    group = parser.getgroup("chaos")
    group.addoption(
        "--chaos-seed",
        type=int,
        default=_FIXED_SEED,
        help="seed of which faults are injected, and when",
    )
    group.addoption(
        "--chaos-faults",
        type=int,
        default=1,
        metavar="TIMES",
        help="inject so many times the faults of a usual run",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Faults count as survived if the test that injected them passed to its very end."""
    injected = sum(int(str(count)) for name, count in report.user_properties if name == FAULTS)
    if injected:
        passed = _tests.get(report.nodeid, (0, True))[1] and report.passed
        _tests[report.nodeid] = (injected, passed)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Faults injected and survived, if there were any, and how to inject the same again."""
    if _tests:
        injected = sum(count for count, _ in _tests.values())
        survived = sum(count for count, passed in _tests.values() if passed)
        seed, times = config.getoption("--chaos-seed"), config.getoption("--chaos-faults")
        terminalreporter.write_line(
            f"chaos: faults injected {injected}, survived {survived} "
            f"(--chaos-seed {seed} --chaos-faults {times})"
        )
