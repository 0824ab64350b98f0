"""Delta's jars come from the cache, and get there once and whole."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.driver.delta_jars import delta_jars, find_delta_package
from sparkscore.errors import MissingDependencyError

# Stands for Java with Ivy: notes the call, then writes what Ivy would have fetched.
JAVA = """#!{python}
import sys, time
from pathlib import Path
with Path({calls!r}).open("a") as file:
    file.write("call\\n")
if {code}:
    print("first line", "unresolved dependency", sep="\\n")
    sys.exit({code})
folder = Path(sys.argv[sys.argv.index("-retrieve") + 1]).parent
folder.mkdir()
time.sleep(0.3)
for name in {names!r}:
    (folder / name).write_text(name)
"""

FETCHED = (
    "io.delta_delta-spark_4.2_2.13-4.4.0.jar",
    "io.delta_delta-storage-4.4.0.jar",
    "com.github.luben_zstd-jni-1.5.7-3.jar",
    "org.scala-lang_scala-library-2.13.17.jar",
)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Delta's jars; the file tells how often Ivy ran."""
    jars = tmp_path / "spark" / "jars"
    jars.mkdir(parents=True)
    for name in ("spark-core_2.13-4.2.0", "zstd-jni-1.5.7-9", "scala-library-2.13.18"):
        (jars / f"{name}.jar").touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    monkeypatch.setenv("SPARKSCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    make_java(tmp_path)
    return tmp_path / "calls"


def make_java(tmp_path: Path, *, code: int = 0, names: tuple[str, ...] = FETCHED) -> None:
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    calls = str(tmp_path / "calls")
    java.write_text(JAVA.format(python=sys.executable, calls=calls, code=code, names=names))
    java.chmod(0o755)


def count(calls: Path) -> int:
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def test_delta_jars__fetched_once_without_what_spark_ships(calls: Path) -> None:
    found = delta_jars()
    assert [path.name for path in found] == list(FETCHED[:2])
    assert all(path.is_file() for path in found)
    assert delta_jars() == found
    assert count(calls) == 1


def test_delta_jars__two_jobs_at_once_fetch_once(calls: Path) -> None:
    command = "from sparkscore.driver.delta_jars import delta_jars; print(len(delta_jars()))"
    jobs = [
        subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [job.communicate()[0] for job in jobs] == ["2\n", "2\n"]
    assert count(calls) == 1


@pytest.mark.parametrize("damage", ["truncated", "removed"])
def test_delta_jars__damaged_cache_is_fetched_again(calls: Path, damage: str) -> None:
    jar = delta_jars()[0]
    if damage == "removed":
        jar.unlink()
    else:
        jar.write_text("")
    assert delta_jars()[0].read_text() == jar.name
    assert count(calls) == 2


@pytest.mark.parametrize(
    ("spark_core", "installed", "package"),
    [
        ("spark-core_2.12-3.5.3", "3.3.0", "io.delta:delta-spark_2.12:3.3.0"),
        ("spark-core_2.13-4.0.1", "4.0.1", "io.delta:delta-spark_2.13:4.0.1"),
        ("spark-core_2.13-4.2.0", "4.4.0", "io.delta:delta-spark_4.2_2.13:4.4.0"),
    ],
)
def test_delta_package__of_each_spark(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spark_core: str,
    installed: str,
    package: str,
) -> None:
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / f"{spark_core}.jar").touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.metadata, "version", {"delta-spark": installed}.__getitem__)
    assert find_delta_package() == package


def test_delta_package__of_no_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    assert find_delta_package() is None


def test_delta_jars__ivy_fails(calls: Path, tmp_path: Path) -> None:
    make_java(tmp_path, code=1)
    with pytest.raises(MissingDependencyError) as caught:
        delta_jars()
    assert caught.value.condition == "DELTA_JARS_MISSING"
    assert "unresolved dependency" in caught.value.message
    assert count(calls) == 1
    make_java(tmp_path)
    assert len(delta_jars()) == 2


def test_delta_jars__delta_itself_is_not_among_them(calls: Path, tmp_path: Path) -> None:
    make_java(tmp_path, names=FETCHED[1:])
    with pytest.raises(MissingDependencyError) as caught:
        delta_jars()
    assert caught.value.condition == "DELTA_JARS_MISSING"
    assert count(calls) == 1


def test_delta_jars__no_java(calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(MissingDependencyError) as caught:
        delta_jars()
    assert caught.value.condition == "DELTA_JARS_MISSING"
    assert count(calls) == 0


def test_delta_jars__no_spark(calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(MissingDependencyError) as caught:
        delta_jars()
    assert caught.value.condition == "DELTA_JARS_MISSING"
    assert count(calls) == 0
