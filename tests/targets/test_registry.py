"""Which target a compute means, and what targets can do."""

from __future__ import annotations

import dataclasses

import pytest

from sparkscore.errors import UnknownTargetError, UnsupportedByTargetError
from sparkscore.targets.base import Capability, require_capability
from sparkscore.targets.local import LocalTarget
from sparkscore.targets.registry import DRIVER_TARGETS, TARGETS, get_compute, get_target


@pytest.mark.parametrize(
    ("compute", "target", "master"),
    [
        (None, "local", None),
        ("local", "local", None),
        ("local[2]", "local", "local[2]"),
        ("local[*]", "local", "local[*]"),
        ("local[2,4]", "local", "local[2,4]"),
        ("spark://host:7077", "spark-submit", "spark://host:7077"),
        ("spark://10.0.0.1:7077,b.example:7078", "spark-submit", None),
        ("spark://[::1]:7077", "spark-submit", None),
        ("local-cluster[2,1,1024]", "spark-submit", None),
    ],
)
def test_get_compute__examples(compute: str | None, target: str, master: str | None) -> None:
    found = get_compute(compute)
    assert found.target.name == target
    assert found.master == (master or (compute if target == "spark-submit" else None))


@pytest.mark.parametrize(
    "compute",
    [
        "",
        "yarn",
        "k8s://https://host",
        "local[0]",
        "local[x]",
        "local[2",
        "local-cluster[2,1]",
        "local-cluster[0,1,1024]",
        "spark://host",
        "spark://",
        f"spark://host:{'9' * 5000}",
        f"local[{'9' * 5000}]",
    ],
)
def test_get_compute__unknown(compute: str) -> None:
    with pytest.raises(UnknownTargetError) as caught:
        get_compute(compute)
    assert caught.value.attributes["compute"] == compute


def test_get_compute__asset_needs_a_workspace() -> None:
    with pytest.raises(UnknownTargetError, match="workspace"):
        get_compute("azureml:cpu-cluster")


def test_get_target__unknown() -> None:
    with pytest.raises(UnknownTargetError) as caught:
        get_target("emr")
    assert caught.value.attributes["known"] == [target.name for target in TARGETS]
    assert caught.value.attributes["nearest"] is None


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("spark", "spark-submit"),
        ("spark_submit", "spark-submit"),
        ("Kubernetes", "kubernetes"),
        ("databrick", "databricks"),
        ("", None),
    ],
)
def test_get_target__names_the_nearest(name: str, nearest: str | None) -> None:
    with pytest.raises(UnknownTargetError) as caught:
        get_target(name)
    assert caught.value.attributes["nearest"] == nearest


def test_targets__can_compile() -> None:
    for target in TARGETS:
        require_capability(target, Capability.COMPILE)


def test_targets__with_a_driver_here_can_run() -> None:
    for target in DRIVER_TARGETS:
        require_capability(target, Capability.RUN)


def test_require_capability__names_both() -> None:
    target = dataclasses.replace(LocalTarget(), capabilities=frozenset({Capability.COMPILE}))
    with pytest.raises(UnsupportedByTargetError) as caught:
        require_capability(target, Capability.RUN)
    assert caught.value.attributes == {"target": "local", "capability": "RUN"}
