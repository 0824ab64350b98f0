"""Compiling for a compute: which ones there are, what they take, what fits a target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkscore.errors import InvalidFieldError, UnknownTargetError
from tests.control.compile_samples import COMPUTES, compile_platform, compile_sample

PODS = str(COMPUTES / "kubernetes.yml")
VOLUME = "/Volumes/main/scoring"


@pytest.mark.parametrize("count", [1, 8])
def test_compile__instance_count_that_the_file_takes(tmp_path: Path, count: int) -> None:
    compile_sample(tmp_path, "kubernetes", compute=PODS, instance_count=count)


def test_compile__instance_count_beyond_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        compile_sample(tmp_path, "kubernetes", compute=PODS, instance_count=9)
    assert caught.value.condition == "INSTANCE_COUNT_OUT_OF_RANGE"
    assert caught.value.attributes["max_instances"] == 8
    assert not (tmp_path / "compiled").exists()


@pytest.mark.parametrize("compute", ["dbx", "azureml:dbx", "yarn"])
def test_compile__name_of_a_compute_beside_a_file(tmp_path: Path, compute: str) -> None:
    with pytest.raises(UnknownTargetError) as caught:
        compile_sample(tmp_path, "databricks", compute=compute)
    assert caught.value.condition == "UNKNOWN_COMPUTE"
    assert caught.value.attributes == {"compute": compute}
    assert "--endpoint-name" in caught.value.message
    assert "YAML file" in caught.value.message


def test_compile__unknown_target_is_said_first(tmp_path: Path) -> None:
    with pytest.raises(UnknownTargetError) as caught:
        compile_sample(tmp_path, "spark", compute="dbx")
    assert caught.value.attributes["nearest"] == "spark-submit"


@pytest.mark.parametrize("scheme", ["dbfs:", "dbfs://", "DBFS:"])
def test_compile__volumes_as_the_platforms_own_command_writes_them(
    tmp_path: Path, scheme: str
) -> None:
    folder = compile_platform(
        tmp_path,
        "databricks",
        input=f"{scheme}{VOLUME}/in",
        output_path=f"{scheme}{VOLUME}/out",
    )
    launch = json.loads((folder / "launch.json").read_text())
    assert launch["input"]["uri"] == f"{VOLUME}/in"
    assert launch["output"]["path"] == f"{VOLUME}/out"
