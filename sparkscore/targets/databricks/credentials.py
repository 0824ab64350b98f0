"""Which of this environment's credentials a workspace may see. Control plane.

Whoever may make a compute chooses its host. So credentials go only to the host that they were set
for: the one of DATABRICKS_HOST, or of a profile in the configuration file.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from sparkscore.errors import SubmitError
from sparkscore.targets.databricks.settings import normalize_host

CONFIG_FILE = "~/.databrickscfg"

_CREDENTIALS = tuple(
    f"DATABRICKS_{name}" for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")
)
_SET = (
    "set DATABRICKS_HOST to it, with DATABRICKS_TOKEN, or with DATABRICKS_CLIENT_ID and "
    "DATABRICKS_CLIENT_SECRET, in the environment of sparkscore"
)


def find_profile(host: str, environment: Mapping[str, str]) -> str | None:
    """The profile whose credentials ``host`` may see; None if those of the variables.

    Raises SubmitError (PLATFORM_DENIED) if there are none for it.
    """
    named = environment.get("DATABRICKS_HOST")
    asked = environment.get("DATABRICKS_CONFIG_PROFILE")
    if named and normalize_host(named) != host:
        raise _denied(f"the credentials of this environment are for {named}, not for {host}", host)
    if named and not asked:
        return None
    homeless = [name for name in _CREDENTIALS if environment.get(name) and not named]
    if homeless:
        raise _denied(f"{homeless[0]} is set without the host that it is for", host)
    file = Path(environment.get("DATABRICKS_CONFIG_FILE") or CONFIG_FILE).expanduser()
    profile = _find_section(file, host, asked=asked)
    if profile is None:
        if asked:
            raise _denied(f"profile {asked} of {file} is not for {host}", host)
        raise _denied(f"this environment has no credentials for {host}", host)
    return profile


def _find_section(file: Path, host: str, *, asked: str | None) -> str | None:
    """The profile that was asked for, if it is of this host; else the first one that is."""
    profiles = configparser.ConfigParser(default_section="", interpolation=None)
    try:
        profiles.read(file, encoding="utf-8")
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise _denied(f"{file} cannot be read ({type(error).__name__})", host) from error
    for name in [asked] if asked else profiles.sections():
        written = profiles.get(name, "host", fallback="") if profiles.has_section(name) else ""
        if normalize_host(written) == host:
            return name
    return None


def _denied(reason: str, host: str) -> SubmitError:
    return SubmitError(f"{reason}: {_SET}", condition="PLATFORM_DENIED", host=host)
