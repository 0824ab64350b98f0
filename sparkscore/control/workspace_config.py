"""``sparkscore.toml``: where the parts of a workspace are. Control plane."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkscore.control.access.roles import parse_role
from sparkscore.control.access.settings import SERVER_KEYS, ServerSettings
from sparkscore.control.webhooks.settings import SECTION as WEBHOOKS
from sparkscore.control.webhooks.settings import Webhook, read_webhooks
from sparkscore.errors import (
    InvalidFieldError,
    MalformedDocumentError,
    NotFoundError,
    OutputNotWritableError,
    UnknownFieldError,
)
from sparkscore.spec.nearest import find_closest
from sparkscore.storage import check_uri, is_uri, redact

CONFIG_FILE = "sparkscore.toml"
DEFAULT_DATASTORE = "workspaceblobstore"
DEFAULT_SERVER_URL = "http://127.0.0.1:8600"

SETTINGS: dict[str, tuple[str, ...]] = {
    "workspace": ("name",),
    "store": ("url",),
    "mlflow": ("tracking_uri", "registry_uri", "artifact_root", "log_jobs"),
    "datastore": ("uri", "profile", "endpoint", "region", "account_name", "anonymous"),
    "jobs": ("folder", "max_running_jobs", "environments"),
    "server": SERVER_KEYS,
}
"""The tables of the file and their keys; docs/workspace.md explains each. ``[webhooks]`` has a
table for each, see docs/webhooks.md."""

_TEMPLATE = """\
# Settings of a sparkscore workspace. Paths are relative to this file.

[workspace]
name = {name}

# Where endpoints, deployments, assets and jobs are recorded; PostgreSQL:
# url = "postgresql://HOST/DATABASE" (user and password by PGUSER, PGPASSWORD or ~/.pgpass)
[store]
url = "sqlite:///store.db"

# Where models and runs are recorded; a server: tracking_uri = "http://HOST:5000"
# log_jobs: each job becomes an MLflow run
[mlflow]
tracking_uri = "sqlite:///mlflow.db"
artifact_root = "mlartifacts"
log_jobs = true

# The datastore workspaceblobstore: a folder, or any URI such as "s3://BUCKET/FOLDER"
[datastore]
uri = "datastores/workspaceblobstore"

# folder may be a URI too: job folders are then copied there while jobs run
[jobs]
folder = "jobs"
max_running_jobs = 1

# What addresses of pages and scoring URIs begin with
[server]
url = "{server_url}"
"""


@dataclass(frozen=True)
class WorkspaceConfig:
    """The settings of a workspace; paths are absolute, URIs as written.

    ``datastore_uri`` and ``datastore_options`` are those of ``workspaceblobstore``.
    ``jobs_folder`` is a local path or a URI that job folders are copied to. ``environments`` is
    auto, build or host: whether scripts run in the environments of their deployments.
    ``logs_jobs``: ended jobs become MLflow runs.
    """

    name: str
    folder: Path
    store_url: str
    tracking_uri: str
    registry_uri: str
    artifact_root: str
    datastore_uri: str
    jobs_folder: str
    max_running_jobs: int = 1
    environments: str = "auto"
    server_url: str = DEFAULT_SERVER_URL
    datastore_options: dict[str, str] = field(default_factory=dict)
    logs_jobs: bool = True
    server: ServerSettings = field(default_factory=ServerSettings)
    webhooks: tuple[Webhook, ...] = ()

    @property
    def file(self) -> Path:
        """The file that says so."""
        return self.folder / CONFIG_FILE

    @property
    def shown_tracking_uri(self) -> str:
        """``tracking_uri`` for people, without the password that a server's may hold."""
        return redact(self.tracking_uri)


