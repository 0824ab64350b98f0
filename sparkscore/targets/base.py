"""What a target is: a place to compile Spark applications for and to submit them to. Control plane.

Each target is a package with ``compile.py`` (pure: application in, arguments and files out) and
``submit.py`` (all its I/O).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from sparkscore.errors import UnsupportedByTargetError
from sparkscore.plan.spark_application import SparkApplication


class Capability(Enum):
    """What a target may be able to do; a gap is refused by name before anything happens."""

    RUN = "run a job from this machine and wait for its end"
    COMPILE = "compile a job into a folder"


@dataclass(frozen=True)
class CompiledApplication:
    """A Spark application in the words of one target.

    ``arguments`` follow the program that ``submit`` finds on its machine; the last one is the
    launch message. ``files`` are texts that belong beside it, and with ``packages`` a
    ``sparkscore.zip`` does too.
    """

    target: str
    arguments: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    packages: bool = False


class TargetRun(Protocol):
    """A submitted application."""

    @property
    def process_id(self) -> int | None:
        """The driver's process, which leads a process group, if it runs on this machine."""

    def poll(self) -> int | None:
        """The driver's exit code once it has ended, else None."""

    def cancel(self) -> None:
        """Ask the driver to cancel the job; may be called again, and after the end."""

    def kill(self) -> None:
        """End the driver and all it started, at once; may be called after the end."""


class Target(Protocol):
    """One place to run; see the module's docstring."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def compile(self, application: SparkApplication) -> CompiledApplication:
        """The application in the words of this target. Pure."""

    def get_environment(
        self, environment: Mapping[str, str], *, master: str | None, is_detached: bool = False
    ) -> dict[str, str]:
        """The driver's environment variables, made from those of this process.

        A detached driver goes on when the process that submitted it ends. Raises
        MissingDependencyError or SubmitError if no driver could be started there.
        """

    def submit(
        self, compiled: CompiledApplication, *, environment: Mapping[str, str], log_file: Path
    ) -> TargetRun:
        """Start the driver with the variables of ``get_environment``, output to ``log_file``.

        Raises SubmitError if it cannot be started.
        """


def require_capability(target: Target, capability: Capability) -> None:
    """Raise UnsupportedByTargetError if the target lacks the capability."""
    if capability not in target.capabilities:
        raise UnsupportedByTargetError(
            f"target {target.name} cannot {capability.value}",
            target=target.name,
            capability=capability.name,
        )
