"""Which targets there are, and which one a ``--compute`` means. Control plane."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkscore.errors import UnknownTargetError
from sparkscore.targets.base import Target
from sparkscore.targets.local import LocalTarget
from sparkscore.targets.spark_submit import SparkSubmitTarget

TARGETS: tuple[Target, ...] = (LocalTarget(), SparkSubmitTarget())

_LOCAL_MASTER = re.compile(r"local\[(\*|[1-9]\d{0,8})(,[1-9]\d{0,8})?\]")
_ADDRESS = r"([^\s/,:\[\]]+|\[[\da-fA-F:.]+\]):\d{1,5}"
_STANDALONE_MASTER = re.compile(rf"spark://{_ADDRESS}(,{_ADDRESS})*")


@dataclass(frozen=True)
class Compute:
    """A target and, where the user named one, the Spark master."""

    target: Target
    master: str | None


def get_target(name: str) -> Target:
    """The target of this name; raises UnknownTargetError, naming those there are."""
    for target in TARGETS:
        if target.name == name:
            return target
    known = ", ".join(target.name for target in TARGETS)
    raise UnknownTargetError(
        f"there is no target {name!r}, only {known}", target=name, known=known.split(", ")
    )


def get_compute(compute: str | None) -> Compute:
    """What ``--compute`` means; None is local with as many slots as the deployment asks for.

    Raises UnknownTargetError for anything but ``local``, ``local[N]`` and ``spark://HOST:PORT``.
    """
    if compute is None or compute == "local":
        return Compute(get_target("local"), None)
    if _LOCAL_MASTER.fullmatch(compute):
        return Compute(get_target("local"), compute)
    if _STANDALONE_MASTER.fullmatch(compute):
        return Compute(get_target("spark-submit"), compute)
    raise UnknownTargetError(
        f"--compute {compute}: a job runs on local, local[N] or spark://HOST:PORT"
        + (
            "; a compute's name needs a workspace, which this run does not have"
            if compute.startswith("azureml:")
            else ""
        ),
        condition="UNKNOWN_COMPUTE",
        compute=compute,
    )
