"""Versions of models in an MLflow registry, ours and those that others registered.

Control plane. A version that sparkscore registered carries its own version and digest as tags;
MLflow's number stays internal. Others go by MLflow's number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.content import LocalContent
from sparkscore.control.assets.mlflow_store import MlflowStore
from sparkscore.errors import InvalidFieldError
from sparkscore.listing.location import find_local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PREFIX = "sparkscore."
_MAX_PAGE = 1000
_ARTIFACTS = re.compile(r"(mlflow-artifacts|runs|models|dbfs):")
_LOGGED_MODEL = re.compile(r"models:/(m-[^/@]+)$")


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as MLflow keeps it; ``facts`` are the tags of ours without their prefix."""

    name: str
    number: int
    source: str
    run_id: str | None
    description: str | None
    facts: dict[str, str]
    foreign_tags: dict[str, str]
    created_at: float

    @property
    def version(self) -> str:
        """The caller's version, or MLflow's number if it was registered without us."""
        return self.facts.get("version") or str(self.number)

    @property
    def is_archived(self) -> bool:
        return self.facts.get("archived") == "true"

    def read_map(self, fact: str) -> dict[str, Any]:
        """A mapping that stands in a tag as JSON; empty if there is none."""
        with suppress(ValueError):
            found = json.loads(self.facts.get(fact) or "{}")
            return found if isinstance(found, dict) else {}
        return {}


class Registry:
    """The models of an MLflow registry."""

    def __init__(self, store: MlflowStore) -> None:
        self._store = store

    def list_names(self) -> list[str]:
        """The names of all models that have a version."""
        return sorted({version.name for version in self.list_versions()})

    def list_versions(self, name: str | None = None) -> list[RegisteredVersion]:
        """All versions, or those of one model: by name, newest first."""
        with self._store.reading() as client:
            found = _search(client, name)
        return sorted(found, key=lambda version: (version.name, -version.number))

    def find_by_alias(self, name: str, alias: str) -> RegisteredVersion | None:
        """The version that an alias of MLflow's names."""
        with self._store.reading() as client:
            from mlflow.exceptions import MlflowException

            with suppress(MlflowException):
                return _read(client.get_model_version_by_alias(name, alias))
        return None

    def locate(self, version: RegisteredVersion) -> str:
        """Where the files are: ``models:/`` and ``runs:/`` sources followed."""
        if not version.source.startswith(("models:/", "runs:/")):
            return version.source
        with self._store.reading() as client:
            return client.get_model_version_download_uri(version.name, str(version.number))

    def locate_run(self, reference: str) -> tuple[str, str]:
        """Source, and place of the files, of ``runs:/<run>/<path>``.

        A model that the run logged under that name stands outside of the run's own artifacts.
        """
        run_id, _, path = reference.removeprefix("runs:/").partition("/")
        with self._store.reading() as client:
            run = client.get_run(run_id)
            outputs = getattr(run, "outputs", None)
            for output in getattr(outputs, "model_outputs", None) or ():
                logged = client.get_logged_model(output.model_id)
                if logged.name == path:
                    return f"models:/{output.model_id}", str(logged.artifact_location)
        place = f"{run.info.artifact_uri}/{path}"
        return place, place

    def list_artifacts(self, uri: str) -> list[tuple[str, int]]:
        """Path and size of every file below an artifact URI, by path."""
        with self._store.reading() as client:
            repository = _open_artifacts(uri, client)
            found: list[tuple[str, int]] = []
            waiting: list[str | None] = [None]
            while waiting:
                for info in repository.list_artifacts(waiting.pop()):
                    if info.is_dir:
                        waiting.append(info.path)
                    else:
                        found.append((str(info.path), int(info.file_size or 0)))
        return sorted(found)

    def download(self, uri: str, folder: Path) -> Path:
        """Download an artifact file or folder below ``folder``; returns its path there."""
        root, _, name = uri.rpartition("/")
        with self._store.reading() as client:
            # By name below a root: a name may hold what means something else in a URI.
            repository = _open_artifacts(root, client)
            return Path(str(repository.download_artifacts(name, dst_path=str(folder))))

    def upload(self, content: LocalContent, *, name: str) -> tuple[str, str]:
        """Copy files into a new run's artifacts; returns their URI and the run's id.

        A run whose upload was interrupted stays behind and is never looked at. Raises
        InvalidFieldError (MODEL_FILE_NAME_NOT_SUPPORTED) for what a server would lose.
        """
        with self._store.writing() as client:
            experiment = self._store.get_experiment(client)
            run = client.create_run(experiment, run_name=name)
        if find_artifact_path(run.info.artifact_uri) is None:
            _check_names(content)
        run_id, base_name = run.info.run_id, content.root.name
        with self._store.reading() as client:
            if content.is_folder:
                client.log_artifacts(run_id, str(content.root), artifact_path=base_name)
            else:
                client.log_artifact(run_id, str(content.root))
        with self._store.writing() as client:
            client.set_terminated(run_id)
        return f"{run.info.artifact_uri}/{base_name}", run_id

    def add_version(
        self,
        client: MlflowClient,
        name: str,
        *,
        source: str,
        run_id: str | None,
        facts: Mapping[str, str],
        description: str | None,
    ) -> RegisteredVersion:
        """Register a version; it is there with all its tags, or not at all."""
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        logged = _LOGGED_MODEL.match(source)
        extra: dict[str, Any] = {"model_id": logged[1]} if logged else {}
        added = client.create_model_version(
            name,
            source=source,
            run_id=run_id,
            tags={f"{PREFIX}{fact}": value for fact, value in facts.items()},
            description=description,
            **extra,
        )
        return _read(added)

    def set_fact(self, version: RegisteredVersion, fact: str, value: str) -> None:
        """Set a tag of ours."""
        with self._store.writing() as client:
            client.set_model_version_tag(
                version.name, str(version.number), f"{PREFIX}{fact}", value
            )

    def delete_version(self, client: MlflowClient, version: RegisteredVersion) -> None:
        """Delete a version, and its model with the last one; ``mlflow gc`` frees the space."""
        client.delete_model_version(version.name, str(version.number))
        if not _search(client, version.name):
            client.delete_registered_model(version.name)


