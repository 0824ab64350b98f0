"""Builds an environment once for all who ask for the same. Control plane."""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkscore.control.environments.cache import locking
from sparkscore.control.environments.conda_command import get_conda_command
from sparkscore.control.environments.interpreter import (
    BUNDLED,
    copy_interpreter,
    find_interpreter,
)
from sparkscore.control.environments.request import (
    OLDEST,
    EnvironmentRequest,
    get_name,
)
from sparkscore.errors import InvalidFieldError, MissingDependencyError, TargetError

REQUIREMENTS_FILE = "sparkscore-requirements.txt"
PACKAGES_FILE = "sparkscore-packages.json"
"""What was installed: a mapping of names to versions, in the environment's folder."""

_RELOCATABLE = """\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'{python}' "$0" "$@"
' '''
"""
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
_ERROR_LINES = 12
_ERROR = re.compile("\\s*(\N{MULTIPLICATION SIGN}|error\\b|critical\\b)")
_NEEDS_OLD_NUMPY = re.compile(r"numpy\.dtype size changed|compiled using NumPy 1\.x|_ARRAY_API")
_OLD_NUMPY = "numpy<2"
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LANG|TMPDIR|SHELL|PYENV_ROOT|NETRC|CC|CXX|(C|CXX|LD)FLAGS"
    r"|(UV|LC|SSL|XDG|MAMBA|CONDA)_\w+|((https?|all|no)_proxy)",
    re.IGNORECASE,
)
_OF_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_FIND_LINKS": "UV_FIND_LINKS"}


@dataclass(frozen=True)
class Environment:
    """A built environment: an absolute folder with a Python of its own."""

    folder: Path
    python: str

    @property
    def packages(self) -> dict[str, str]:
        """Names and versions of what is installed."""
        found: dict[str, str] = json.loads((self.folder / PACKAGES_FILE).read_bytes())
        return found


def check_buildable(request: EnvironmentRequest) -> None:
    """Raise what is known before anything is built.

    InvalidFieldError (PYTHON_TOO_OLD), MissingDependencyError (CONDA_PACKAGES_NEED_MICROMAMBA).
    """
    if request.archive is not None:
        return
    version = tuple(int(part) for part in request.python.split("."))
    if version < OLDEST:
        raise InvalidFieldError(
            f"the environment asks for Python {request.python}: scripts run in Python 3.9 or "
            'later; ask for a newer one, or set environments = "host" in [jobs] to run them in '
            "sparkscore's own",
            condition="PYTHON_TOO_OLD",
            python=request.python,
        )
    if request.conda_packages:
        get_conda_command(request, folder=Path("ENVIRONMENT"), environment=os.environ)


def get_python_name(request: EnvironmentRequest) -> str:
    """The path of the interpreter in the environment's folder."""
    return "bin/python" if request.archive is not None else f"bin/python{request.python}"


def build_environment(
    request: EnvironmentRequest,
    folder: Path,
    *,
    log_file: Path,
    on_poll: Callable[[], None] = lambda: None,
    environment: Mapping[str, str] | None = None,
) -> Environment:
    """The environment of ``request`` in ``folder``; made now if it is not there, or by another.

    ``on_poll`` is called several times a second; what it raises ends the build. Raises what
    ``check_buildable`` does, MissingDependencyError (PYTHON_NOT_FOUND, UV_NOT_FOUND), TargetError
    (ENVIRONMENT_NOT_BUILT with the lines that matter).
    """
    built = Environment(folder, str(folder / get_python_name(request)))
    if (folder / PACKAGES_FILE).exists():
        return built
    check_buildable(request)
    with locking(folder, on_poll=on_poll):
        if (folder / PACKAGES_FILE).exists():
            return built
        for left in folder.parent.glob(f".{folder.name}.*"):  # of a build that was killed
            shutil.rmtree(left, ignore_errors=True)
        partial = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
        given = make_build_variables(os.environ if environment is None else environment)
        try:
            _Build(request, partial, given, log_file, on_poll).run()
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return built


def make_build_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What a build sees: it may run code of packages, which secrets of ours do not concern."""
    kept = {name: text for name, text in environment.items() if _PASSED_ON.fullmatch(name)}
    for theirs, ours in _OF_PIP.items():
        if environment.get(theirs) and ours not in kept:
            kept[ours] = environment[theirs].strip().replace(" ", ",")
    return kept


def find_uv() -> str:
    """The program uv; raises MissingDependencyError (UV_NOT_FOUND)."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        found = shutil.which("uv")
        if found is not None:
            return found
        raise MissingDependencyError(
            "environments are built with uv, which is not installed; run: pip install uv",
            condition="UV_NOT_FOUND",
        ) from error


