"""Finds the Java that Spark will run on. Control plane. Standard library only.

A Java counts if its ``java`` starts and names its home and version itself, so that shims and
launchers (macOS, jenv, asdf) lead to the real home.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkscore.errors import MissingDependencyError

OLDEST_VERSION = 17
"""Spark 4 needs Java 17 or later."""

PLACES = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
)
"""Where installers put Java homes; ``~`` is HOME."""

START_TIMEOUT_SECONDS = 30.0

_ADVICE = (
    "install it (Debian or Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install "
    "openjdk@17) or set JAVA_HOME to it"
)


@dataclass(frozen=True)
class Java:
    """A Java that starts: its home (JAVA_HOME) and its feature version, 17 for 17.0.15."""

    home: Path
    version: int


@dataclass(frozen=True)
class _Candidate:
    """A program that may be Java, and where it was looked up."""

    program: Path
    source: str


def find_java(
    environment: Mapping[str, str],
    *,
    places: Sequence[str] = PLACES,
    start_timeout_seconds: float = START_TIMEOUT_SECONDS,
) -> Java:
    """The first Java of at least ``OLDEST_VERSION``: JAVA_HOME, then PATH, then ``places``.

    A JAVA_HOME that does not fit is passed over if another place has one that does. Raises
    MissingDependencyError, JAVA_NOT_FOUND or JAVA_TOO_OLD, naming everything that was found.
    """
    rejected: list[tuple[_Candidate, Java | None]] = []
    for candidate in _iter_candidates(environment, places):
        java = _start(candidate.program, environment, timeout_seconds=start_timeout_seconds)
        if java is not None and java.version >= OLDEST_VERSION:
            return java
        rejected.append((candidate, java))
    raise _error(rejected)


def _iter_candidates(environment: Mapping[str, str], places: Sequence[str]) -> Iterator[_Candidate]:
    """Every program once, in the order in which they are tried."""
    seen: set[Path] = set()
    for candidate in _iter_lookups(environment, places):
        program = candidate.program.resolve()
        if program not in seen:
            seen.add(program)
            yield candidate


def _iter_lookups(environment: Mapping[str, str], places: Sequence[str]) -> Iterator[_Candidate]:
    java_home = environment.get("JAVA_HOME")
    if java_home:
        yield _Candidate(Path(java_home) / "bin" / "java", "JAVA_HOME")
    on_path = shutil.which("java", path=environment.get("PATH", ""))
    if on_path:
        yield _Candidate(Path(on_path), "PATH")
    for place in places:
        for home in _iter_homes(place, environment):
            yield _Candidate(home / "bin" / "java", place)


def _iter_homes(place: str, environment: Mapping[str, str]) -> Iterator[Path]:
    """Folders that match the pattern and hold a ``bin/java``, by name."""
    if place.startswith("~"):
        if not environment.get("HOME"):
            return
        place = environment["HOME"] + place[1:]
    path = Path(place)
    for home in sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))):
        if (home / "bin" / "java").is_file():
            yield home


_KNOWN: dict[tuple[object, ...], Java] = {}
"""What has started in this process before: a server asks for every job, and a start takes 0.1 s."""


def _start(program: Path, environment: Mapping[str, str], *, timeout_seconds: float) -> Java | None:
    """What ``java`` says of itself, or None if it does not start or says nothing."""
    try:
        status = program.stat()
    except OSError:
        return None
    key = (program, status.st_ino, status.st_mtime_ns, frozenset(environment.items()))
    if key not in _KNOWN:
        java = _ask(program, environment, timeout_seconds=timeout_seconds)
        if java is None:
            return None
        _KNOWN[key] = java
    return _KNOWN[key]


def _ask(program: Path, environment: Mapping[str, str], *, timeout_seconds: float) -> Java | None:
    command = [str(program), "-XshowSettings:properties", "-version"]
    # A file, not a pipe: children of a hanging launcher would keep a pipe open after its end.
    with tempfile.TemporaryFile() as output:
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                timeout=timeout_seconds,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        output.seek(0)
        return _read_properties(output.read().decode("utf-8", errors="replace"))


def _read_properties(text: str) -> Java | None:
    home = re.search(r"^\s*java\.home = (.+?)\s*$", text, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", text, re.MULTILINE)
    if home is None or version is None:
        return None
    return Java(home=Path(home[1]), version=int(version[1]))


def _error(rejected: Sequence[tuple[_Candidate, Java | None]]) -> MissingDependencyError:
    too_old = any(java is not None for _, java in rejected)
    found = "; ".join(_render(candidate, java) for candidate, java in rejected) or "none"
    return MissingDependencyError(
        f"Spark needs Java {OLDEST_VERSION} or later, found: {found}. To go on, {_ADVICE}.",
        condition="JAVA_TOO_OLD" if too_old else "JAVA_NOT_FOUND",
        oldest_version=OLDEST_VERSION,
        found=[
            {
                "program": str(candidate.program),
                "source": candidate.source,
                "version": None if java is None else java.version,
            }
            for candidate, java in rejected
        ],
    )


def _render(candidate: _Candidate, java: Java | None) -> str:
    what = (
        f"Java {java.version} in {java.home}" if java else f"{candidate.program}, no working Java"
    )
    return f"{what} ({candidate.source})"