def find_artifact_path(uri: str) -> str | None:
    """The local path of a URI of MLflow's, None if it is elsewhere."""
    return None if _ARTIFACTS.match(uri) else find_local_path(uri)


def _check_names(content: LocalContent) -> None:
    """MLflow's servers take names for parts of URLs."""
    paths = [f"{content.root.name}/{file.path}" for file in content.files]
    lost = next((path for path in paths if re.search(r"[#?%]", path)), None)
    if lost is not None:
        raise InvalidFieldError(
            f"model file {lost} cannot be kept by an MLflow server: rename it without '#', '?' "
            "and '%'",
            condition="MODEL_FILE_NAME_NOT_SUPPORTED",
            path=lost,
        )


def _open_artifacts(uri: str, client: MlflowClient) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=client.tracking_uri)


def _search(client: MlflowClient, name: str | None) -> list[RegisteredVersion]:
    wanted = None if name is None else _render_filter(name)
    found: list[RegisteredVersion] = []
    token = None
    while True:
        page = client.search_model_versions(wanted, max_results=_MAX_PAGE, page_token=token)
        found += [_read(version) for version in page if name in (None, version.name)]
        token = page.token
        if not token:
            return found


def _render_filter(name: str) -> str | None:
    """MLflow's filter for a name; None for one with both quotes, which it cannot express."""
    quote = '"' if "'" in name else "'"
    return None if quote in name else f"name={quote}{name}{quote}"


def _read(version: ModelVersion) -> RegisteredVersion:
    tags = dict(version.tags or {})
    return RegisteredVersion(
        name=str(version.name),
        number=int(version.version),
        source=str(version.source or ""),
        run_id=version.run_id or None,
        description=version.description or None,
        facts={
            key.removeprefix(PREFIX): value for key, value in tags.items() if key.startswith(PREFIX)
        },
        foreign_tags={
            key: value for key, value in tags.items() if not key.startswith((PREFIX, "mlflow."))
        },
        created_at=float(version.creation_timestamp or 0) / 1000,
    )
