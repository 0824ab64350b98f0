"""Opens a workspace's MLflow store and registry, quietly and by many processes at once.

Control plane. mlflow is imported when it is used; no URI of it is ever set globally.
"""

from __future__ import annotations

import fcntl
import importlib
import logging
import os
import socket
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sparkscore.control.workspace_config import WorkspaceConfig
from sparkscore.errors import MissingDependencyError, SparkscoreError, StateError
from sparkscore.storage import describe_error, redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "sparkscore-models"
"""The experiment whose runs hold the files of registered models."""

_SQLITE = "sqlite:///"
_CONNECT_SECONDS = 5.0
_QUIET = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
_LOGGERS = ("mlflow", "alembic")


class MlflowStore:
    """The MLflow store and registry of a workspace; opened on first use."""

    def __init__(self, config: WorkspaceConfig, *, on_message: Callable[[str], None]) -> None:
        self._config = config
        self._on_message = on_message

    @property
    def uri(self) -> str:
        """Where models are registered, without credentials."""
        return redact(self._config.registry_uri)

    @contextmanager
    def reading(self) -> Iterator[MlflowClient]:
        """A client for calls that only read, or that stand for themselves.

        Raises StateError (MLFLOW_FAILED, MLFLOW_UNREACHABLE) for whatever goes wrong inside.
        """
        with _quiet(), self._reporting():
            yield self.client

    @contextmanager
    def writing(self) -> Iterator[MlflowClient]:
        """As ``reading``, one process of this workspace at a time. Nothing slow belongs inside."""
        with self.reading() as client, self._locked():
            yield client

    def warm_up(self) -> None:
        """Load what the first call would wait seconds for; makes no database.

        Raises StateError as ``reading`` does.
        """
        files = [uri.removeprefix(_SQLITE) for uri in self._uris if uri.startswith(_SQLITE)]
        if all(Path(file).exists() for file in files):
            with self.reading() as client:
                client.search_registered_models(max_results=1)

    @property
    def _uris(self) -> tuple[str, str]:
        """Of tracking and of the registry."""
        return self._config.tracking_uri, self._config.registry_uri

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client. An embedded database is made first, which takes seconds."""
        for uri in dict.fromkeys(self._uris):
            if uri.startswith(_SQLITE):
                self._make_database(Path(uri.removeprefix(_SQLITE)))
            else:
                _check_reachable(uri)
        from mlflow import MlflowClient

        tracking_uri, registry_uri = self._uris
        return MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri)

    def get_experiment(self, client: MlflowClient) -> str:
        """The id of the experiment of models, made on first use; call it inside ``writing``."""
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        return str(client.create_experiment(EXPERIMENT, artifact_location=self.artifact_location))

    @property
    def artifact_location(self) -> str | None:
        """Where a new experiment keeps its artefacts, None where a server decides that itself."""
        is_server = self._config.tracking_uri.startswith(("http://", "https://", "databricks"))
        return None if is_server else self._config.artifact_root

    def _make_database(self, file: Path) -> None:
        """Make an embedded database aside and rename it: it is there whole, or not at all."""
        if file.exists():
            return
        with self._locked():
            if file.exists():
                return
            self._on_message(f"making the MLflow registry {file}; this takes some seconds, once")
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_name(f".{file.name}.unfinished")
            for stale in file.parent.glob(f"{unfinished.name}*"):
                stale.unlink()
            make_store: Callable[..., Any] = SqlAlchemyStore
            store = make_store(f"{_SQLITE}{unfinished}", self._config.artifact_root)
            store.engine.dispose()
            unfinished.chmod(0o600)
            os.rename(unfinished, file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """A lock of this workspace on this machine; it ends with the process that holds it."""
        descriptor = os.open(self._config.folder / ".mlflow.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except SparkscoreError:
            raise
        except Exception as error:
            raise StateError(
                f"the MLflow registry {self.uri} failed: {describe_error(error)}",
                condition="MLFLOW_FAILED",
                uri=self.uri,
            ) from error


def _check_reachable(uri: str) -> None:
    """Say so at once if nobody listens; MLflow itself would try again for minutes."""
    parts = urlsplit(uri)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or host is None:
        return
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise StateError(
            f"the MLflow server {redact(uri)} does not answer: {error.strerror or error}; start it "
            "or correct tracking_uri in sparkscore.toml",
            condition="MLFLOW_UNREACHABLE",
            uri=redact(uri),
        ) from error


def _import_mlflow() -> None:
    try:
        importlib.import_module("mlflow")
    except ImportError as error:
        raise MissingDependencyError(
            "models are registered with mlflow, which is not installed; run: pip install mlflow",
            condition="MLFLOW_NOT_FOUND",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's log lines, warnings, bars and links off the terminal meanwhile."""
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update(_QUIET)
    levels: dict[logging.Logger, int] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _import_mlflow()  # which sets its loggers' levels
            for logger in map(logging.getLogger, _LOGGERS):
                levels[logger] = logger.level
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
