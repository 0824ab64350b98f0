"""What exit codes mean; docs/exit-codes.md is made from this. Control plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkscore.errors import CanceledError, ScoringError, StateError, TargetError

if TYPE_CHECKING:
    from sparkscore.control import SummaryMessage

COMPLETED_CODE = 0
BUG_CODE = 1
USAGE_CODE = 2
INTERRUPTED_CODE = 130

EXIT_CODES: dict[int, tuple[str, str]] = {
    COMPLETED_CODE: ("Completed", "the command did what it was asked; a job completed"),
    BUG_CODE: ("bug", "an error that sparkscore did not foresee, with a traceback"),
    USAGE_CODE: (
        "wrong use",
        "flags, deployment file, model, code, plan, input or output path are not in order",
    ),
    TargetError.exit_code: (
        "target",
        "compute unknown or out of reach, Java or a package missing, driver not started or gone",
    ),
    ScoringError.exit_code: ("Failed", "the job ran and failed; its summary says why"),
    StateError.exit_code: (
        "state",
        "something exists that must not, or does not exist that must",
    ),
    CanceledError.exit_code: ("Canceled", "the job was canceled (SIGTERM, or from elsewhere)"),
    INTERRUPTED_CODE: ("interrupted", "Ctrl-C; a running job was canceled first"),
}

_BY_STATUS = {"Completed": COMPLETED_CODE, "Canceled": CanceledError.exit_code}


def get_status_code(status: str) -> int:
    """The exit code of a command that watched a job until it had this status."""
    return _BY_STATUS.get(status, ScoringError.exit_code)


def get_exit_code(summary: SummaryMessage) -> int:
    """The exit code of a job that ended with this summary."""
    if summary.status in _BY_STATUS:
        return _BY_STATUS[summary.status]
    stated = (summary.error or {}).get("exit_code")
    return stated if isinstance(stated, int) and stated in EXIT_CODES else ScoringError.exit_code


def render_exit_codes() -> str:
    """The page docs/exit-codes.md."""
    rows = [f"| {code} | {name} | {meaning} |" for code, (name, meaning) in EXIT_CODES.items()]
    return "\n".join(
        [
            "# Exit codes",
            "",
            "Made from `sparkscore/cli/exit_codes.py` (`python -m sparkscore.cli.exit_codes`).",
            "",
            "| code | name | meaning |",
            "|---|---|---|",
            *rows,
            "",
            "An expected error is one line on standard error, `sparkscore: CONDITION: message`;",
            "`--debug` adds its traceback. The condition is stable, the message is not.",
            "",
        ]
    )


if __name__ == "__main__":
    import sys

    sys.stdout.write(render_exit_codes())
