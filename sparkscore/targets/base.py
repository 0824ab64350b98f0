"""What a target is: a place to compile Spark applications for and to submit them to. Control plane.

Each target is a package with ``compile.py`` (pure: application in, arguments and files out) and
``submit.py`` (all its I/O). A ``DriverTarget`` starts the driver on this machine; a ``Platform``
is a service that runs compiled applications somewhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol

from sparkscore.errors import UnsupportedByTargetError
from sparkscore.plan.spark_application import SparkApplication


class Capability(Enum):
    """What a target may be able to do; a gap is refused by name before anything happens."""

    RUN = "run a job from this machine and wait for its end"
    COMPILE = "compile a job into a folder"
    LOCAL_PATHS = "read and write paths of this machine"
    GPU = "give each script its GPUs (resources.gpus)"
    DELTA_OUTPUT = "write a Delta table"
    CATALOG_TABLE = "write a table of Spark's catalog (output_table)"
    INLINE_ISOLATION = "run scripts inside Spark's workers (isolation: inline)"
    ENVIRONMENT = "use an environment that was built for the deployment"
    DELTA_IN_VOLUME = "write a Delta table into a folder of the platform's own, such as a volume"
    STANDARD_ACCESS = "run on a cluster in standard access mode"
    SERVERLESS = "run on serverless compute"


ON_SPARK = frozenset(Capability) - {
    Capability.DELTA_IN_VOLUME,
    Capability.STANDARD_ACCESS,
    Capability.SERVERLESS,
}
"""What plain Spark can do wherever it runs; the rest are words of one platform."""


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


RunState = Literal["pending", "running", "succeeded", "failed", "canceled", "unknown"]
"""How a platform says that a run stands; unknown is a state that we have no name for."""


@dataclass(frozen=True)
class RemoteRun:
    """A run that a platform took: its id there, and its page where the platform has pages."""

    run_id: str
    url: str | None = None


@dataclass(frozen=True)
class RemoteStatus:
    """What a platform says of a run; ``message`` is its own text and may be empty."""

    state: RunState
    message: str = ""
    url: str | None = None


class Platform(Protocol):
    """A service that runs compiled applications, reached over the network. All its I/O.

    Every method raises SubmitError with condition PLATFORM_UNREACHABLE or PLATFORM_DENIED. The
    attribute ``was_sent`` of the former is False if no request can have reached the platform.
    """

    def submit(self, compiled: CompiledApplication, *, name: str) -> RemoteRun:
        """Start the run of job ``name``; the same name again is the same run."""

    def get_status(self, run_id: str) -> RemoteStatus:
        """How the run stands. Raises SubmitError (RUN_NOT_FOUND) if the platform lost it."""

    def cancel(self, run_id: str) -> None:
        """End the run; may be called again, and after the end."""


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
    """One place that applications are compiled for; see the module's docstring."""

    @property
    def name(self) -> str: ...

    @property
    def master(self) -> str | None:
        """What stands for Spark's master in an application for it; None is local mode."""

    @property
    def compute_type(self) -> str | None:
        """Type of the compute that it compiles for; None needs no compute of its own type."""

    @property
    def own_folders(self) -> tuple[str, ...]:
        """Folders that are there whatever this machine has; their paths are no local paths."""

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def compile(self, application: SparkApplication) -> CompiledApplication:
        """The application in the words of this target. Pure."""


class DriverTarget(Target, Protocol):
    """A target whose driver starts on this machine."""

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


def require_capability(target: Target, capability: Capability, *, why: str = "") -> None:
    """Raise UnsupportedByTargetError if the target lacks the capability.

    ``why`` says what asks for it and what to do, as a clause.
    """
    if capability not in target.capabilities:
        raise refuse(target.name, capability, why=why)


def refuse(target_name: str, capability: Capability, *, why: str = "") -> UnsupportedByTargetError:
    """The error of a target that lacks a capability, always or with the settings it was given."""
    return UnsupportedByTargetError(
        f"target {target_name} cannot {capability.value}{': ' if why else ''}{why}",
        target=target_name,
        capability=capability.name,
    )
