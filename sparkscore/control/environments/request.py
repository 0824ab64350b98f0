"""What a deployment's environment asks for, apart from any machine. Control plane, pure."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sparkscore.control.environments.conda import CondaContent, is_requirement, read_conda
from sparkscore.errors import InvalidFieldError
from sparkscore.messages.codec import to_json

OLDEST = (3, 9)
"""The oldest Python that script hosts run in."""

ADDED = {"pandas": "pandas>=1.5,<3", "pyarrow": "pyarrow>=12"}
"""What the engine needs beside the script, if the environment does not ask for it."""

_FORMAT = "1"
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_CREDENTIALS = re.compile(r"://[^/\s@]+@")
_OF_THIS_MACHINE = re.compile(r"(^|[\s@=])(file:|/)", re.IGNORECASE)


@dataclass(frozen=True)
class EnvironmentRequest:
    """An environment to be made; equal requests are built once.

    ``python`` is major and minor version. ``requirements`` are lines of a requirements file, with
    its options, ``added`` those of ours. ``conda_packages`` are specs that only conda has, from
    ``channels``. ``archive`` (local path) is an environment that its user has packed.
    """

    python: str
    requirements: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    conda_packages: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    platform: str = ""
    archive: str | None = None

    @property
    def digest(self) -> str:
        """Identifies the request with the kind of machine that it is built for."""
        return hashlib.sha256(f"{_FORMAT}\n{to_json(self)}".encode()).hexdigest()[:32]


def read_request(document: Mapping[str, Any]) -> EnvironmentRequest | None:
    """What an environment's document asks for; None if it names an image at most.

    The conda file is a mapping and ``requirements`` are lines by now. Raises InvalidFieldError for
    what no environment can hold; what cannot be built here raises when it is built.
    """
    if document.get("archive"):
        return EnvironmentRequest(python="", archive=str(document["archive"]))
    conda = document.get("conda_file")
    lines = document.get("requirements")
    if conda is None and lines is None:
        return None
    content = CondaContent() if conda is None else read_conda(conda)
    own_lines = tuple(str(line) for line in lines or ())
    _check(content.requirements, key="conda_file")
    _check(own_lines, key="requirements")
    _check_channels(content.channels)
    requirements = (*content.requirements, *own_lines)
    given = document.get("python_version")
    python = given or content.python
    return EnvironmentRequest(
        python=choose_python(
            str(python) if python else None, key="python_version" if given else "conda_file"
        ),
        requirements=requirements,
        added=find_added(requirements, content.packages),
        conda_packages=content.packages,
        channels=content.channels if content.packages else (),
        platform=f"{sys.platform}-{platform.machine()}",
    )


def with_mlflow(request: EnvironmentRequest, version: str | None) -> EnvironmentRequest:
    """The request with MLflow, which a deployment without a scoring script needs."""
    names = {get_name(line) for line in (*request.requirements, *request.conda_packages)}
    if request.archive is not None or names & {"mlflow", "mlflow-skinny"}:
        return request
    line = f"mlflow=={version}" if version else "mlflow"
    return replace(request, added=(*request.added, line))


def get_name(line: str) -> str:
    """The name of the package that a line asks for, empty for an option or a URL."""
    match = _NAME.match(line)
    if match is None or "://" in line.partition("@")[0]:
        return ""
    return re.sub(r"[-_.]+", "-", match[1]).lower()


def find_added(requirements: tuple[str, ...], packages: tuple[str, ...]) -> tuple[str, ...]:
    """What must be added so that results can leave the script host."""
    names = {get_name(line) for line in (*requirements, *packages)}
    return tuple(line for name, line in ADDED.items() if name not in names)


def choose_python(given: str | None, *, key: str = "python_version") -> str:
    """Major and minor version for a conda spec such as 3.9.18, >=3.8,<3.11 or 3.*.

    sparkscore's own if the spec allows it, else the newest one that it allows. ``key`` is where
    the spec stands, for the message.
    """
    own = sys.version_info[:2]
    if given is None or not given.strip(" =*"):
        return f"{own[0]}.{own[1]}"
    exact = re.fullmatch(r"\s*(?:={1,3}|~=)?\s*(\d+)\.(\d+)(?:\.[\w*.]+)?(?:=\S+)?\s*", given)
    if exact is not None:
        return f"{exact[1]}.{exact[2]}"
    allowed = [minor for minor in range(3, 31) if _allows(given, (3, minor))]
    if not allowed:
        example = 'python_version: "3.11"' if key == "python_version" else "python=3.11"
        raise InvalidFieldError(
            f"python {given}: no Python version is like that; write for example {example}",
            condition="INVALID_PYTHON_VERSION",
            value=given,
            key=key,
        )
    if own[1] in allowed:
        return f"{own[0]}.{own[1]}"
    known = [minor for minor in allowed if minor <= max(own[1], 13)]
    return f"3.{max(known or allowed)}"


def _allows(spec: str, version: tuple[int, int]) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    parts = [re.sub(r"^=?(?=\d)", "==", part.strip()) for part in spec.split(",")]
    parts = [f"{part}.*" if re.fullmatch(r"==\d+", part) else part for part in parts]
    try:
        allowed = SpecifierSet(",".join(parts))
    except InvalidSpecifier:
        return False
    return any(allowed.contains(f"{version[0]}.{version[1]}.{patch}") for patch in (0, 99))


def _check_channels(channels: tuple[str, ...]) -> None:
    for channel in channels:
        if _CREDENTIALS.search(channel) or "/t/" in channel:
            raise InvalidFieldError(
                "a channel names a user, password or token in its URL: give credentials to "
                "micromamba instead (its command auth login)",
                condition="CREDENTIALS_IN_URI",
                key="conda_file",
            )
        if channel.startswith("-") or _OF_THIS_MACHINE.search(channel):
            raise InvalidFieldError(
                f"channel {channel!r} is a folder of this machine, which other machines do not "
                "have: name a channel or its URL",
                condition="REQUIREMENT_NOT_PORTABLE",
                value=channel,
                key="conda_file",
            )


def _check(requirements: tuple[str, ...], *, key: str) -> None:
    for line in requirements:
        if _CREDENTIALS.search(line):
            raise InvalidFieldError(
                "a requirement names a user or password in its URL: give credentials to uv "
                "instead (~/.netrc, or its variables UV_INDEX_<NAME>_PASSWORD)",
                condition="CREDENTIALS_IN_URI",
                key=key,
            )
        if re.search(r"[\r\n]|\$\{", line):
            raise InvalidFieldError(
                f"requirement {line!r} has a line break or a variable: write one requirement in "
                "each line, as it is meant",
                condition="INVALID_REQUIREMENT",
                value=line,
                key=key,
            )
        if _OF_THIS_MACHINE.search(line) or re.match(
            r"\s*(-r|-c|-e|--requirement|--constraint|--editable)\b|\s*\.{1,2}(/|$)", line
        ):
            raise InvalidFieldError(
                f"requirement {line!r} names a file beside it, which other machines do not have: "
                "write the lines of that file here, or the URL of a wheel",
                condition="REQUIREMENT_NOT_PORTABLE",
                value=line,
                key=key,
            )
        if not is_requirement(line):
            raise InvalidFieldError(
                f"{line!r} is no requirement: write NAME, NAME==VERSION or the URL of a wheel",
                condition="INVALID_REQUIREMENT",
                value=line,
                key=key,
            )
