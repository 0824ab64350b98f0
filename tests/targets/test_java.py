"""find_java against real programs: small scripts that answer as Java does."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import pytest

from sparkscore.errors import MissingDependencyError
from sparkscore.targets.java import Java, find_java


def make_program(program: Path, body: str) -> Path:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


def make_java(home: Path, specification: str) -> Path:
    """A Java home whose ``java`` writes the properties to standard error, as a real one does."""
    lines = (
        "Picked up JAVA_TOOL_OPTIONS: -Dx=y",
        "Property settings:",
        f"    java.home = {home}",
        f"    java.specification.version = {specification}",
        f'openjdk version "{specification}.0.1"',
    )
    make_program(home / "bin" / "java", "\n".join(f"echo '{line}' >&2" for line in lines))
    return home


def test_find_java__java_home_fits(tmp_path: Path) -> None:
    home = make_java(tmp_path / "jdk", "17")
    other = make_java(tmp_path / "other", "21")
    environment = {"JAVA_HOME": str(home), "PATH": str(other / "bin")}
    assert find_java(environment, places=()) == Java(home=home, version=17)


def test_find_java__java_home_too_old_falls_through_to_path(tmp_path: Path) -> None:
    old = make_java(tmp_path / "old", "11")
    new = make_java(tmp_path / "new", "21")
    environment = {"JAVA_HOME": str(old), "PATH": str(new / "bin")}
    assert find_java(environment, places=()) == Java(home=new, version=21)


@pytest.mark.parametrize("java_home", ["missing", ""])
def test_find_java__java_home_wrong_falls_through_to_places(tmp_path: Path, java_home: str) -> None:
    home = make_java(tmp_path / "jvm" / "java-17", "17")
    environment = {"JAVA_HOME": java_home and str(tmp_path / java_home), "PATH": ""}
    assert find_java(environment, places=[f"{tmp_path}/jvm/*"]) == Java(home=home, version=17)


def test_find_java__program_on_path_is_a_link(tmp_path: Path) -> None:
    home = make_java(tmp_path / "jdk", "17")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    assert find_java({"PATH": str(tmp_path / "bin")}, places=()).home == home


def test_find_java__program_on_path_is_a_shim(tmp_path: Path) -> None:
    home = make_java(tmp_path / "jdk", "17")
    make_program(tmp_path / "shims" / "java", f'exec {home}/bin/java "$@"')
    assert find_java({"PATH": str(tmp_path / "shims")}, places=()).home == home


def test_find_java__places_are_tried_by_name_and_need_a_program(tmp_path: Path) -> None:
    (tmp_path / "jvm" / "a-empty").mkdir(parents=True)
    make_java(tmp_path / "jvm" / "b-8", "1.8")
    fitting = make_java(tmp_path / "jvm" / "c-17", "17")
    make_java(tmp_path / "jvm" / "d-21", "21")
    assert find_java({}, places=[f"{tmp_path}/jvm/*"]).home == fitting


def test_find_java__places_under_home(tmp_path: Path) -> None:
    home = make_java(tmp_path / ".sdkman" / "candidates" / "java" / "17.0.1-tem", "17")
    places = ["~/.sdkman/candidates/java/*"]
    assert find_java({"HOME": str(tmp_path)}, places=places).home == home
    with pytest.raises(MissingDependencyError):
        find_java({}, places=places)


def test_find_java__nothing_there() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        find_java({"PATH": ""}, places=())
    assert caught.value.condition == "JAVA_NOT_FOUND"
    assert caught.value.exit_code == 3
    assert caught.value.attributes == {"oldest_version": 17, "found": []}
    assert "\n" not in caught.value.message


def test_find_java__too_old_everywhere_names_each(tmp_path: Path) -> None:
    eleven = make_java(tmp_path / "eleven", "11")
    eight = make_java(tmp_path / "eight", "1.8")
    environment = {"JAVA_HOME": str(eleven), "PATH": str(eight / "bin")}
    with pytest.raises(MissingDependencyError) as caught:
        find_java(environment, places=())
    assert caught.value.condition == "JAVA_TOO_OLD"
    assert caught.value.attributes["found"] == [
        {"program": f"{eleven}/bin/java", "source": "JAVA_HOME", "version": 11},
        {"program": f"{eight}/bin/java", "source": "PATH", "version": 8},
    ]
    for part in (f"Java 11 in {eleven} (JAVA_HOME)", f"Java 8 in {eight} (PATH)"):
        assert part in caught.value.message
    assert pickle.loads(pickle.dumps(caught.value)).attributes == caught.value.attributes


@pytest.mark.parametrize(
    "body",
    [
        "exit 1",
        "exit 0",
        "echo '  java.home = /somewhere'",
        "echo '  java.specification.version = 17'; kill -9 $$",
        "printf '\\377\\376'",
    ],
)
def test_find_java__program_is_no_java(tmp_path: Path, body: str) -> None:
    program = make_program(tmp_path / "bin" / "java", body)
    with pytest.raises(MissingDependencyError) as caught:
        find_java({"PATH": str(program.parent)}, places=())
    assert caught.value.condition == "JAVA_NOT_FOUND"
    assert caught.value.attributes["found"] == [
        {"program": str(program), "source": "PATH", "version": None}
    ]


def test_find_java__hanging_program_is_passed_over(tmp_path: Path) -> None:
    hanging = make_program(tmp_path / "hanging" / "bin" / "java", "/bin/sleep 20\nexit 0")
    home = make_java(tmp_path / "jdk", "17")
    environment = {"JAVA_HOME": str(hanging.parents[1]), "PATH": str(home / "bin")}
    started = time.monotonic()
    assert find_java(environment, places=(), start_timeout_seconds=0.5).home == home
    assert time.monotonic() - started < 10


def test_find_java__real_java_of_this_machine() -> None:
    java = find_java(os.environ)
    assert java.version >= 17
    assert (java.home / "bin" / "java").is_file()
    assert find_java({"JAVA_HOME": str(java.home)}, places=()).version == java.version