def read_config(folder: Path) -> WorkspaceConfig:
    """The settings in the folder's ``sparkscore.toml``.

    Raises NotFoundError (WORKSPACE_NOT_FOUND), MalformedDocumentError, UnknownFieldError or
    InvalidFieldError, each with the file, or PlanError (CREDENTIALS_IN_URI).
    """
    file = folder / CONFIG_FILE
    sections = _read_toml(file)
    _check_keys(sections, file=file)
    values = _Values(sections, file=file, folder=folder)
    tracking_uri = values.get_uri("mlflow", "tracking_uri", "sqlite:///mlflow.db")
    return WorkspaceConfig(
        name=values.get_text("workspace", "name", folder.name),
        folder=folder,
        store_url=values.get_uri("store", "url", "sqlite:///store.db"),
        tracking_uri=tracking_uri,
        registry_uri=values.get_uri("mlflow", "registry_uri", tracking_uri),
        artifact_root=values.get_place("mlflow", "artifact_root", "mlartifacts"),
        datastore_uri=values.get_place("datastore", "uri", f"datastores/{DEFAULT_DATASTORE}"),
        datastore_options=dict(values.iter_options("datastore", without=("uri",))),
        jobs_folder=values.get_place("jobs", "folder", "jobs"),
        max_running_jobs=values.get_count("jobs", "max_running_jobs", 1),
        environments=values.get_choice("jobs", "environments", ("auto", "build", "host")),
        logs_jobs=values.get_switch("mlflow", "log_jobs", True),
        server_url=values.get_text("server", "url", DEFAULT_SERVER_URL).rstrip("/"),
        server=_read_server(values),
        webhooks=read_webhooks(sections.get(WEBHOOKS, {}), file=file),
    )


def _read_server(values: _Values) -> ServerSettings:
    section, known = "server", ServerSettings()
    settings = ServerSettings(
        allowed_hosts=values.get_texts(section, "allowed_hosts"),
        trusted_proxy=values.find_text(section, "trusted_proxy"),
        requests_per_minute=values.get_count(
            section, "requests_per_minute", known.requests_per_minute
        ),
        max_body_bytes=values.get_count(section, "max_body_bytes", known.max_body_bytes),
        max_upload_bytes=values.get_count(section, "max_upload_bytes", known.max_upload_bytes),
        max_upload_files=values.get_count(section, "max_upload_files", known.max_upload_files),
        oidc_issuer=values.find_text(section, "oidc_issuer").rstrip("/"),
        oidc_audience=values.find_text(section, "oidc_audience"),
        oidc_role_claim=values.get_text(section, "oidc_role_claim", known.oidc_role_claim),
        oidc_roles=values.get_mapping(section, "oidc_roles"),
        oidc_client_id=values.find_text(section, "oidc_client_id"),
        oidc_scope=values.get_text(section, "oidc_scope", known.oidc_scope),
    )
    for role in settings.oidc_roles.values():
        parse_role(role)
    if settings.oidc_issuer:
        values.get_text(section, "oidc_audience", "")
    return settings


def make_workspace_folder(folder: Path, *, name: str | None = None) -> bool:
    """Make the folder and its ``sparkscore.toml``; False if it has one already.

    Two processes may do so at once. Raises OutputNotWritableError (WORKSPACE_NOT_WRITABLE), or
    InvalidFieldError (INVALID_WORKSPACE_FOLDER) for a path that URLs cannot name.
    """
    _check_path(folder)
    file = folder / CONFIG_FILE
    if has_config(folder):
        return False
    text = _TEMPLATE.format(name=quote(name or folder.name), server_url=DEFAULT_SERVER_URL)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write_once(file, text)
    except OSError as error:
        raise OutputNotWritableError(
            f"workspace {folder} cannot be made: {error.strerror or error}; choose another folder "
            "with -w or SPARKSCORE_WORKSPACE",
            condition="WORKSPACE_NOT_WRITABLE",
            path=str(folder),
        ) from error


def has_config(folder: Path) -> bool:
    """Whether the folder is a workspace."""
    try:
        return (folder / CONFIG_FILE).exists()
    except OSError:
        return False


def quote(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def read_toml(file: Path) -> dict[str, Any]:
    """The tables in a TOML file; raises MalformedDocumentError with the place, or OSError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables: dict[str, Any] = tomllib.loads(file.read_bytes().decode("utf-8"))
        return tables
    except ValueError as error:
        raise MalformedDocumentError(f"{file}: {error}", file=str(file)) from error


def _check_path(folder: Path) -> None:
    """Refuse what databases would look for elsewhere, as their URLs cannot name it."""
    found = re.search(r"\?|%[0-9A-Fa-f]{2}", str(folder))
    if found is not None:
        raise InvalidFieldError(
            f"{folder} cannot be a workspace: {found.group()} in a path means something else in "
            "URLs; choose another folder",
            condition="INVALID_WORKSPACE_FOLDER",
            path=str(folder),
        )


def _write_once(file: Path, text: str) -> bool:
    """Write a file that appears whole; False if somebody else was first."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.link(temporary, file)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return read_toml(file)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{file.parent} is no workspace: it has no {CONFIG_FILE}; run: sparkscore init",
            condition="WORKSPACE_NOT_FOUND",
            path=str(file.parent),
        ) from error
    except OSError as error:
        raise MalformedDocumentError(
            f"{file} cannot be read: {error.strerror}", file=str(file)
        ) from error