def _die_with_parent() -> None:
    """In a build's process: whoever kills the launcher ends the build too, where Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Build:
    """One build into ``folder``, which nobody looks into before it is done."""

    def __init__(
        self,
        request: EnvironmentRequest,
        folder: Path,
        variables: Mapping[str, str],
        log_file: Path,
        on_poll: Callable[[], None],
    ) -> None:
        self._request, self._folder = request, folder
        self._variables, self._log_file = dict(variables), log_file
        self._on_poll = on_poll

    def run(self) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        uv = find_uv()
        if self._request.conda_packages:
            command = get_conda_command(
                self._request, folder=self._folder, environment=self._variables
            )
            self._call(command)
        else:
            found = find_interpreter(self._request.python, environment=self._variables, uv=uv)
            copy_interpreter(found, self._folder)
        program = self._folder / get_python_name(self._request)
        self._install(uv, program)
        said = self._ask_packages(program)
        if said.returncode and self._may_add_old_numpy(said.stderr):
            self._install(uv, program, _OLD_NUMPY)
            said = self._ask_packages(program)
        self._note_packages(said)
        make_scripts_relocatable(self._folder / "bin", python=program.name)

    def _install(self, uv: str, program: Path, *more: str) -> None:
        lines = [*self._request.requirements, *self._request.added, *more]
        file = self._folder / REQUIREMENTS_FILE
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._call(
            [
                *(uv, "pip", "install", "--python", str(program), "--break-system-packages"),
                *("--no-progress", "--color", "never", "--link-mode", "copy"),
                *("--requirement", str(file)),
            ]
        )

    def _may_add_old_numpy(self, said: str) -> bool:
        """Older releases of pandas and the like do not say that they need numpy 1."""
        names = {get_name(line) for line in self._request.requirements}
        return "numpy" not in names and _NEEDS_OLD_NUMPY.search(said) is not None

    def _call(self, command: Sequence[str]) -> None:
        """Run a command with its output in the log, asking ``on_poll`` meanwhile."""
        start = self._log_file.stat().st_size if self._log_file.exists() else 0
        with self._log_file.open("ab") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._variables,
                cwd=self._folder.parent,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        try:
            while process.poll() is None:
                self._on_poll()
                time.sleep(_POLL_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            raise self._failed(start)

    def _failed(self, start: int) -> TargetError:
        with self._log_file.open("rb") as log:
            log.seek(start)
            lines = log.read().decode("utf-8", "replace").splitlines()[1:]
        said = find_reason(lines)
        return TargetError(
            f"the environment could not be built: {said} (the whole output is in "
            f'{self._log_file}); change its requirements, or set environments = "host" in [jobs] '
            "to run scripts in sparkscore's own Python",
            condition="ENVIRONMENT_NOT_BUILT",
            log=str(self._log_file),
        )

    def _ask_packages(self, program: Path) -> subprocess.CompletedProcess[str]:
        """Have the new Python import what the engine needs, and tell what it has."""
        libraries = {"LD_LIBRARY_PATH": str(self._folder / BUNDLED)}
        said = subprocess.run(
            [str(program), "-I", "-c", _TELL],
            env={**self._variables, **libraries},
            capture_output=True,
            text=True,
            check=False,
        )
        with self._log_file.open("a", encoding="utf-8") as log:
            log.write(said.stderr)
        return said

    def _note_packages(self, said: subprocess.CompletedProcess[str]) -> None:
        if said.returncode:
            last = (said.stderr.strip().splitlines() or ["it does not start"])[-1]
            raise TargetError(
                f"the environment was built, but its Python cannot be used: {last} (the whole "
                f"output is in {self._log_file}); change its requirements",
                condition="ENVIRONMENT_NOT_BUILT",
                log=str(self._log_file),
            )
        (self._folder / PACKAGES_FILE).write_text(said.stdout, encoding="utf-8")


_TELL = """
import json
from importlib.metadata import distributions
import numpy, pandas, pyarrow
found = {one.metadata["Name"]: one.version for one in distributions()}
print(json.dumps(dict(sorted(found.items()))))
"""


def find_reason(lines: Sequence[str]) -> str:
    """What a failed command says from its first error on, as one line."""
    told = [re.sub(r"^\W+|\s+$", "", line) for line in lines]
    first = next((n for n, line in enumerate(lines) if _ERROR.match(line)), 0)
    return " ".join([line for line in told[first:] if line][:_ERROR_LINES]) or "it said nothing"


def make_scripts_relocatable(folder: Path, *, python: str) -> None:
    """Let scripts of packages start the Python beside them, wherever that is."""
    start = _RELOCATABLE.format(python=python)
    for script in folder.iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        with script.open("rb") as file:
            if file.read(2) != b"#!" or b"python" not in file.readline():
                continue
            rest = file.read()
        script.write_bytes(start.encode() + rest)
