"""Finds a Python of some version on this machine, and copies it. Control plane."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sparkscore.control.environments.elf import make_relocatable
from sparkscore.errors import MissingDependencyError

_DESCRIBE = """
import json, sys, sysconfig
get = sysconfig.get_config_var
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "program": getattr(sys, "_base_executable", None) or sys.executable,
    "prefix": sys.base_prefix,
    "library": sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}),
    "platform_library": sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix}),
    "include": sysconfig.get_path("include", vars={"installed_base": sys.base_prefix}),
    "shared_library": get("INSTSONAME") if get("Py_ENABLE_SHARED") else None,
    "library_folder": get("LIBDIR"),
    "platlibdir": getattr(sys, "platlibdir", "lib"),
}))
"""

_LEFT_OUT = ("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter")
_LEFT_OUT_TOO = ("turtledemo", "ensurepip", "lib2to3", "EXTERNALLY-MANAGED")
_SYSTEM_LIBRARIES = re.compile(
    r"(ld-linux|linux-vdso|lib(c|m|dl|rt|util|pthread|resolv|nsl|anl|gcc_s|stdc\+\+))([-.]|$)"
)
"""What every Linux has: a copy of one of these beside another C library breaks programs."""

_SECONDS = 60.0
BUNDLED = "lib/bundled"
"""Shared libraries of the system that the copied Python needs, below its folder."""


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine: ``program`` and folders are absolute, not those of a venv."""

    version: str
    program: str
    prefix: str
    library: str
    platform_library: str
    include: str
    shared_library: str | None
    library_folder: str
    platlibdir: str


def find_interpreter(
    version: str, *, environment: Mapping[str, str], uv: str | None = None
) -> Interpreter:
    """A Python of this major and minor version; uv fetches one if none is here.

    Raises MissingDependencyError (PYTHON_NOT_FOUND).
    """
    for program in _iter_programs(version, environment, uv):
        found = describe_interpreter(program)
        if found is not None and found.version == version:
            return found
    raise MissingDependencyError(
        f"the environment needs Python {version}, which this machine does not have and uv could "
        f'not fetch; install it (uv python install {version}), or set environments = "host" in '
        "[jobs] to run scripts in sparkscore's own Python",
        condition="PYTHON_NOT_FOUND",
        python=version,
    )


def _iter_programs(version: str, environment: Mapping[str, str], uv: str | None) -> Iterator[str]:
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == version:
        yield sys.executable
    name = f"python{version}"
    for folder in environment.get("PATH", "").split(os.pathsep):
        if folder and os.access(os.path.join(folder, name), os.X_OK):
            yield os.path.join(folder, name)
    home, own = os.path.join(environment.get("HOME", ""), ".pyenv"), Path(sys.base_prefix).parents
    roots = (environment.get("PYENV_ROOT"), home, *map(str, own[1:2]))
    for root in dict.fromkeys(filter(None, roots)):
        yield from map(str, sorted(Path(root).glob(f"versions/{version}.*/bin/{name}")))
    if uv is not None:
        for arguments in (("find",), ("install", "--no-bin")):
            found = subprocess.run(
                [uv, "python", *arguments, version],
                env=dict(environment),
                capture_output=True,
                text=True,
                check=False,
            )
            if arguments[0] == "find" and found.returncode == 0:
                yield found.stdout.strip()
            elif arguments[0] == "install" and found.returncode == 0:
                yield from _find_fetched(version, environment, uv)


def _find_fetched(version: str, environment: Mapping[str, str], uv: str) -> Iterator[str]:
    command = [uv, "python", "find", "--managed-python", version]
    found = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        yield found.stdout.strip()


def describe_interpreter(program: str) -> Interpreter | None:
    """What a Python says of itself, None if it does not run."""
    try:
        said = subprocess.run(
            [program, "-I", "-c", _DESCRIBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        return Interpreter(**json.loads(said.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def copy_interpreter(source: Interpreter, folder: Path) -> Path:
    """A Python of its own in ``folder``, without packages; returns the program.

    It has the standard library but its tests, and the shared libraries that it needs.
    """
    name = f"python{source.version}"
    library = folder / source.platlibdir / name
    programs = folder / "bin"
    programs.mkdir(parents=True)
    program = programs / name
    shutil.copy2(os.path.realpath(source.program), program)
    for alias in ("python3", "python"):
        (programs / alias).symlink_to(name)
    _copy_tree(source.library, folder / "lib" / name)
    if os.path.realpath(source.platform_library) != os.path.realpath(source.library):
        _copy_tree(source.platform_library, library)
    if os.path.isdir(source.include):
        _copy_tree(source.include, folder / "include" / os.path.basename(source.include))
    if source.shared_library is not None:
        shared = os.path.join(source.library_folder, source.shared_library)
        if os.path.exists(shared):
            shutil.copy2(shared, folder / "lib" / source.shared_library)
    make_relocatable(program)
    _bundle_libraries(folder)
    return program


def _copy_tree(source: str, destination: Path) -> None:
    def ignore(folder: str, names: list[str]) -> list[str]:
        left_out = set(_LEFT_OUT + _LEFT_OUT_TOO) if folder == source else {"__pycache__"}
        return [
            name
            for name in names
            if name in left_out
            or name.startswith(("config-", "_tkinter"))
            or name.endswith((".a", ".pyc"))
        ]

    shutil.copytree(
        source, destination, ignore=ignore, ignore_dangling_symlinks=True, dirs_exist_ok=True
    )


def _bundle_libraries(folder: Path) -> None:
    """Copy what the program and its modules load from the system, but what every system has."""
    ldd = shutil.which("ldd")
    if ldd is None:
        return
    files = [*folder.glob("bin/python3.*"), *folder.glob("lib*/python3.*/lib-dynload/*.so")]
    listed = subprocess.run(
        [ldd, *map(str, files)], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    for found in set(re.findall(r"=> (/\S+) \(0x", listed.stdout)):
        name = os.path.basename(found)
        if not _SYSTEM_LIBRARIES.match(name) and not (folder / "lib" / name).exists():
            (folder / BUNDLED).mkdir(exist_ok=True)
            shutil.copy2(os.path.realpath(found), folder / BUNDLED / name)