def _check_keys(sections: Mapping[str, Any], *, file: Path) -> None:
    for section, values in sections.items():
        if section == WEBHOOKS:
            continue
        if section not in SETTINGS or not isinstance(values, dict):
            known = [f"[{one}]" for one in (*SETTINGS, WEBHOOKS)]
            raise _unknown_key(f"[{section}]", known, file=file)
        for key in values:
            if key not in SETTINGS[section]:
                raise _unknown_key(key, SETTINGS[section], file=file, section=section)


def _unknown_key(
    key: str, known: list[str] | tuple[str, ...], *, file: Path, section: str | None = None
) -> UnknownFieldError:
    nearest = find_closest(key, known)
    where = f" in [{section}]" if section else ""
    advice = f"did you mean {nearest}?" if nearest else f"known here: {', '.join(known)}"
    return UnknownFieldError(
        f"{file}: unknown key {key}{where}: {advice}", file=str(file), key=key, nearest=nearest
    )


class _Values:
    """The values of a file, checked as they are asked for."""

    def __init__(self, sections: Mapping[str, Any], *, file: Path, folder: Path) -> None:
        self._sections, self._file, self._folder = sections, file, folder

    def get_text(self, section: str, key: str, default: str) -> str:
        value = self._find(section, key, default)
        if not isinstance(value, str) or not value.strip():
            raise self._refuse(section, key, value, "text that is not empty")
        return value

    def find_text(self, section: str, key: str) -> str:
        """Empty if the key is not there."""
        is_there = self._find(section, key, None) is not None
        return self.get_text(section, key, "") if is_there else ""

    def get_texts(self, section: str, key: str) -> tuple[str, ...]:
        value = self._find(section, key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise self._refuse(section, key, value, 'a list of texts, ["a", "b"]')
        return tuple(value)

    def get_mapping(self, section: str, key: str) -> dict[str, str]:
        value = self._find(section, key, {})
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise self._refuse(section, key, value, 'a table of texts, { NAME = "TEXT" }')
        return dict(value)

    def get_count(self, section: str, key: str, default: int) -> int:
        value = self._find(section, key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._refuse(section, key, value, "a whole number of at least 1")
        return value

    def get_switch(self, section: str, key: str, default: bool) -> bool:
        value = self._find(section, key, default)
        if not isinstance(value, bool):
            raise self._refuse(section, key, value, "true or false")
        return value

    def get_choice(self, section: str, key: str, choices: tuple[str, ...]) -> str:
        """One of the choices, the first by default."""
        value = self._find(section, key, choices[0])
        if value not in choices:
            raise self._refuse(section, key, value, f"one of {', '.join(choices)}")
        return str(value)

    def get_uri(self, section: str, key: str, default: str) -> str:
        """Paths, also those in ``sqlite:///``, made absolute."""
        text = self.get_text(section, key, default)
        scheme, slashes, path = text.partition(":///")
        if scheme == "sqlite" and slashes:
            return f"sqlite:///{self._absolute(path)}" if path else text
        return text if "://" in text else self._absolute(text)

    def get_place(self, section: str, key: str, default: str) -> str:
        """A place for files, which may hold no credentials: they would be shown."""
        place = self.get_uri(section, key, default)
        if is_uri(place):
            check_uri(place)
        return place

    def iter_options(self, section: str, *, without: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for key, value in self._sections.get(section, {}).items():
            if key not in without:
                yield key, str(value).lower() if isinstance(value, bool) else str(value)

    def _absolute(self, path: str) -> str:
        return os.path.normpath(self._folder / os.path.expanduser(path))

    def _find(self, section: str, key: str, default: Any) -> Any:
        return self._sections.get(section, {}).get(key, default)

    def _refuse(self, section: str, key: str, value: Any, words: str) -> InvalidFieldError:
        return InvalidFieldError(
            f"{self._file}: {key} in [{section}] must be {words}, not {value!r}",
            file=str(self._file),
            key=f"{section}.{key}",
            value=str(value),
        )
