"""Which targets there are, and which one a ``--compute`` means. Control plane."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkscore.errors import UnknownTargetError
from sparkscore.spec.nearest import find_closest
from sparkscore.targets.base import DriverTarget, Target
from sparkscore.targets.databricks import DatabricksBundleTarget, DatabricksTarget
from sparkscore.targets.kubernetes import KubernetesTarget
from sparkscore.targets.local import LocalTarget
from sparkscore.targets.outside import find_outside_target, list_outside_names
from sparkscore.targets.spark_submit import SparkSubmitTarget

_LOCAL, _SPARK_SUBMIT = LocalTarget(), SparkSubmitTarget()
DRIVER_TARGETS: tuple[DriverTarget, ...] = (_LOCAL, _SPARK_SUBMIT)
PLATFORM_TARGETS: tuple[Target, ...] = (
    DatabricksTarget(),
    DatabricksBundleTarget(),
    KubernetesTarget(),
)
TARGETS: tuple[Target, ...] = (*DRIVER_TARGETS, *PLATFORM_TARGETS)

_LOCAL_MASTER = re.compile(r"local\[(\*|[1-9]\d{0,8})(,[1-9]\d{0,8})?\]")
_ADDRESS = r"([^\s/,:\[\]]+|\[[\da-fA-F:.]+\]):\d{1,5}"
_STANDALONE_MASTER = re.compile(rf"spark://{_ADDRESS}(,{_ADDRESS})*")
_LOCAL_CLUSTER = re.compile(r"local-cluster\[[1-9]\d{0,3},[1-9]\d{0,3},[1-9]\d{2,8}\]")
"""Workers, cores and MiB of memory of each: a cluster of processes that ends with its driver."""


@dataclass(frozen=True)
class Compute:
    """A target and, where the user named one, the Spark master."""

    target: DriverTarget
    master: str | None


def get_target(name: str) -> Target:
    """The target of this name: a built-in one, else that of another package.

    Raises UnknownTargetError, naming those there are, and what ``find_outside_target`` does.
    """
    for target in TARGETS:
        if target.name == name:
            return target
    outside = find_outside_target(name)
    if outside is not None:
        return outside
    known = list_target_names()
    nearest = _find_nearest(name, known)
    advice = f": did you mean {nearest}? There are" if nearest else ", only"
    raise UnknownTargetError(
        f"there is no target {name!r}{advice} {', '.join(known)}",
        target=name,
        known=list(known),
        nearest=nearest,
    )


def _find_nearest(name: str, known: tuple[str, ...]) -> str | None:
    """The name that is spelled alike, else the first one that ``name`` is the beginning of."""
    begun = (other for other in known if name and other.startswith(name.lower()))
    return find_closest(name, known) or next(begun, None)


def list_target_names() -> tuple[str, ...]:
    """Names of all targets: built-in ones, then those of other packages, which are not loaded."""
    own = tuple(target.name for target in TARGETS)
    return (*own, *(name for name in list_outside_names() if name not in own))


def get_compute(compute: str | None) -> Compute:
    """What ``--compute`` means; None is local with as many slots as the deployment asks for.

    Raises UnknownTargetError for anything but ``local``, ``local[N]``, ``spark://HOST:PORT`` and
    ``local-cluster[WORKERS,CORES,MIB]``, which is for tests.
    """
    if compute is None or compute == "local":
        return Compute(_LOCAL, None)
    if _LOCAL_MASTER.fullmatch(compute):
        return Compute(_LOCAL, compute)
    if _STANDALONE_MASTER.fullmatch(compute) or _LOCAL_CLUSTER.fullmatch(compute):
        return Compute(_SPARK_SUBMIT, compute)
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
