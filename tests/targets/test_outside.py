"""Targets that other packages bring: found by name, and harmless to the others if broken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sparkscore.errors import PlanError, TargetError, UnknownTargetError, UnsupportedByTargetError
from sparkscore.plan.spark_application import plan_spark_application
from sparkscore.targets.local import LocalTarget
from sparkscore.targets.outside import OutsideTarget
from sparkscore.targets.registry import TARGETS, get_target, list_target_names
from tests.control.compile_samples import compile_sample
from tests.control.samples import write_deployment
from tests.targets.conftest import Install
from tests.targets.outside_packages import read_documented_package

BUILT_IN = tuple(target.name for target in TARGETS)
SOURCE = """
from sparkscore.targets.base import Capability, CompiledApplication

class Box:
    name = "box"
    master = "yarn"
    compute_type = None
    own_folders = ()
    capabilities = frozenset({Capability.COMPILE, Capability.LOCAL_PATHS})

    def compile(self, application):
        return CompiledApplication("box", (), files={"box.txt": application.name})
"""


def test_get_target__of_another_package(install: Install, tmp_path: Path) -> None:
    install("acme-box", SOURCE, {"box": "Box"})
    target = get_target("box")
    assert isinstance(target, OutsideTarget)
    assert (target.package, target.master) == ("acme-box", "yarn")
    folder = compile_sample(tmp_path, "box")
    assert (folder / "box.txt").read_text() == "nightly"
    assert (folder / "launch.json").is_file()


def test_list_target_names__imports_no_package(install: Install) -> None:
    install("acme-box", "raise RuntimeError('imported')", {"box": "Box", "abacus": "Abacus"})
    assert list_target_names() == (*BUILT_IN, "abacus", "box")
    with pytest.raises(UnknownTargetError) as caught:
        get_target("emr")
    assert caught.value.attributes["known"] == [*BUILT_IN, "abacus", "box"]
    assert "acme_box" not in sys.modules


def test_get_target__built_in_ones_cannot_be_replaced(install: Install) -> None:
    install("acme-box", SOURCE.replace('"box"', '"local"'), {"local": "Box"})
    assert isinstance(get_target("local"), LocalTarget)
    assert list_target_names() == BUILT_IN


@pytest.mark.parametrize(
    ("source", "given", "says"),
    [
        ("import nothing_of_that_name", "Box", "ModuleNotFoundError: No module named 'nothing"),
        ("raise SystemExit(3)", "Box", "SystemExit: 3"),
        ("x = 1", "Box", "AttributeError"),
        (SOURCE, "Box.name", "not callable"),
        (SOURCE.replace('name = "box"', 'name = "bax"'), "Box", "its name is 'bax'"),
        (SOURCE.replace("def compile", "def make"), "Box", "no method compile"),
        (SOURCE.replace("Capability.COMPILE, ", ""), "Box", "lack COMPILE"),
        (SOURCE.replace("COMPILE,", "COMPILE, Capability.RUN,"), "Box", "have RUN"),
        (SOURCE.replace("frozenset", "list"), "Box", "no frozenset of Capability"),
        (SOURCE.replace('master = "yarn"', "master = 1"), "Box", "its master is neither"),
        (SOURCE.replace("own_folders = ()", "own_folders = '/mnt'"), "Box", "its own_folders"),
    ],
)
def test_get_target__of_a_broken_package(
    install: Install, tmp_path: Path, source: str, given: str, says: str
) -> None:
    install("acme-box", source, {"box": given})
    with pytest.raises(TargetError) as caught:
        get_target("box")
    assert caught.value.condition == "TARGET_PACKAGE_BROKEN"
    assert caught.value.attributes == {"target": "box", "package": "acme-box"}
    assert says in caught.value.message
    assert (compile_sample(tmp_path, "local") / "submit.sh").is_file()


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        ("{}['x']", "KeyError: 'x'"),
        ("None", "NoneType"),
        ('CompiledApplication("box", (), files={"../x": ""})', "'../x'"),
        ('CompiledApplication("box", (), files={"launch.json": ""})', "'launch.json'"),
        ('CompiledApplication("box", (), files={"environment-1.zip": ""})', "'environment-1.zip'"),
        ('CompiledApplication("box", (), files={"a": b""})', "names to texts"),
    ],
)
def test_compile__package_that_gives_no_files(
    install: Install, tmp_path: Path, gives: str, says: str
) -> None:
    source = SOURCE.partition("return Compiled")[0] + f"return {gives}\n"
    install("acme-box", source, {"box": "Box"})
    with pytest.raises(TargetError) as caught:
        compile_sample(tmp_path, "box")
    assert caught.value.condition == "TARGET_PACKAGE_BROKEN"
    assert says in caught.value.message
    assert not (tmp_path / "compiled").exists()
    assert not (tmp_path / "x").exists()


def test_compile__package_that_refuses_a_job(install: Install, tmp_path: Path) -> None:
    source = "from sparkscore.errors import PlanError\n" + SOURCE.replace(
        "return Compiled",
        "raise PlanError('too big', condition='TOO_BIG')\n        return Compiled",
    )
    install("acme-box", source, {"box": "Box"})
    with pytest.raises(PlanError) as caught:
        compile_sample(tmp_path, "box")
    assert caught.value.condition == "TOO_BIG"


@pytest.mark.parametrize(
    ("fields", "capability"),
    [
        ({"resources": {"gpus": 1}}, "GPU"),
        ({"output_format": "delta", "output_file_name": None}, "DELTA_OUTPUT"),
        ({"output_table": "a.b.c", "output_file_name": None}, "CATALOG_TABLE"),
        ({"isolation": "inline"}, "INLINE_ISOLATION"),
        ({"environment": {"requirements": ["six"]}}, "ENVIRONMENT"),
    ],
)
def test_compile__what_a_package_does_not_declare_is_refused(
    install: Install,
    tmp_path: Path,
    fields: Mapping[str, object],
    capability: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SPARKSCORE_ENVIRONMENTS", raising=False)
    install("acme-box", SOURCE, {"box": "Box"})
    with pytest.raises(UnsupportedByTargetError) as caught:
        compile_sample(tmp_path, "box", fields=dict(fields))
    assert caught.value.attributes == {"target": "box", "capability": capability}


def test_get_target__of_two_packages(install: Install) -> None:
    install("acme-box", SOURCE, {"box": "Box"})
    install("other-box", SOURCE, {"box": "Box"})
    with pytest.raises(TargetError) as caught:
        get_target("box")
    assert caught.value.condition == "TARGET_AMBIGUOUS"
    assert caught.value.attributes["packages"] == ["acme-box", "other-box"]


def test_documented_package__works_as_the_page_says(install: Install, tmp_path: Path) -> None:
    """The command, then the batch file as a node of the cluster runs it."""
    site = install(*read_documented_package())
    write_deployment(tmp_path / "project")
    command = [
        *(sys.executable, "-m", "sparkscore.cli", "batch-deployment", "compile"),
        *("--file", "deployment.yml", "--target", "slurm", "--input", "in"),
        *("--output-path", "out", "-o", "night's run"),
    ]
    place = tmp_path / "project"
    path = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    subprocess.run(command, cwd=place, env={**os.environ, "PYTHONPATH": path}, check=True)
    folder = place / "night's run"
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        ["sh", folder / "job.sbatch"],
        cwd=folder,
        env={"PYTHON": str(tmp_path / "python")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["-m", "sparkscore.driver", f"{folder}/launch.json"]
    assert (folder / "job.sbatch").stat().st_mode & 0o111
    assert (folder / "launch.json").is_file()


def test_documented_package__applications_are_planned_for_it(install: Install) -> None:
    install(*read_documented_package())
    target = get_target("slurm")
    application = plan_spark_application(
        "nightly",
        entry_point="./score.py",
        launch_path="./launch.json",
        job_folder="/jobs/nightly",
        machine=None,
        master=target.master,
    )
    assert application.master == "local[*,4]"
    assert "--job-name=nightly\n" in target.compile(application).files["job.sbatch"]
